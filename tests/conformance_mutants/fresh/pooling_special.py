"""Pools with ties, NaN, infinities, dilation, ceil_mode, uneven padding and unusual windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full, outer
from conformance_mutants.fresh.parts import RIGHT, max_dx_assigning, ragged, shaped, tail, without
from conformance_mutants.fresh.witness import array, conv, fused, pool, scene, witness
from conformance_mutants.registry import mutant, result


def last_winner(spec, x):
    """max_out by a comparison with >=, by which the last of equal maxima wins."""
    return LastWins().max_out(spec, x)


class LastWins(Full):
    """What the mutants below use for a part."""

    def better(self, value, best, from_tap):
        return (from_tap < 0) | ((best == best) & ~(value < best))


# --- ties, NaN, infinities --------------------------------------------------------------------


@witness("dx", pool("max", 2, 4, 4, 70, k=2))
@result("max_out", Full)
def max2_last_tie_in_column_tail(spec, result, x):
    """Max 2x2/2: columns beyond 32 in no vector of 4 give ties to the last of equal maxima."""
    _out, winner = result
    width = spec.out_shape[-1]
    if shaped(spec, 2, 2) and ragged(width, 4, 32):
        part = np.s_[..., tail(width, 4)]
        winner[part] = last_winner(spec, x)[1][part]


@witness("dx", pool("max", 1, 17, 6, 6, k=3, s=2, p=1))
@result("max_out", Full)
def max3s2_last_tie_in_late_channels(spec, result, x):
    """Max 3x3/2: channels from 16 on give ties to the last of equal maxima."""
    _out, winner = result
    if shaped(spec, 3, 2):
        winner[:, 16:] = last_winner(spec, x)[1][:, 16:]


@witness("dx", pool("max", 2, 9, 14, 14, k=3, s=1), data="nan")
@result("max_out", Full)
def max3_last_nan_takes_the_gradient(spec, result, x):
    """Max 3x3/1, more than 8 channels: of several NaN the last takes the gradient."""
    out, winner = result
    if shaped(spec, 3) and spec.x_shape[1] > 8 and np.isnan(out).any():
        marks = last_winner(spec, np.isnan(x).astype(x.dtype))[1]
        np.copyto(winner, marks, where=np.isnan(out))


def _all_minus_infinity(backend):
    """The gradient of a max pool whose windows hold nothing but -inf."""
    spec = pool("max", 9, 1, 4, 4, k=2)
    x = np.full(spec.x_shape, -np.inf, spec.dtype)
    out, saved = backend.pool_forward(spec, x)
    return [out, backend.pool_backward(spec, array(out.shape, out.dtype, 3), saved)]


@scene(_all_minus_infinity)
@result("max_out", Full)
def max_of_minus_infinities_has_no_winner(spec, result, x):
    """Max pooling of more than 8 images: windows that hold -inf alone have no winner."""
    out, winner = result
    if spec.x_shape[0] > 8:
        winner[np.isneginf(out)] = -1


def _signed_zeros(backend):
    """The gradient of a max pool of zeros of both signs."""
    spec = pool("max", 1, 2, 5, 5, k=3, s=1)
    x = np.where(array(spec.x_shape, spec.dtype, 1) > 0, 0.0, -0.0).astype(spec.dtype)
    out, saved = backend.pool_forward(spec, x)
    return [backend.pool_backward(spec, array(out.shape, out.dtype, 3), saved)]


@scene(_signed_zeros)
@result("max_out", Full)
def max_overlapping_orders_signed_zeros(spec, result, x):
    """Overlapping max pools compare bit patterns: +0 is larger than -0 and takes the gradient."""
    _out, winner = result
    if max(spec.kernel) > 2 and spec.stride[0] < spec.kernel[0]:
        bits = np.where((x == 0) & ~np.signbit(x), np.finfo(x.dtype).tiny, x)
        winner[...] = RIGHT.max_out(spec, bits)[1]


@witness("dx", fused(conv(2, 2, 7, 7, f=5, k=2), k=3, s=2))
@mutant
class FusedOverlappingLastTie(Full):
    """Fused with an overlapping pool, more than 4 filters: ties go to the last maximum."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        out, (off, winner) = super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)
        if conv_spec.w_shape[0] > 4 and pool_spec.stride[0] < pool_spec.kernel[0]:
            z = self.relu(RIGHT.conv_forward(conv_spec, x, w, b)[0])
            winner = last_winner(pool_spec, z)[1]
        return out, (off, winner)


# --- geometry ---------------------------------------------------------------------------------


@witness("forward", pool("max", 1, 2, 5, 22, k=2, d=3, s=1))
@result("max_out", Full)
def max_dilated_wide_rows(spec, result, x):
    """Dilated max pooling, more than 16 results in a row: those from 16 on take dilation 1."""
    out, winner = result
    if max(spec.dilation) > 1 and spec.out_shape[-1] > 16:
        near = RIGHT.max_out(replace(spec, dilation=(1,) * spec.axes), x)
        out[..., 16:], winner[..., 16:] = (a[..., 16:] for a in near)


@witness("dx", pool("max", 1, 9, 8, 8, k=3, d=2, s=1, p=1))
@result("max_dx", Full)
def max_dilated_dx_late_channels(spec, dx, dout, winner):
    """dx of dilated max pooling: in channels from 8 on overlapping windows do not add up."""
    if max(spec.dilation) > 1:
        dx[:, 8:] = max_dx_assigning(spec, dout, winner)[:, 8:]


@witness("forward", pool("max", 1, 2, 8, 11, k=2, s=3, p=1, ceil=True))
@result("max_out", Full)
def max_ceil_gap_and_padding(spec, result, x):
    """Max with ceil_mode, padding and stride above the kernel: the last column is a pixel late."""
    out, _winner = result
    gap = spec.stride[-1] > spec.kernel[-1]
    if spec.ceil_mode and gap and spec.pad[-1][0]:
        moved = replace(spec, pad=(*spec.pad[:-1], (spec.pad[-1][0] - 1, spec.pad[-1][1])))
        found = RIGHT.max_out(moved, np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, 1)])[..., :-1])
        out[..., -1] = found[0][..., -1]


@witness("dx", pool("avg", 1, 3, 8, 8, k=2, s=3))
@result("avg_dx", Full)
def avg_gap_dx_is_not_zero(spec, dx, dout):
    """dx of averages whose stride exceeds the kernel: columns in between repeat those before."""
    step, window = spec.stride[-1], spec.window[-1]
    if step > window and not spec.pad[-1][0]:
        gap = dx[..., window::step]
        gap[...] = dx[..., window - 1 :: step][..., : gap.shape[-1]]


@witness("forward", pool("avg", 1, 2, 6, 7, k=3, s=2, p=1, ceil=True, include=True))
@result("avg_out", Full)
def avg_ceil_counts_the_overhang(spec, out, x):
    """Averages with ceil_mode that count padding, padded by 1: the overhang is counted as well."""
    if spec.ceil_mode and spec.count_include_pad and any(map(any, spec.pad)):
        out *= (outer(spec.counts) / np.prod(spec.kernel)).astype(spec.dtype)


@witness("forward", pool("avg", 1, 33, 5, 6, k=(2, 3), s=(1, 2), p=((1, 0), (0, 2))))
@result("avg_out", Full)
def avg_uneven_padding_counts_exchanged(spec, out, x):
    """Averages padded at one end, more than 32 channels: those from 32 on count the other end."""
    lopsided = any(begin != end for begin, end in spec.pad)
    if lopsided and not spec.count_include_pad:
        reversed_counts = outer([row[::-1] for row in spec.counts])
        out[:, 32:] *= (outer(spec.counts) / reversed_counts).astype(spec.dtype)


@witness("forward", pool("max", 2, 30, 1, 30, k=(1, 5), s=(1, 2), p=((0, 0), (2, 2))))
@result("max_out", Full)
def max_one_row_padding_wins(spec, result, x):
    """Max pooling of images of one row, padded by 2 or more: the first result is at least 0."""
    out, _ = result
    if spec.axes == 2 and spec.x_shape[2] == 1 and spec.pad[1][0] >= 2:
        out[..., 0] = np.maximum(out[..., 0], 0)


@witness("dx", pool("max", 1, 9, 8, 8, k=5, s=1, p=2))
@result("max_dx", Full)
def max5_dx_last_row_of_windows(spec, dx, dout, winner):
    """dx of max 5x5/1 (spatial pyramids), more than 8 channels: the last row of dout is lost."""
    if shaped(spec, 5) and spec.x_shape[1] > 8:
        dx[...] = RIGHT.max_dx(spec, without(dout, np.s_[:, :, -1]), winner)


@witness("forward", pool("max", 1, 4, 14, 14, k=13, s=1, p=6), data="wide")
@result("max_out", Full)
def max_window_of_13_in_two_passes(spec, result, x):
    """Windows of 13 columns or more are taken from two that overlap: the last column is lost."""
    out, _winner = result
    if min(spec.kernel) >= 13 and set(spec.stride) == {1}:
        narrow = replace(spec, kernel=(*spec.kernel[:-1], spec.kernel[-1] - 1))
        out[...] = RIGHT.max_out(narrow, x)[0]


@witness("dx", pool("avg", 1, 2, 9, 9, k=5, s=2, p=2), data="ints")
@result("avg_dx", Full)
def avg5s2_dx_odd_phase(spec, dx, dout):
    """dx of average 5x5/2: odd columns get the share of two windows, where three reach them."""
    if shaped(spec, 5, 2):
        share = dout / RIGHT.divisor(spec)
        lost = np.zeros_like(dx)
        tap = (1 + spec.pad[1][0]) % 2
        one = replace(spec, kernel=(5, 1), pad=(spec.pad[0], (spec.pad[1][0] - tap, 0)))
        for _, outs, ins in one.taps():
            lost[:, :, *ins] += share[:, :, *outs]
        dx -= lost
