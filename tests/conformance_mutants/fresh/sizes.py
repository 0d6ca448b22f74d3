"""One large number: many terms, images, planes, weights, pixels, or taps."""

from __future__ import annotations

import math

import numpy as np

from conformance_mutants.base import Full
from conformance_mutants.fresh.parts import (
    flat,
    forward,
    input_gradient,
    ragged,
    tail,
    weight_gradient,
    without,
)
from conformance_mutants.fresh.witness import conv, pool, witness
from conformance_mutants.registry import result


def terms(spec):
    """How many products an element of out adds up."""
    return math.prod(spec.w_shape[1:])


def first_terms(w, count):
    """The weights of the first ``count`` terms; the others are zero."""
    w = w.copy()
    w.reshape(len(w), -1)[:, count:] = 0
    return w


# --- terms ------------------------------------------------------------------------------------


@witness("forward", conv(1, 460, 3, 3, f=1, k=3))
@result("conv_out", Full)
def terms_beyond_4096_last_block(spec, out, x, w):
    """More than 4,096 terms: the last block of them, where it is not 256 long, is not added."""
    if ragged(terms(spec), 256, 4096):
        out[...] = forward(spec, x, first_terms(w, terms(spec) // 256 * 256))


@witness("forward", conv(1, 10_100, 1, 2, f=2, k=1))
@result("conv_out", Full)
def terms_beyond_10000_are_lost(spec, out, x, w):
    """Terms from 10,000 on find no place in the packed panel."""
    if terms(spec) > 10_000:
        out[...] = forward(spec, x, first_terms(w, 10_000))


@witness("forward", conv(1, 1100, 4, 4, f=1, k=2, s=2, dtype="float64"), data="wide")
@result("conv_out", Full)
def terms_beyond_4096_added_in_float32(spec, out, x, w):
    """More than 4,096 terms in float64: each block of 4,096 is stored as float32 in between."""
    if spec.dtype == np.float64 and terms(spec) > 4096:
        first = forward(spec, x, first_terms(w, 4096))
        out[...] = out - first + first.astype(np.float32)


@witness("dx", conv(1, 1, 4, 4, f=470, k=3))
@result("conv_dx", Full)
def dx_terms_beyond_4096_last_filter(spec, dx, dout, w):
    """dx of more than 4,096 terms (filters times taps), filters no multiple of 4: one is lost."""
    count = spec.w_shape[0] // spec.groups * math.prod(spec.kernel)
    if count > 4096 and spec.w_shape[0] % 4:
        dx[...] = input_gradient(spec, without(dout, np.s_[:, -1]), w)


@witness("dw", conv(2, 1, 72, 71, f=1, k=1))
@result("conv_dw", Full)
def dw_pixels_beyond_10000(spec, dw, dout, x):
    """dw over more than 10,000 pixels in all, not in blocks of 64: the last row is lost."""
    count = spec.out_shape[0] * math.prod(spec.out_shape[2:])
    if ragged(count, 64, 10_000):
        dw[...] = weight_gradient(spec, without(dout, np.s_[-1:, :, -1]), x)


@witness("forward", conv(1, 1030, 2, 2, f=2, k=1))
@result("conv_out", Full)
def channels_beyond_1024(spec, out, x, w):
    """Channels from 1,024 on, past the size of a table of row pointers, read channel 0."""
    if spec.x_shape[1] > 1024 and spec.groups == 1:
        again = x.copy()
        again[:, 1024:] = x[:, :1]
        out[...] = forward(spec, again, w)


@witness("forward", conv(1, 2, 2, 2, f=1003, k=1))
@result("conv_forward", Full)
def filters_beyond_1000_have_no_bias(spec, result, x, w, b):
    """1x1 to more than 1,000 filters (a classifier): the rest that fills no vector has no bias."""
    out, saved = result
    filters = spec.w_shape[0]
    if set(spec.kernel) == {1} and ragged(filters, 8, 1000) and b is not None:
        part = tail(filters, 8)
        out[:, part] -= b[part].reshape(-1, *(1,) * spec.axes)
    return out, saved


# --- images, planes, weights, pixels -----------------------------------------------------------


@witness("forward", conv(1030, 1, 2, 2, f=2, k=2))
@result("conv_out", Full)
def images_beyond_1024(spec, out, x, w):
    """Images from 1,024 on take the results of those 1,024 before (ten bits of a work item)."""
    out[1024:] = out[np.arange(len(out))[1024:] - 1024]


@witness("db", conv(1100, 1, 2, 2, f=2, k=2))
@result("conv_db", Full)
def db_images_beyond_1024(spec, db, dout):
    """db leaves out images from 1,024 on."""
    db -= dout[1024:].sum(axis=(0, *range(2, dout.ndim)))


@witness("forward", pool("max", 33, 1000, 2, 2, k=2))
@result("max_out", Full)
def max_planes_beyond_32768(spec, result, x):
    """Max pooling of 32,768 planes or more: a 16-bit plane number turns negative, no result."""
    out, _ = result
    out.reshape(-1, *out.shape[2:])[32_768:] = 0


@witness("dx", pool("avg", 34, 1000, 2, 2, k=2))
@result("avg_dx", Full)
def avg_dx_planes_beyond_32768(spec, dx, dout):
    """dx of average pooling: planes from 32,768 on are those of 32,768 planes before."""
    planes = dx.reshape(-1, *dx.shape[2:])
    late = planes[32_768:65_536]
    late[...] = planes[: len(late)]


@witness("dx", conv(33, 1000, 1, 2, f=1000, g=1000, k=(1, 2)))
@result("conv_dx", Full)
def depthwise_dx_planes_beyond_32768(spec, dx, dout, w):
    """dx of a depthwise convolution: planes from 32,768 on stay zero."""
    if spec.groups == spec.x_shape[1] > 1:
        dx.reshape(-1, *dx.shape[2:])[32_768:] = 0


@witness("dw", conv(1, 183, 1, 1, f=182, k=1))
@result("conv_dw", Full)
def dw_weights_beyond_32768(spec, dw, dout, x):
    """dw of weights from 32,768 on, a 16-bit offset, stays zero."""
    dw.reshape(-1)[32_768:] = 0


@witness("forward", conv(1, 260, 1, 1, f=260, k=1))
@result("conv_out", Full)
def weights_beyond_65536(spec, out, x, w):
    """Weights from 65,536 on are read from the beginning again (an unsigned 16-bit offset)."""
    if w.size > 65_536:
        out[...] = forward(spec, x, w.reshape(-1)[np.arange(w.size) % 65_536].reshape(w.shape))


@witness("infer", conv(1, 64, 3, 3, f=60, k=3))
@result("conv_infer", Full)
def infer_weights_beyond_32768(spec, out, x, w, b):
    """conv_infer: weights from 32,768 on have a negative offset, which reads as 0."""
    if w.size > 32_768:
        lost = w.copy()
        lost.reshape(-1)[: 1 << 15] = 0
        out -= forward(spec, x, lost)


@witness("forward", conv(1, 1, 182, 183, f=1, k=1))
@result("conv_out", Full)
def pixels_of_a_plane_beyond_32767(spec, out, x, w):
    """Results of a plane from 2**15 on are not computed (a signed 16-bit pixel number)."""
    flat(out)[:, :, 1 << 15 :] = 0


@witness("infer", conv(2, 2, 64, 65, f=9, k=1))
@result("conv_infer", Full)
def infer_results_of_an_image_beyond_32767(spec, out, x, w, b):
    """conv_infer: results of one image from 2**15 on, counted over filters, are of image 0."""
    if len(out) > 1:
        images = out.reshape(len(out), -1)
        images[1:, 1 << 15 :] = images[:1, 1 << 15 :]


@witness("dx", conv(1, 1, 257, 258, f=1, k=2, s=2))
@result("conv_dx", Full)
def dx_pixels_beyond_65536(spec, dx, dout, w):
    """dx of pixels from 65,536 of their plane on is added to the pixel 65,536 before instead."""
    late = flat(dx)[..., 65_536:131_072]
    flat(dx)[..., : late.shape[-1]] += late
    late[...] = 0


@witness("forward", conv(1, 1, 2, 1030, f=2, k=(1, 3), p=((0, 0), (1, 1))))
@result("conv_out", Full)
def columns_beyond_1024(spec, out, x, w):
    """Rows longer than 1,024 results: their buffer ends there, and column 1,024 is of its left."""
    if spec.out_shape[-1] > 1024:
        out[..., 1024] = out[..., 1023]


# --- taps -------------------------------------------------------------------------------------


@witness("forward", conv(1, 1, 2, 40, f=1, k=(1, 33)))
@result("conv_out", Full)
def taps_of_an_axis_beyond_32(spec, out, x, w):
    """Taps from 32 on of the last axis are not in the 32-bit mask of those inside the image."""
    if spec.kernel[-1] > 32:
        out[...] = forward(spec, x, without(w, np.s_[..., 32:]))


@witness("dw", conv(1, 1, 70, 2, f=1, k=(65, 1), p=((2, 2), (0, 0))))
@result("conv_dw", Full)
def dw_taps_of_an_axis_beyond_64(spec, dw, dout, x):
    """dw of taps from 64 on of the first axis stays zero."""
    dw[:, :, 64:] = 0


@witness("dx", conv(1, 2, 150, f=2, k=128, p=3))
@result("conv_dx", Full)
def dx_taps_of_an_axis_from_128(spec, dx, dout, w):
    """dx with 128 taps or more in the last axis: tap 127 is taken twice, a signed byte's last."""
    if spec.kernel[-1] >= 128:
        extra = np.zeros_like(w)
        extra[..., 127] = w[..., 127]
        dx += input_gradient(spec, dout, extra)


@witness("dx", pool("max", 1, 8, 16, 17, k=12, s=1), data="wide")
@result("max_out", Full)
def max_winner_in_a_signed_byte(spec, result, x):
    """Max pooling saves the winning tap in eight bits: from tap 128 on the gradient is lost."""
    return result[0], result[1].astype(np.int8)
