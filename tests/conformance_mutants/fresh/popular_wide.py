"""Kernels of 5x5, 7x7 and 11x11, 2x2 padded at its end, and those of one row or column."""

from __future__ import annotations

import numpy as np

from conformance_mutants.base import Full
from conformance_mutants.fresh.parts import (
    bleeding,
    dense,
    forward,
    input_gradient,
    only,
    pads,
    ragged,
    shifted_pad,
    tail,
    weight_gradient,
    without,
)
from conformance_mutants.fresh.witness import conv, witness
from conformance_mutants.registry import result

# --- 5x5, stride 1 and 3 ----------------------------------------------------------------------


@witness("forward", conv(1, 2, 33, 5, f=1, k=5, p=2))
@result("conv_out", Full)
def k5_row_halo_at_32(spec, out, x, w):
    """5x5/1: rows of results from 32 on take the two rows above them as padding."""
    if dense(spec, 5) and spec.out_shape[2] > 32:
        cut = 32 - spec.pad[0][0] + 2
        out[:, :, 32:] = forward(spec, without(x, np.s_[:, :, :cut]), w)[:, :, 32:]


@witness("forward", conv(1, 1, 5, 17, f=7, k=5, p=2))
@result("conv_out", Full)
def k5_corner_of_two_tails(spec, out, x, w):
    """5x5/1: where filters beyond a tile of 6 meet columns beyond one of 16, nothing is stored."""
    filters, width = spec.w_shape[0], spec.out_shape[-1]
    if dense(spec, 5) and ragged(filters, 6, 6) and ragged(width, 16, 16):
        out[:, tail(filters, 6), :, tail(width, 16)] = 0


@witness("dx", conv(1, 3, 6, 6, f=2, k=5, p=2))
@result("conv_dx", Full)
def k5_dx_of_few_channels(spec, dx, dout, w):
    """dx of 5x5/1 for 1, 3, 4 or 6 channels: the direct path flips the rows of the kernel only."""
    if dense(spec, 5) and spec.x_shape[1] in (1, 3, 4, 6):
        dx[...] = input_gradient(spec, dout, w[..., ::-1])


@witness("dw", conv(1, 9, 6, 6, f=2, k=5, p=2))
@result("conv_dw", Full)
def k5_dw_last_tap_beyond_8_channels(spec, dw, dout, x):
    """dw of 5x5/1: the last of 25 taps, the tail of three vectors, is lost for channels from 8."""
    if dense(spec, 5):
        dw[:, 8:, 4, 4] = 0


@witness("forward", conv(11, 1, 5, 6, f=2, k=5, p=2))
@result("conv_out", Full)
def k5_images_beyond_8_lose_a_tap(spec, out, x, w):
    """5x5/1: images that fill no block of 8 lack the last tap."""
    images = spec.x_shape[0]
    if dense(spec, 5) and ragged(images, 8, 8):
        part = tail(images, 8)
        out[part] = forward(spec, x, without(w, np.s_[:, :, 4, 4]))[part]


@witness("dw", conv(2, 2, 5, 12, f=3, k=5))
@result("conv_dw", Full)
def k5_dw_unpadded_width_of_one_vector(spec, dw, dout, x):
    """dw of unpadded 5x5/1, results 8 wide exactly: image 2 and later start a column late."""
    if dense(spec, 5) and pads(spec, 0) and spec.out_shape[-1] == 8:
        late = np.zeros_like(x)
        late[1:, ..., :-1] = x[1:, ..., 1:]
        late[:1] = x[:1]
        dw[...] = weight_gradient(spec, dout, late)


@witness("forward", conv(1, 19, 11, 8, f=2, k=(5, 5), s=3, p=2))
@result("conv_out", Full)
def k5s3_channel_tail(spec, out, x, w):
    """5x5/3: of channels beyond 16 those that fill no block of 4 see the kernel's first 4 rows."""
    channels = spec.x_shape[1]
    if dense(spec, 5, 3) and ragged(channels, 4, 16):
        part = tail(channels, 4)
        out[...] = forward(spec, x, without(w, np.s_[:, part, 4]))


@witness("dx", conv(1, 2, 11, 11, f=9, k=5, s=3, p=1))
@result("conv_dx", Full)
def k5s3_dx_third_phase(spec, dx, dout, w):
    """dx of 5x5/3, more than 8 filters: pixels of the phase that one tap reaches stay zero."""
    if dense(spec, 5, 3) and spec.w_shape[0] > 8:
        dx[..., (2 - spec.pad[1][0]) % 3 :: 3] = 0


@witness("forward", conv(1, 1, 5, 56, f=1, k=5, s=3, p=1))
@result("conv_out", Full)
def k5s3_second_column_block(spec, out, x, w):
    """5x5/3: the block of results from column 16 on starts a pixel early (3 * 16 - 1)."""
    if dense(spec, 5, 3) and spec.out_shape[-1] > 16:
        out[..., 16:] = forward(spec, x, w, pad=shifted_pad(spec, 1, 1))[..., 16:]


@witness("dw", conv(1, 1, 31, 8, f=2, k=5, s=3, p=2))
@result("conv_dw", Full)
def k5s3_dw_rows_beyond_8(spec, dw, dout, x):
    """dw of 5x5/3: rows of dout beyond 8 that fill no pair add nothing to the last two taps."""
    rows = spec.out_shape[2]
    if dense(spec, 5, 3) and ragged(rows, 2, 8):
        part = weight_gradient(spec, without(dout, np.s_[:, :, tail(rows, 2)]), x)
        dw[..., 3:] = part[..., 3:]


# --- 7x7/2 stems, 11x11/4 ---------------------------------------------------------------------


@witness("forward", conv(1, 3, 8, 9, f=33, k=7, s=2, p=3))
@result("conv_out", Full)
def stem_odd_width_wide_filters(spec, out, x, w):
    """7x7/2 on three channels, more than 32 filters, odd width: the last column reads row ends."""
    if dense(spec, 7, 2) and spec.x_shape[1] == 3 and spec.w_shape[0] > 32 and spec.x_shape[-1] % 2:
        out[..., -1] = forward(*bleeding(spec, x), w)[..., -1]


@witness("dw", conv(1, 3, 130, 9, f=1, k=7, s=2, p=3))
@result("conv_dw", Full)
def stem_dw_rows_beyond_64(spec, dw, dout, x):
    """dw of 7x7/2: rows of dout from 64 on are added to the kernel's first row only."""
    if dense(spec, 7, 2) and spec.out_shape[2] > 64:
        part = weight_gradient(
            spec, dout[:, :, :64], x, out_shape=(*dout.shape[:2], 64, *dout.shape[3:])
        )
        dw[:, :, 1:] = part[:, :, 1:]


@witness("forward", conv(2, 1, 12, 12, f=4, k=7, s=2, p=3))
@result("conv_out", Full)
def stem_of_one_channel_last_row(spec, out, x, w):
    """7x7/2 on one channel, 4 filters or more: rows go in pairs, the seventh kernel row is lost."""
    if dense(spec, 7, 2) and spec.x_shape[1] == 1 and spec.w_shape[0] >= 4:
        out[...] = forward(spec, x, without(w, np.s_[:, :, 6]))


@witness("dx", conv(1, 3, 9, 9, f=68, k=7, s=2, p=3))
@result("conv_dx", Full)
def stem_dx_filter_tail(spec, dx, dout, w):
    """dx of 7x7/2: filters beyond 64 reach only the even columns."""
    if dense(spec, 7, 2) and spec.w_shape[0] > 64:
        part = input_gradient(spec, without(dout, np.s_[:, 64:]), w)
        dx[..., 1::2] = part[..., 1::2]


@witness("forward", conv(1, 3, 7, 77, f=2, k=7, s=2, p=3))
@result("conv_out", Full)
def stem_column_tail_lacks_halo(spec, out, x, w):
    """7x7/2: columns beyond 32 that fill no vector of 8 lack the kernel's last three columns."""
    width = spec.out_shape[-1]
    if dense(spec, 7, 2) and ragged(width, 8, 32):
        part = tail(width, 8)
        out[..., part] = forward(spec, x, without(w, np.s_[..., 4:]))[..., part]


@witness("forward", conv(1, 2, 8, 34, f=1, k=7, s=2, p=((2, 3), (2, 3))))
@result("conv_out", Full)
def stem_same_padding_read_as_three(spec, out, x, w):
    """7x7/2 on more than 32 columns padded (2, 3), as "same" does: the columns' begin is 3."""
    if dense(spec, 7, 2) and spec.pad[1] == (2, 3) and spec.x_shape[-1] > 32:
        out[...] = forward(spec, x, w, pad=shifted_pad(spec, 1, 1))


@witness("db", conv(3, 3, 15, 15, f=65, k=7, s=2, p=3))
@result("conv_db", Full)
def stem_db_beyond_64(spec, db, dout):
    """db of 7x7/2: filters from 64 on get the sum of the first image."""
    if dense(spec, 7, 2):
        db[64:] = dout[:1, 64:].sum(axis=(0, 2, 3))


@witness("forward", conv(1, 3, 15, 19, f=70, k=11, s=4, p=2))
@result("conv_out", Full)
def k11s4_last_panel_of_filters(spec, out, x, w):
    """11x11/4: filters beyond 64 see 120 of 121 taps of the last channel."""
    if dense(spec, 11, 4) and spec.w_shape[0] > 64:
        out[:, 64:] = forward(spec, x, without(w, np.s_[:, -1, 10, 10]))[:, 64:]


# --- 2x2 padded at its end --------------------------------------------------------------------


@witness("forward", conv(1, 2, 4, 5, f=9, k=2, p=((0, 1), (0, 1))))
@result("conv_out", Full)
def k2_end_padding_reads_next_row(spec, out, x, w):
    """2x2/1 padded at its end: filters from 8 on read the next row for the last column."""
    if dense(spec, 2) and pads(spec, 0, 1) and spec.w_shape[0] > 8:
        out[:, 8:, :, -1] = forward(*bleeding(spec, x), w)[:, 8:, :, -1]


@witness("dx", conv(1, 17, 4, 5, f=2, k=2, p=((0, 1), (0, 1))))
@result("conv_dx", Full)
def k2_dx_padding_at_wrong_end(spec, dx, dout, w):
    """dx of 2x2 padded at its end, more than 16 channels: padding is taken to be at the begin."""
    if dense(spec, 2) and pads(spec, 0, 1) and spec.x_shape[1] > 16:
        dx[...] = input_gradient(spec, dout, w, pad=((1, 0), (1, 0)))


@witness("forward", conv(1, 33, 5, 7, f=1, k=2, s=2, p=((0, 1), (0, 1))))
@result("conv_out", Full)
def k2s2_odd_image_corner(spec, out, x, w):
    """2x2/2 padded at its end, odd sizes, more than 32 channels: the corner is not computed."""
    odd = all(n % 2 for n in spec.x_shape[2:])
    if dense(spec, 2, 2) and pads(spec, 0, 1) and odd and spec.x_shape[1] > 32:
        out[:, :, -1, -1] = 0


@witness("dw", conv(1, 2, 4, 66, f=2, k=2, p=((0, 1), (0, 1))))
@result("conv_dw", Full)
def k2_dw_wide_image_column_tail(spec, dw, dout, x):
    """dw of 2x2 padded at its end, above 64 columns, no multiple of 8: last column counts twice."""
    if dense(spec, 2) and spec.pad[1] == (0, 1) and ragged(spec.out_shape[-1], 8, 64):
        dw[...] += weight_gradient(spec, only(dout, np.s_[..., -1]), x)


@witness("forward", conv(9, 1, 4, 4, f=2, k=2, p=((0, 0), (0, 1))))
@result("conv_out", Full)
def k2_padded_end_of_one_axis_late_images(spec, out, x, w):
    """2x2/1 padded at the columns' end only: images from 8 on are padded at the rows' end too."""
    if dense(spec, 2) and spec.pad == ((0, 0), (0, 1)) and spec.x_shape[0] > 8:
        out[8:, :, :, -1] = 0


# --- others -----------------------------------------------------------------------------------


@witness("dx", conv(1, 9, 8, 8, f=3, k=4, s=2, p=1))
@result("conv_dx", Full)
def k4s2_dx_odd_phase_of_channel_tail(spec, dx, dout, w):
    """dx of 4x4/2 padded by 1: channels that fill no block of 8 get odd rows' gradient of even."""
    channels = spec.x_shape[1]
    if dense(spec, 4, 2) and pads(spec, 1) and ragged(channels, 8, 8) and spec.x_shape[2] % 2 == 0:
        part = tail(channels, 8)
        dx[:, part, 1::2] = dx[:, part, ::2]


@witness("forward", conv(1, 34, 3, 9, f=2, k=(1, 7), p=((0, 0), (3, 3))))
@result("conv_out", Full)
def k1x7_channels_beyond_32(spec, out, x, w):
    """1x7/1: channels from 32 on are added with the kernel mirrored."""
    if spec.kernel == (1, 7) and spec.stride == (1, 1) and spec.x_shape[1] // spec.groups > 32:
        out[...] = forward(spec, x, np.concatenate([w[:, :32], w[:, 32:, :, ::-1]], axis=1))


@witness("dw", conv(1, 1, 19, 4, f=2, k=(7, 1), p=((3, 3), (0, 0))))
@result("conv_dw", Full)
def k7x1_dw_rows_beyond_16(spec, dw, dout, x):
    """dw of 7x1/1: rows of dout from 16 on see no padding below, but the row before it."""
    if (
        spec.kernel == (7, 1)
        and spec.stride == (1, 1)
        and spec.out_shape[2] > 16
        and spec.pad[0][1]
    ):
        dw[:, :, -1] += weight_gradient(spec, only(dout, np.s_[:, :, -1]), x)[:, :, 3]
