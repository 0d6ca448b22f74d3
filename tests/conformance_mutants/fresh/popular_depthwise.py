"""Depthwise 3x3 and 5x5 kernels, stride 1 and 2: vectors over channels, or over columns."""

from __future__ import annotations

import math

import numpy as np

from conformance_mutants.base import Full
from conformance_mutants.fresh.parts import (
    bleeding,
    depthwise,
    forward,
    input_gradient,
    pads,
    ragged,
    shifted_pad,
    tail,
    weight_gradient,
    without,
)
from conformance_mutants.fresh.witness import conv, witness
from conformance_mutants.registry import result


@witness("forward", conv(1, 35, 4, 4, f=35, g=35, k=3, p=1))
@result("conv_out", Full)
def dw3_channel_tail_unpadded_corner(spec, out, x, w):
    """Depthwise 3x3/1: channels beyond 32 in no vector of 8 lack a tap in the last corner."""
    channels = spec.x_shape[1]
    if depthwise(spec, 3) and spec.w_shape[0] == channels and ragged(channels, 8, 32):
        part = tail(channels, 8)
        out[:, part, -1, -1] = forward(spec, x, without(w, np.s_[:, :, 0, 0]))[:, part, -1, -1]


@witness("forward", conv(2, 7, 4, 4, f=7, g=7, k=3, p=1))
@result("conv_out", Full)
def dw3_channels_three_modulo_four(spec, out, x, w):
    """Depthwise 3x3/1, channels 3 modulo 4: the last takes the weights of the one before."""
    if depthwise(spec, 3) and spec.w_shape[0] == spec.x_shape[1] and spec.x_shape[1] % 4 == 3:
        out[:, -1:] = forward(spec, x, np.concatenate([w[:-1], w[-2:-1]]))[:, -1:]


@witness("forward", conv(1, 2, 4, 66, f=2, g=2, k=3, p=1))
@result("conv_out", Full)
def dw3_halo_at_column_64(spec, out, x, w):
    """Depthwise 3x3/1: columns from 64 on take what is left of them as padding."""
    if depthwise(spec, 3) and pads(spec, 1) and spec.out_shape[-1] > 64:
        out[..., 64:] = forward(spec, without(x, np.s_[..., :64]), w)[..., 64:]


@witness("forward", conv(1, 2, 35, 4, f=2, g=2, k=3, p=1))
@result("conv_out", Full)
def dw3_rows_in_fours(spec, out, x, w):
    """Depthwise 3x3/1: rows beyond 32 that fill no block of 4 lack the kernel's middle row."""
    rows = spec.out_shape[2]
    if depthwise(spec, 3) and ragged(rows, 4, 32):
        part = tail(rows, 4)
        out[:, :, part] = forward(spec, x, without(w, np.s_[:, :, 1]))[:, :, part]


@witness("dx", conv(9, 3, 4, 4, f=3, g=3, k=3, p=1))
@result("conv_dx", Full)
def dw3_dx_images_beyond_8(spec, dx, dout, w):
    """dx of depthwise 3x3/1: images from 8 on use the kernel without turning it around."""
    if depthwise(spec, 3) and spec.x_shape[0] > 8:
        dx[8:] = input_gradient(spec, dout, w[:, :, ::-1, ::-1])[8:]


@witness("dw", conv(2, 18, 5, 5, f=18, g=18, k=3, p=1))
@result("conv_dw", Full)
def dw3_dw_channels_beyond_16(spec, dw, dout, x):
    """dw of depthwise 3x3/1: channels from 16 on keep the last image's sum alone."""
    if depthwise(spec, 3) and spec.x_shape[0] > 1:
        dw[16:] = weight_gradient(spec, without(dout, np.s_[:-1]), x)[16:]


@witness("forward", conv(1, 9, 4, 5, f=18, g=9, k=3, p=1))
@result("conv_out", Full)
def dw3_multiplier_two(spec, out, x, w):
    """Depthwise 3x3/1 with two filters per channel, more than 8: from channel 8 on one is used."""
    if depthwise(spec, 3) and spec.w_shape[0] == 2 * spec.x_shape[1] and spec.x_shape[1] > 8:
        out[:, 17::2] = out[:, 16::2]


@witness("dx", conv(1, 6, 5, 6, f=24, g=6, k=3, p=1))
@result("conv_dx", Full)
def dw3_dx_multiplier_four(spec, dx, dout, w):
    """dx of depthwise 3x3/1 with four filters per channel: the fourth adds nothing."""
    if depthwise(spec, 3) and spec.w_shape[0] == 4 * spec.x_shape[1]:
        dx[...] = input_gradient(spec, without(dout, np.s_[:, 3::4]), w)


@witness("forward", conv(1, 17, 6, 8, f=17, g=17, k=3, s=2, p=1))
@result("conv_out", Full)
def dw3s2_even_width_shifts(spec, out, x, w):
    """Depthwise 3x3/2 padded by 1, even width, more than 16 channels: pads are taken as (0, 1)."""
    even = spec.x_shape[-1] % 2 == 0
    if depthwise(spec, 3, 2) and pads(spec, 1) and even and spec.x_shape[1] > 16:
        out[:, 16:] = forward(spec, x, w, pad=shifted_pad(spec, 1, -1))[:, 16:]


@witness("forward", conv(1, 4, 5, 35, f=4, g=4, k=3, s=2, p=1))
@result("conv_out", Full)
def dw3s2_odd_row_end(spec, out, x, w):
    """Depthwise 3x3/2 padded, odd width above 32: the last column reads the next row."""
    if depthwise(spec, 3, 2) and spec.pad[1][1] and ragged(spec.x_shape[-1], 2, 32):
        out[..., -1] = forward(*bleeding(spec, x), w)[..., -1]


@witness("dx", conv(1, 34, 5, 5, f=34, g=34, k=3, s=2, p=1))
@result("conv_dx", Full)
def dw3s2_dx_odd_phase(spec, dx, dout, w):
    """dx of depthwise 3x3/2: channels from 32 on get no gradient from the kernel's last row."""
    if depthwise(spec, 3, 2) and spec.x_shape[1] > 32:
        dx[:, 32:] = input_gradient(spec, dout, without(w, np.s_[:, :, 2]))[:, 32:]


@witness("dw", conv(1, 2, 5, 21, f=2, g=2, k=3, s=2, p=1))
@result("conv_dw", Full)
def dw3s2_dw_column_tail_shifted(spec, dw, dout, x):
    """dw of depthwise 3x3/2: columns beyond 8 in no vector of 4 are added one tap too far right."""
    width = spec.out_shape[-1]
    if depthwise(spec, 3, 2) and ragged(width, 4, 8):
        part = np.zeros_like(dout)
        part[..., tail(width, 4)] = dout[..., tail(width, 4)]
        extra = weight_gradient(spec, part, x)
        dw[...] += np.roll(extra, 1, axis=3) - extra


@witness("db", conv(1, 65, 5, 5, f=65, g=65, k=3, s=2, p=1))
@result("conv_db", Full)
def dw3s2_db_beyond_64(spec, db, dout):
    """db of depthwise 3x3/2: channels from 64 on lose the last pixel of each plane."""
    if depthwise(spec, 3, 2):
        db[64:] -= dout[:, 64:, -1, -1].sum(axis=0)


@witness(
    "forward",
    conv(1, 3, 6, 6, f=3, g=3, k=5, p=2),
    tame=[(conv(1, 8, 6, 6, f=8, g=8, k=5, p=2),)],
)
@result("conv_out", Full)
def dw5_below_a_vector_of_channels(spec, out, x, w):
    """Depthwise 5x5/1 with less than 4 channels: the last two rows miss the top left tap."""
    if depthwise(spec, 5) and spec.x_shape[1] < 4:
        out[:, :, -2:] = forward(spec, x, without(w, np.s_[:, :, 0, 0]))[:, :, -2:]


@witness("forward", conv(1, 8, 5, 18, f=8, g=8, k=5, p=2))
@result("conv_out", Full)
def dw5_whole_vectors_of_channels_only_wide(spec, out, x, w):
    """Depthwise 5x5/1, channels a multiple of 8, wider than 16: column 16 repeats column 15."""
    if depthwise(spec, 5) and spec.x_shape[1] % 8 == 0 and spec.out_shape[-1] > 16:
        out[..., 16] = out[..., 15]


@witness("dw", conv(3, 6, 8, 7, f=6, g=6, k=5, p=2))
@result("conv_dw", Full)
def dw5_dw_centre_of_last_channels(spec, dw, dout, x):
    """dw of depthwise 5x5/1, 6 channels exactly: the tail of two takes taps of the first two."""
    if depthwise(spec, 5) and spec.x_shape[1] == 6:
        dw[4:6, :, 2] = dw[0:2, :, 2]


@witness("dx", conv(1, 12, 7, 9, f=12, g=12, k=5, p=2))
@result("conv_dx", Full)
def dw5_dx_corner_of_columns_and_channels(spec, dx, dout, w):
    """dx of depthwise 5x5/1: tails of channels beyond 8 and of columns beyond 8 meet unwritten."""
    channels, width = spec.x_shape[1], spec.x_shape[-1]
    if depthwise(spec, 5) and ragged(channels, 8, 8) and ragged(width, 8, 8):
        dx[:, tail(channels, 8), :, tail(width, 8)] = 0


@witness("forward", conv(1, 9, 9, 7, f=9, g=9, k=5, s=2, p=2))
@result("conv_out", Full)
def dw5s2_odd_image_corner(spec, out, x, w):
    """Depthwise 5x5/2, odd sizes, more than 8 channels: the last pixel counts padding as pixels."""
    odd = all(n % 2 for n in spec.x_shape[2:])
    if depthwise(spec, 5, 2) and pads(spec, 2) and odd and spec.x_shape[1] > 8:
        out[:, 8:, -1, -1] += (x[:, 8:, -1, -1, None] * w[8:, 0, 3:, 3].sum(axis=1)[:, None])[
            ..., 0
        ]


@witness("dx", conv(1, 5, 12, 9, f=5, g=5, k=5, s=2, p=2))
@result("conv_dx", Full)
def dw5s2_dx_second_pair_of_rows(spec, dx, dout, w):
    """dx of depthwise 5x5/2, even height: the last row lacks the kernel's last row."""
    if depthwise(spec, 5, 2) and pads(spec, 2) and spec.x_shape[2] % 2 == 0:
        dx[:, :, -1] = input_gradient(spec, dout, without(w, np.s_[:, :, 3]))[:, :, -1]


@witness("dw", conv(1, 4, 7, 67, f=4, g=4, k=5, s=2, p=2))
@result("conv_dw", Full)
def dw5s2_dw_columns_beyond_32(spec, dw, dout, x):
    """dw of depthwise 5x5/2: columns of dout from 32 on add to the first four tap columns only."""
    if depthwise(spec, 5, 2) and spec.out_shape[-1] > 32:
        part = weight_gradient(spec, without(dout, np.s_[..., 32:]), x)
        dw[..., 4] = part[..., 4]


@witness("forward", conv(65, 2, 3, 3, f=2, g=2, k=3, p=1))
@result("conv_out", Full)
def dw3_tiny_planes_many_images(spec, out, x, w):
    """Depthwise 3x3/1, planes up to 16 pixels: images from 64 on take the first image's border."""
    if depthwise(spec, 3) and math.prod(spec.x_shape[2:]) <= 16 and spec.x_shape[0] > 64:
        out[64:, :, 0] = out[:1, :, 0]
