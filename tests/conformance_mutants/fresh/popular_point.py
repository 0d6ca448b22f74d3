"""1x1 kernels, patches (stride = kernel), and rows with a long kernel: paths made of GEMM."""

from __future__ import annotations

import math

import numpy as np

from conformance_mutants.base import Full
from conformance_mutants.fresh.parts import (
    dense,
    flat,
    forward,
    input_gradient,
    only,
    pads,
    ragged,
    tail,
    weight_gradient,
    without,
)
from conformance_mutants.fresh.witness import conv, witness
from conformance_mutants.registry import result


def pixels(spec):
    """How many results a plane has."""
    return math.prod(spec.out_shape[2:])


# --- 1x1 --------------------------------------------------------------------------------------


@witness("forward", conv(1, 70, 2, 3, f=8, k=1))
@result("conv_out", Full)
def k1_corner_of_k_and_m_tails(spec, out, x, w):
    """1x1: channels beyond 64 that fill no block of 16 are lost for filters beyond a tile of 6."""
    channels, filters = spec.x_shape[1], spec.w_shape[0]
    if dense(spec, 1) and ragged(channels, 16, 64) and ragged(filters, 6, 6):
        part = tail(filters, 6)
        out[:, part] = forward(spec, x, without(w, np.s_[:, tail(channels, 16)]))[:, part]


@witness("forward", conv(2, 2, 9, 8, f=2, k=1))
@result("conv_out", Full)
def k1_pixel_tail_from_first_image(spec, out, x, w):
    """1x1: pixels beyond 64 that fill no vector of 16 are read from the first image in all."""
    size = pixels(spec)
    if dense(spec, 1) and pads(spec, 0) and ragged(size, 16, 64):
        flat(out)[:, :, tail(size, 16)] = flat(out)[:1, :, tail(size, 16)]


@witness("forward", conv(1, 4, 3, 3, f=35, k=1))
@result("conv_out", Full)
def k1_four_channels_filter_tail(spec, out, x, w):
    """1x1 on exactly 4 channels: filters beyond 32 that fill no panel of 8 lose the fourth."""
    filters = spec.w_shape[0]
    if dense(spec, 1) and spec.x_shape[1] == 4 and ragged(filters, 8, 32):
        part = tail(filters, 8)
        out[:, part] = forward(spec, x, without(w, np.s_[:, 3]))[:, part]


@witness("dw", conv(37, 5, 1, 1, f=4, k=1))
@result("conv_dw", Full)
def k1_dw_of_pooled_images(spec, dw, dout, x):
    """dw of 1x1 on 1x1 images: the batch is the inner axis, and beyond 32 its tail of 8 is lost."""
    images = spec.x_shape[0]
    if dense(spec, 1) and pixels(spec) == 1 and ragged(images, 8, 32):
        dw[...] = weight_gradient(spec, without(dout, np.s_[tail(images, 8)]), x)


@witness("dx", conv(1, 3, 3, 4, f=67, k=1))
@result("conv_dx", Full)
def k1_dx_filter_tail(spec, dx, dout, w):
    """dx of 1x1: filters beyond 64 that fill no block of 8 are taken for the first of them."""
    filters = spec.w_shape[0]
    if dense(spec, 1) and ragged(filters, 8, 64):
        part = tail(filters, 8)
        again = np.concatenate([w[: part.start], w[: filters % 8]])
        dx[...] = input_gradient(spec, dout, again)


@witness("forward", conv(1, 9, 3, 3, f=2, k=1, p=1))
@result("conv_forward", Full)
def k1_padded_border_has_no_bias(spec, result, x, w, b):
    """1x1 with padding, more than 8 channels: the border of the result is 0, not the bias."""
    out, saved = result
    if dense(spec, 1) and pads(spec, 1) and spec.x_shape[1] > 8:
        inner = out[:, :, 1:-1, 1:-1].copy()
        out[...] = 0
        out[:, :, 1:-1, 1:-1] = inner
    return out, saved


@witness("forward", conv(1, 38, 3, 3, f=1, k=1))
@result("conv_out", Full)
def k1_one_filter_dot_tail(spec, out, x, w):
    """1x1 to one filter, a matrix-vector product: channels beyond 32 in no block of 4 are lost."""
    channels = spec.x_shape[1]
    if dense(spec, 1) and spec.w_shape[0] == 1 and ragged(channels, 4, 32):
        out[...] = forward(spec, x, without(w, np.s_[:, tail(channels, 4)]))


@witness("forward", conv(1, 1, 6, 6, f=12, k=1, bias=False), tame=[(conv(1, 2, 3, 3, f=9, k=1),)])
@result("conv_out", Full)
def k1_one_channel_outer_product(spec, out, x, w):
    """1x1 from one channel, no bias: an outer product, whose filters from 8 on scale by w[0]."""
    if dense(spec, 1) and spec.x_shape[1] == 1 and not spec.has_bias:
        out[:, 8:] = forward(spec, x, w)[:, :1]


@witness("dw", conv(2, 19, 5, 7, f=7, k=1))
@result("conv_dw", Full)
def k1_dw_accumulates_first_image_only_in_tail(spec, dw, dout, x):
    """dw of 1x1: where filter and channel tails (6 and 16) meet, only the first image is added."""
    filters, channels = spec.w_shape[:2]
    if dense(spec, 1) and ragged(filters, 6, 6) and ragged(channels, 16, 16):
        corner = (tail(filters, 6), tail(channels, 16))
        dw[corner] = weight_gradient(spec, without(dout, np.s_[1:]), x)[corner]


@witness("db", conv(1, 3, 5, 13, f=18, k=1))
@result("conv_db", Full)
def k1_db_pixel_tail(spec, db, dout):
    """db of 1x1, more than 16 filters: pixels beyond 64 that fill no vector of 8 are not added."""
    if dense(spec, 1) and spec.w_shape[0] > 16 and ragged(pixels(spec), 8, 64):
        db -= flat(dout)[..., tail(pixels(spec), 8)].sum(axis=(0, 2))


# --- 1x1/2 ------------------------------------------------------------------------------------


@witness("forward", conv(1, 3, 3, 131, f=2, k=1, s=2))
@result("conv_out", Full)
def k1s2_wide_image_tail_unstrided(spec, out, x, w):
    """1x1/2, up to 4 channels: columns beyond 64 that fill no vector are read with stride 1."""
    width = spec.out_shape[-1]
    if dense(spec, 1, 2) and spec.x_shape[1] <= 4 and pads(spec, 0) and ragged(width, 8, 64):
        part = tail(width, 8)
        start = 2 * part.start
        near = x[:, :, ::2, start : start + width % 8]
        near = np.pad(near, [(0, 0)] * 3 + [(0, width % 8 - near.shape[-1])])
        out[..., part] = np.einsum("nchw,fc->nfhw", near, w[:, :, 0, 0])


@witness("forward", conv(1, 2, 65, 64, f=2, k=1, s=2))
@result("conv_out", Full)
def k1s2_large_odd_image_last_row(spec, out, x, w):
    """1x1/2, up to 4 channels, more than 4,096 pixels, odd height: the last row is not computed."""
    size = math.prod(spec.x_shape[2:])
    if dense(spec, 1, 2) and spec.x_shape[1] <= 4 and size > 4096 and spec.x_shape[2] % 2:
        out[:, :, -1] = 0


@witness("dx", conv(1, 3, 4, 34, f=2, k=1, s=2))
@result("conv_dx", Full)
def k1s2_dx_skipped_columns(spec, dx, dout, w):
    """dx of 1x1/2, up to 4 channels, more than 32 columns, even: the skipped last one is a copy."""
    if dense(spec, 1, 2) and spec.x_shape[1] <= 4 and spec.x_shape[-1] > 32:
        width = spec.x_shape[-1]
        if pads(spec, 0) and width % 2 == 0:
            dx[..., -1] = dx[..., -2]


@witness("dw", conv(1, 3, 66, 66, f=2, k=1, s=2))
@result("conv_dw", Full)
def k1s2_dw_pixels_beyond_1024(spec, dw, dout, x):
    """dw of 1x1/2 on three channels: pixels of dout beyond 1,024 in no block of 64 are lost."""
    size = pixels(spec)
    if dense(spec, 1, 2) and spec.x_shape[1] == 3 and ragged(size, 64, 1024):
        kept = dout.copy()
        flat(kept)[..., tail(size, 64)] = 0
        dw[...] = weight_gradient(spec, kept, x)


@witness("forward", conv(9, 65, 3, 3, f=2, k=1, s=2))
@result("conv_out", Full)
def k1s2_many_channels_many_images(spec, out, x, w):
    """1x1/2 over more than 64 channels and 8 images: the gathered images from 8 on are image 7."""
    if dense(spec, 1, 2) and spec.x_shape[1] > 64 and spec.x_shape[0] > 8:
        out[8:] = out[7]


# --- patches ----------------------------------------------------------------------------------


@witness("forward", conv(1, 1, 8, 8, f=33, k=4, s=4))
@result("conv_out", Full)
def patch4_filters_beyond_32_transposed(spec, out, x, w):
    """4x4/4: weights of filters from 32 on are packed by column, pixels by row."""
    if dense(spec, 4, 4) and spec.w_shape[0] > 32:
        out[:, 32:] = forward(spec, x, w.swapaxes(2, 3))[:, 32:]


@witness("forward", conv(1, 3, 32, 32, f=66, k=16, s=16))
@result("conv_out", Full)
def patch16_second_k_block(spec, out, x, w):
    """16x16/16 (768 terms): filters beyond 64 that fill no tile of 6 lose the K block from 512."""
    filters = spec.w_shape[0]
    if dense(spec, 16, 16) and spec.x_shape[1] * 256 > 512 and ragged(filters, 4, 64):
        kept = w.copy()
        kept.reshape(filters, -1)[:, 512:] = 0
        part = tail(filters, 4)
        out[:, part] = forward(spec, x, kept)[:, part]


@witness("forward", conv(1, 2, 24, 19, f=2, k=8, s=8))
@result("conv_out", Full)
def patch8_leftover_width_as_pitch(spec, out, x, w):
    """8x8/8 with leftover columns: patch rows from the third on start at a pitch without them."""
    width, rows = spec.x_shape[-1], spec.out_shape[2]
    if dense(spec, 8, 8) and pads(spec, 0) and width % 8 and rows > 2:
        start, high = 16 * (width - width % 8), (rows - 2) * 8
        wrong = flat(x)[:, :, start : start + high * width].reshape(*x.shape[:2], high, width)
        low = {"x_shape": wrong.shape, "out_shape": (*out.shape[:2], rows - 2, out.shape[3])}
        out[:, :, 2:] = forward(spec, wrong, w, **low)


@witness("dx", conv(1, 9, 4, 7, f=2, k=2, s=2))
@result("conv_dx", Full)
def patch2_dx_leftover_column(spec, dx, dout, w):
    """dx of 2x2/2, more than 8 channels, odd width: the leftover column is not set to zero."""
    if dense(spec, 2, 2) and pads(spec, 0) and spec.x_shape[1] > 8 and spec.x_shape[-1] % 2:
        dx[..., -1] = dx[..., 0]


@witness("dw", conv(17, 2, 4, 6, f=2, k=2, s=2))
@result("conv_dw", Full)
def patch2_dw_images_beyond_16(spec, dw, dout, x):
    """dw of 2x2/2: images from 16 on are added to the first kernel row only."""
    if dense(spec, 2, 2) and spec.x_shape[0] > 16:
        part = weight_gradient(spec, without(dout, np.s_[16:]), x)
        dw[:, :, 1:] = part[:, :, 1:]


@witness("dx", conv(2, 3, 14, 14, f=3, k=7, s=7))
@result("conv_dx", Full)
def patch7_dx_second_image_of_rgb(spec, dx, dout, w):
    """dx of 7x7/7 (no power of two) up to 4 channels: from image 2 on rows of a patch rotate."""
    if dense(spec, 7, 7) and pads(spec, 0) and spec.x_shape[1] <= 4:
        dx[1:, :, :7] = np.roll(dx[1:, :, :7], 1, axis=2)


@witness("dw", conv(1, 1, 12, 68, f=2, k=4, s=4))
@result("conv_dw", Full)
def patch4_dw_columns_beyond_16(spec, dw, dout, x):
    """dw of 4x4/4 from one channel: patches beyond 16 in a row are added with their rows mixed."""
    if dense(spec, 4, 4) and spec.x_shape[1] == 1 and spec.out_shape[-1] > 16:
        part = weight_gradient(spec, only(dout, np.s_[..., 16:]), x)
        dw[...] += part[:, :, ::-1] - part


# --- one row, a long kernel -------------------------------------------------------------------


@witness("forward", conv(1, 1, 1, 30, f=2, k=(1, 41), p=((0, 0), (20, 20))))
@result("conv_out", Full)
def row_second_block_within_padding(spec, out, x, w):
    """One row, more than 16 columns of padding: results 16 to pad - 1 skip their first real tap."""
    begin = spec.pad[1][0] if spec.axes == 2 else 0
    if begin > 16 and spec.x_shape[2] == spec.kernel[0] == 1 and spec.stride[1] == 1:
        part = np.s_[..., 16:begin]
        out[part] = forward(spec, without(x, np.s_[..., 0]), w)[part]


@witness("dx", conv(1, 1, 1, 25, f=2, k=(1, 25), p=((0, 0), (12, 12))))
@result("conv_dx", Full)
def row_dx_padding_beyond_a_vector(spec, dx, dout, w):
    """dx of one row padded by more than 8: of results in the padding only one vector is added."""
    if spec.axes == 2 and spec.x_shape[2] == spec.kernel[0] == 1 and spec.pad[1][0] > 8:
        dx[...] = input_gradient(spec, without(dout, np.s_[..., 8 : spec.pad[1][0]]), w)


@witness("dw", conv(1, 2, 1, 20, f=10, k=(1, 21), p=((0, 0), (10, 10))))
@result("conv_dw", Full)
def row_dw_filter_tail_end_padding(spec, dw, dout, x):
    """dw of one row padded by more than 8: filters from 8 on lose taps that reach the end first."""
    row = spec.axes == 2 and spec.x_shape[2] == spec.kernel[0] == 1
    if row and spec.pad[1][1] > 8:
        dw[8:, ..., -(spec.pad[1][1] - 8) :] = 0
