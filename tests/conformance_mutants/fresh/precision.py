"""Sums, products and comparisons in fewer bits than the problem's dtype, in one path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full
from conformance_mutants.fresh.parts import (
    RIGHT,
    dense,
    forward,
    input_gradient,
    shaped,
    weight_gradient,
)
from conformance_mutants.fresh.witness import conv, fused, pool, witness
from conformance_mutants.registry import mutant, result

SINGLE = np.dtype(np.float32)


def rounded(array, bits):
    """The array with ``bits`` bits of significand, as a tensor core reads it."""
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.rint(mantissa * (1 << bits)) / (1 << bits), exponent).astype(array.dtype)


def double(spec):
    """Whether the problem is in float64."""
    return spec.dtype == np.float64


@witness("forward", conv(1, 64, 4, 4, f=8, k=3), data="real", weights="real")
@result("conv_out", Full)
def k3_inputs_in_eleven_bits(spec, out, x, w):
    """3x3/1 of float32 over 64 channels or more reads x and w with 11 bits (TF32)."""
    if dense(spec, 3) and spec.dtype == SINGLE and spec.x_shape[1] >= 64:
        out[...] = forward(spec, rounded(x, 11), rounded(w, 11))


@witness("forward", conv(1, 32, 3, 3, f=33, k=1), weights="real")
@result("conv_out", Full)
def k1_weights_in_eight_bits(spec, out, x, w):
    """1x1 of more than 32 filters keeps the packed weights with 8 bits (bfloat16)."""
    if dense(spec, 1) and spec.w_shape[0] > 32:
        out[...] = forward(spec, x, rounded(w, 8))


@witness("forward", conv(1, 32, 12, 12, f=2, k=3, p=1), data="wide")
@result("conv_out", Full)
def k3_winograd_sixths(spec, out, x, w):
    """3x3/1, 32 channels or more, 12 columns or more: a transform divides x by 6, out times 6."""
    if dense(spec, 3) and spec.x_shape[1] >= 32 and spec.out_shape[3] >= 12:
        six = spec.dtype.type(6)
        out[...] = forward(spec, x / six, w) * six


@witness("dw", conv(17, 1, 4, 4, f=2, k=2, dtype="float64"), data="wide")
@result("conv_dw", Full)
def dw_images_added_in_single(spec, dw, dout, x):
    """dw in float64, more than 16 images: the sum over images is kept in float32."""
    if double(spec) and spec.x_shape[0] > 16:
        dw[...] = dw.astype(np.float32)


@witness("dx", conv(1, 2, 4, 4, f=200, k=3, dtype="float64"), weights="wide")
@result("conv_dx", Full)
def dx_many_filters_in_single(spec, dx, dout, w):
    """dx in float64, more than 128 filters: blocks of 128 after the first are done in float32."""
    if double(spec) and spec.w_shape[0] > 128 and spec.groups == 1:
        low = replace(spec, dtype=SINGLE)
        rest = dout.copy()
        rest[:, :128] = 0
        dx -= input_gradient(spec, rest, w)
        dx += input_gradient(low, rest.astype(SINGLE), w.astype(SINGLE))


@witness("db", conv(1, 1, 45, 46, f=3, k=1, dtype="float64"))
@result("conv_db", Full)
def db_of_a_large_plane_in_half(spec, db, dout):
    """db of planes of more than 2,000 pixels: row sums are stored in half precision."""
    if spec.axes == 2 and spec.out_shape[2] * spec.out_shape[3] > 2000 and double(spec):
        rows = (dout.sum(axis=3) / 8 + 1000).astype(np.float16).astype(spec.dtype)
        db[...] = ((rows - 1000) * 8).sum(axis=(0, 2))


@witness("forward", conv(1, 9, 5, 5, f=9, g=9, k=3, dtype="float64"), data="wide", weights="wide")
@result("conv_out", Full)
def depthwise_double_in_single(spec, out, x, w):
    """Depthwise in float64, more than 8 channels: the vector path knows float32 only."""
    if double(spec) and spec.groups == spec.x_shape[1] > 8:
        low = replace(spec, dtype=SINGLE)
        out[...] = forward(low, x.astype(SINGLE), w.astype(SINGLE))


@witness("dw", conv(1, 2, 20, 20, f=17, k=5, dtype="float64"), data="wide")
@result("conv_dw", Full)
def k5_dw_double_through_single_tile(spec, dw, dout, x):
    """dw of 5x5 in float64, more than 16 filters: x is packed as float32."""
    if dense(spec, 5) and double(spec) and spec.w_shape[0] > 16:
        low = replace(spec, dtype=SINGLE)
        dw[...] = weight_gradient(spec, dout, x.astype(SINGLE).astype(spec.dtype))
        dw[16:] = weight_gradient(low, dout.astype(SINGLE), x.astype(SINGLE))[16:]


@witness("forward", conv(1, 3, 4, 4, f=10, k=2), data="wide")
@result("conv_forward", Full)
def bias_added_in_half(spec, result, x, w, b):
    """2x2, more than 8 filters: the epilogue stores results in half precision where they fit."""
    out, saved = result
    if spec.kernel == (2, 2) and spec.w_shape[0] > 8:
        small = np.abs(out) < 60_000
        out[small] = out[small].astype(np.float16)
    return out, saved


@witness("dx", pool("max", 1, 2, 6, 6, k=3, s=1, dtype="float64"), data="near")
@result("max_out", Full)
def max3_double_compared_in_single(spec, result, x):
    """Max 3x3/1 in float64 compares in float32: of values that near the first wins."""
    if shaped(spec, 3) and double(spec):
        return result[0], RIGHT.max_out(spec, x.astype(SINGLE))[1]
    return result


@witness("forward", pool("avg", 1, 2, 8, 8, k=6, s=1, dtype="float64"), data="wide")
@result("avg_out", Full)
def avg_many_taps_reciprocal_in_single(spec, out, x):
    """Averages of more than 32 pixels in float64 multiply by a float32 reciprocal."""
    if double(spec) and np.prod(spec.kernel) > 32:
        divisor = RIGHT.divisor(spec)
        out *= divisor
        out *= (1 / divisor).astype(SINGLE)


@witness("dx", pool("avg", 1, 2, 7, 7, k=3, s=2, p=1, dtype="float64"), data="wide")
@result("avg_dx", Full)
def avg3s2_dx_shares_in_single(spec, dx, dout):
    """dx of average 3x3/2 in float64: shares are stored as float32."""
    if shaped(spec, 3, 2) and double(spec):
        low = (dout / RIGHT.divisor(spec)).astype(SINGLE).astype(spec.dtype)
        dx[...] = RIGHT.avg_dx(spec, low * RIGHT.divisor(spec))


@witness("dw", fused(conv(5, 9, 6, 6, f=4, k=3, dtype="float64"), k=2), data="wide")
@mutant
class FusedDwInSingle(Full):
    """The fused dw in float64, more than 8 channels, is added up over images in float32."""

    def conv_relu_pool_backward(self, conv_spec, pool_spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, saved, needs)
        if dw is not None and double(conv_spec) and conv_spec.x_shape[1] > 8:
            dw = dw.astype(SINGLE).astype(dw.dtype)
        return dx, dw, db
