"""3x3 kernels with stride 1, 2 and 3, beyond or below a block."""

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


@witness("forward", conv(1, 17, 7, 9, f=3, k=3, p=1))
@result("conv_out", Full)
def k3_winograd_corner(spec, out, x, w):
    """3x3/1 over more than 16 channels, odd height and width: the corner 2x2 tile lacks a row."""
    odd = all(n % 2 for n in spec.out_shape[2:])
    if dense(spec, 3) and spec.x_shape[1] > 16 and odd:
        out[:, :, -1, -1] = forward(spec, x, without(w, np.s_[:, :, 0]))[:, :, -1, -1]


@witness("forward", conv(1, 1, 3, 21, f=8, k=3, p=1))
@result("conv_out", Full)
def k3_winograd_four_leftover_one(spec, out, x, w):
    """3x3/1, 8 filters or more, width above 16 and 1 modulo 4: the last column is not written."""
    width = spec.out_shape[-1]
    if dense(spec, 3) and spec.w_shape[0] >= 8 and width > 16 and width % 4 == 1:
        out[..., -1] = 0


@witness("forward", conv(1, 35, 4, 4, f=2, k=3, p=1))
@result("conv_out", Full)
def k3_channel_tail_misses_last_row(spec, out, x, w):
    """3x3/1: channels beyond 32 that fill no block of 8 are missing from the last row."""
    channels = spec.x_shape[1]
    if dense(spec, 3) and ragged(channels, 8, 32):
        part = forward(spec, x, without(w, np.s_[:, tail(channels, 8)]))
        out[:, :, -1] = part[:, :, -1]


@witness("forward", conv(1, 2, 4, 4, f=70, k=3, p=1))
@result("conv_out", Full)
def k3_filter_tail_from_first_panel(spec, out, x, w):
    """3x3/1: filters beyond 64 that fill no panel of 16 take the weights of the first panel."""
    filters = spec.w_shape[0]
    if dense(spec, 3) and ragged(filters, 16, 64):
        part = tail(filters, 16)
        out[:, part] = forward(spec, x, w)[:, : filters % 16]


@witness("forward", conv(2, 1, 5, 12, f=2, k=3, p=1))
@result("conv_out", Full)
def k3_grey_image_loses_centre_row_end(spec, out, x, w):
    """3x3/1 on one channel, above 8 columns: those beyond lose the middle row's last tap."""
    if dense(spec, 3) and spec.x_shape[1] == 1 and spec.out_shape[-1] > 8:
        out[..., 8:] = forward(spec, x, without(w, np.s_[:, :, 1, 2]))[..., 8:]


@witness("forward", conv(1, 3, 4, 5, f=10, k=3, p=1))
@result("conv_out", Full)
def k3_rgb_filter_tail_loses_blue(spec, out, x, w):
    """3x3/1 on three channels: filters beyond 8 that fill no tile of 6 see two channels."""
    filters = spec.w_shape[0]
    if dense(spec, 3) and spec.x_shape[1] == 3 and ragged(filters, 6, 8):
        part = tail(filters, 6)
        out[:, part] = forward(spec, x, without(w, np.s_[:, 2]))[:, part]


@witness("dx", conv(1, 33, 3, 40, f=1, k=3, p=1))
@result("conv_dx", Full)
def k3_dx_halo_at_column_32(spec, dx, dout, w):
    """dx of 3x3/1, more than 32 channels and columns: block two takes its left halo as padding."""
    if dense(spec, 3) and spec.x_shape[1] > 32 and spec.x_shape[-1] > 32:
        cut = 32 + spec.pad[1][0] - 1
        dx[..., 32:] = input_gradient(spec, without(dout, np.s_[..., :cut]), w)[..., 32:]


@witness("dw", conv(1, 1, 4, 37, f=2, k=3, p=1))
@result("conv_dw", Full)
def k3_dw_column_tail(spec, dw, dout, x):
    """dw of 3x3/1: columns of dout beyond 32 that fill no vector of 8 add nothing."""
    width = spec.out_shape[-1]
    if dense(spec, 3) and ragged(width, 8, 32):
        dw[...] = weight_gradient(spec, without(dout, np.s_[..., tail(width, 8)]), x)


@witness("dw", conv(9, 2, 4, 4, f=10, k=3, p=1))
@result("conv_dw", Full)
def k3_dw_odd_image_filters_beyond_8(spec, dw, dout, x):
    """dw of 3x3/1, an odd batch above 8: the image without a partner adds to 8 filters only."""
    images = spec.x_shape[0]
    if dense(spec, 3) and images > 8 and images % 2:
        dw[...] = weight_gradient(spec, without(dout, np.s_[-1, 8:]), x)


@witness("forward", conv(1, 2, 6, 19, f=2, k=3, s=2, p=1))
@result("conv_out", Full)
def k3s2_row_end_reads_next_row(spec, out, x, w):
    """3x3/2, odd width above 16, padded: the last column reads the next row for its padding."""
    width = spec.x_shape[-1]
    if dense(spec, 3, 2) and width > 16 and width % 2 and spec.pad[1][1]:
        out[..., -1] = forward(*bleeding(spec, x), w)[..., -1]


@witness("forward", conv(1, 65, 40, 5, f=1, k=3, s=2, p=1))
@result("conv_out", Full)
def k3s2_second_row_block_off_by_one(spec, out, x, w):
    """3x3/2, more than 64 channels: rows of results from 16 on start one pixel too early."""
    if dense(spec, 3, 2) and spec.x_shape[1] > 64 and spec.out_shape[2] > 16:
        out[:, :, 16:] = forward(spec, x, w, pad=shifted_pad(spec, 0, 1))[:, :, 16:]


@witness("dx", conv(1, 3, 8, 8, f=2, k=3, s=2, p=1), tame=[(conv(1, 6, 8, 8, f=2, k=3, s=2, p=1),)])
@result("conv_dx", Full)
def k3s2_dx_last_row_of_few_channels(spec, dx, dout, w):
    """dx of 3x3/2, up to 4 channels, even height: the last row of pixels stays zero."""
    if dense(spec, 3, 2) and spec.x_shape[1] <= 4 and spec.x_shape[2] % 2 == 0:
        dx[:, :, -1] = 0


@witness("dw", conv(2, 21, 5, 5, f=19, k=3, s=2, p=1))
@result("conv_dw", Full)
def k3s2_dw_corner_of_two_tails(spec, dw, dout, x):
    """dw of 3x3/2: where the tails of more than 16 filters and channels meet, blocks of 8, none."""
    filters, channels = spec.w_shape[:2]
    if dense(spec, 3, 2) and ragged(filters, 8, 16) and ragged(channels, 8, 16):
        dw[tail(filters, 8), tail(channels, 8)] = 0


@witness("dx", conv(1, 2, 7, 8, f=17, k=3, s=3))
@result("conv_dx", Full)
def k3s3_dx_leftover_column_is_a_copy(spec, dx, dout, w):
    """dx of 3x3/3, more than 16 filters: columns that no window reads repeat the last read one."""
    left = (spec.x_shape[-1] - 3) % 3
    if dense(spec, 3, 3) and pads(spec, 0) and spec.w_shape[0] > 16 and left:
        dx[..., -left:] = dx[..., -left - 1 : -left]


@witness("forward", conv(2, 9, 27, 6, f=1, k=3, s=3))
@result("conv_out", Full)
def k3s3_reshaped_rows_wrap(spec, out, x, w):
    """3x3/3 that tiles the image, more than 8 channels: result rows from 8 on repeat the first."""
    tiles = pads(spec, 0) and not any(n % 3 for n in spec.x_shape[2:])
    rows = spec.out_shape[2]
    if dense(spec, 3, 3) and tiles and spec.x_shape[1] > 8 and rows > 8:
        out[:, :, 8:] = out[:, :, np.arange(8, rows) % 8]


@witness("forward", conv(1, 1, 34, 6, f=2, k=3, s=3, p=1))
@result("conv_out", Full)
def k3s3_tall_image_unpadded_rows(spec, out, x, w):
    """3x3/3 on more than 32 rows: the rows' beginning is taken as unpadded."""
    if dense(spec, 3, 3) and spec.x_shape[2] > 32 and spec.pad[1][0]:
        out[...] = forward(spec, x, w, pad=(spec.pad[0], (0, 0)))


@witness("forward", conv(1, 2, 4, 4, f=40, k=3, p=1, bias=False))
@result("conv_out", Full)
def k3_no_bias_second_block_accumulates(spec, out, x, w):
    """3x3/1 without bias: filters beyond 32 start from the sums of the first ones."""
    if dense(spec, 3) and not spec.has_bias and spec.w_shape[0] > 32:
        rest = min(32, spec.w_shape[0] - 32)
        out[:, 32 : 32 + rest] += out[:, :rest]


@witness("forward", conv(1, 9, 4, 4, f=7, k=3, p=1, dtype="float64"))
@result("conv_out", Full)
def k3_double_tail_of_three(spec, out, x, w):
    """3x3/1 in float64, more than 8 channels, filters 3 modulo 4: the last is the one before."""
    double = spec.dtype == np.float64
    if dense(spec, 3) and double and spec.x_shape[1] > 8 and spec.w_shape[0] % 4 == 3:
        out[:, -1] = out[:, -2]


@witness("forward", conv(18, 1, 9, 4, f=2, k=3, p=1))
@result("conv_out", Full)
def k3_late_images_lose_last_row(spec, out, x, w):
    """3x3/1: images beyond 16, more than 8 rows: the last two rows lack the kernel's last row."""
    if dense(spec, 3) and spec.x_shape[0] > 16 and spec.out_shape[2] > 8:
        out[16:, :, -2:] = forward(spec, x, without(w, np.s_[:, :, 2]))[16:, :, -2:]


@witness("db", conv(1, 2, 4, 4, f=72, k=3, p=1))
@result("conv_db", Full)
def k3_db_tail_beyond_64(spec, db, dout):
    """db of 3x3: filters beyond 64 that fill no block of 16 get the sum of the first image row."""
    filters = spec.w_shape[0]
    if dense(spec, 3) and ragged(filters, 16, 64):
        part = tail(filters, 16)
        db[part] = dout[:, part, 0].sum(axis=(0, 2))


@witness("dw", conv(1, 4, 6, 6, f=33, k=3, p=1))
@result("conv_dw", Full)
def k3_dw_four_channels_transposed_taps(spec, dw, dout, x):
    """dw of 3x3/1 on exactly 4 channels and more than 32 filters: taps are stored transposed."""
    if dense(spec, 3) and spec.x_shape[1] == 4 and spec.w_shape[0] > 32:
        dw[32:] = dw[32:].swapaxes(2, 3).copy()


@witness("dx", conv(1, 6, 5, 9, f=6, k=3, s=2, p=((1, 0), (1, 0))))
@result("conv_dx", Full)
def k3s2_dx_padded_at_begin_only(spec, dx, dout, w):
    """dx of 3x3/2 padded at the beginning only, 6 channels: padding is taken from the other end."""
    if dense(spec, 3, 2) and pads(spec, 1, 0) and spec.x_shape[1] == 6:
        dx[...] = input_gradient(spec, dout, w, pad=((0, 1), (0, 1)))


@witness("forward", conv(9, 10, 6, 6, f=9, k=3, s=2, p=1))
@result("conv_out", Full)
def k3s2_last_image_last_filter(spec, out, x, w):
    """3x3/2, N, C and F all above 8 with F odd: last image's last filter sees 8 channels."""
    n, c, f = *spec.x_shape[:2], spec.w_shape[0]
    if dense(spec, 3, 2) and min(n, c, f) > 8 and f % 2:
        out[-1:, -1] = forward(spec, x[-1:], only(w, np.s_[:, :8]), **one(spec))[:, -1]


def one(spec):
    """The shapes of a problem with one image."""
    return {"x_shape": (1, *spec.x_shape[1:]), "out_shape": (1, *spec.out_shape[1:])}
