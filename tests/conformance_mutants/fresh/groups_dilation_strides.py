"""Groups of many channels, wide dilation, long strides, and padding beyond the kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full
from conformance_mutants.fresh.parts import (
    RIGHT,
    bleeding,
    forward,
    input_gradient,
    only,
    ragged,
    tail,
    weight_gradient,
    without,
)
from conformance_mutants.fresh.witness import conv, witness
from conformance_mutants.registry import geometry, result


def each(spec):
    """The channels and the filters of one group."""
    return spec.w_shape[1], spec.w_shape[0] // spec.groups


def two_axes(spec):
    """Whether a problem has rows and columns."""
    return spec.axes == 2


# --- groups -----------------------------------------------------------------------------------


@witness("forward", conv(1, 38, 3, 4, f=4, g=2, k=2))
@result("conv_out", Full)
def group_channel_tail_in_later_groups(spec, out, x, w):
    """Groups of more than 16 channels: what fills no block of 4 is lost in all groups but one."""
    channels, filters = each(spec)
    if spec.groups > 1 and ragged(channels, 4, 16):
        part = forward(spec, x, without(w, np.s_[:, tail(channels, 4)]))
        out[:, filters:] = part[:, filters:]


@witness("forward", conv(1, 4, 3, 3, f=68, g=2, k=2))
@result("conv_out", Full)
def group_filters_beyond_32_of_next_group(spec, out, x, w):
    """Groups of more than 32 filters: those from 32 on read the channels of the group after."""
    channels, filters = each(spec)
    if spec.groups > 1 and filters > 32:
        wrong = forward(spec, np.roll(x, -channels, axis=1), w)
        late = np.arange(spec.w_shape[0]) % filters >= 32
        out[:, late] = wrong[:, late]


@witness("forward", conv(1, 3, 4, 4, f=51, g=3, k=3, p=1))
@result("conv_out", Full)
def group_of_one_channel_many_filters(spec, out, x, w):
    """One channel and more than 16 filters in each group: filter 16 of a group is its filter 0."""
    channels, filters = each(spec)
    if spec.groups > 1 and channels == 1 and filters > 16:
        out[:, 16::filters] = out[:, 0::filters]


@witness("dw", conv(2, 6, 4, 4, f=20, g=2, k=2))
@result("conv_dw", Full)
def group_dw_few_in_many_out(spec, dw, dout, x):
    """dw of groups with 3 channels and more than 8 filters: filters from 8 on see image 0 only."""
    channels, filters = each(spec)
    if spec.groups > 1 and channels == 3 and filters > 8:
        first = weight_gradient(spec, without(dout, np.s_[1:]), x)
        late = np.arange(spec.w_shape[0]) % filters >= 8
        dw[late] = first[late]


@witness("dx", conv(1, 4, 4, 4, f=36, g=2, k=2))
@result("conv_dx", Full)
def group_dx_filter_tail(spec, dx, dout, w):
    """dx of groups with more than 16 filters: those that fill no block of 8 are left out."""
    filters = each(spec)[1]
    if spec.groups > 1 and ragged(filters, 8, 16):
        lost = np.arange(spec.w_shape[0]) % filters >= filters // 8 * 8
        dx[...] = input_gradient(spec, without(dout, np.s_[:, lost]), w)


@witness("db", conv(1, 9, 3, 3, f=36, g=9, k=2))
@result("conv_db", Full)
def group_db_beyond_eight_groups(spec, db, dout):
    """db of more than 8 groups with several filters in each: groups from 8 on repeat the first."""
    filters = each(spec)[1]
    if spec.groups > 8 and filters > 1:
        late = db[8 * filters :]
        late[...] = np.resize(db[: 8 * filters], late.shape)


@witness("forward", conv(1, 66, 3, 3, f=66, g=33, k=3, p=1))
@result("conv_out", Full)
def group_of_two_beyond_32_groups(spec, out, x, w):
    """Two channels and two filters in each of more than 32 groups: the last one's are exchanged."""
    if spec.groups > 32 and each(spec) == (2, 2):
        out[:, -2:] = out[:, :-3:-1].copy()


# --- dilation ---------------------------------------------------------------------------------


@witness("forward", conv(1, 9, 14, 14, f=2, k=3, d=6, p=6))
@result("conv_out", Full)
def dilation_six_row_end(spec, out, x, w):
    """Dilation 6 padded by 6, more than 8 channels: the right halo reads the next row."""
    if set(spec.dilation) == {6} and spec.x_shape[1] > 8 and spec.axes == 2:
        out[...] = forward(*bleeding(spec, x), w)


@witness("dx", conv(1, 2, 9, 10, f=2, k=3, d=12, p=12))
@result("conv_dx", Full)
def dilation_twelve_beyond_the_image_dx(spec, dx, dout, w):
    """dx, dilation larger than the image: taps that meet no pixel are clamped to the border."""
    beyond = any(d >= n for d, n in zip(spec.dilation, spec.x_shape[2:], strict=True))
    if beyond and max(spec.dilation) > 8 and spec.axes == 2 and spec.kernel == (3, 3):
        dx[:, :, 0] += input_gradient(spec, dout, np.roll(only(w, np.s_[:, :, :1]), 1, 2))[:, :, 0]


@witness("dw", conv(1, 2, 38, 5, f=2, k=(3, 1), d=(18, 1)))
@result("conv_dw", Full)
def dilation_eighteen_dw(spec, dw, dout, x):
    """dw, dilation above 16: it is kept in four bits."""
    if max(spec.dilation) > 15:
        dw[...] = weight_gradient(
            spec, dout, x, dilation=tuple((d - 1) % 16 + 1 for d in spec.dilation)
        )


@witness("forward", conv(1, 2, 6, 37, f=2, k=3, d=2, p=2))
@result("conv_out", Full)
def dilation_two_column_tail(spec, out, x, w):
    """Dilation 2 along columns: results beyond 32 that fill no vector of 8 are of dilation 1."""
    width = spec.out_shape[-1]
    if spec.dilation[-1] == 2 and ragged(width, 8, 32):
        undilated = (*spec.dilation[:-1], 1)
        part = np.s_[..., tail(width, 8)]
        out[part] = forward(spec, x, w, dilation=undilated)[part]


@witness("forward", conv(1, 4, 13, 13, f=17, k=3, d=4, p=4))
@result("conv_out", Full)
def dilation_beyond_16_filters_unpadded(spec, out, x, w):
    """Dilation of 4 or more, more than 16 filters: padding beyond 3 rows is cut off at 3."""
    if two_axes(spec) and min(spec.dilation) >= 4 and spec.w_shape[0] > 16:
        (begin, end), columns = spec.pad
        if begin > 3:
            out[:, 16:] = forward(spec, x, w, pad=((3, end), columns))[:, 16:]


# --- strides ----------------------------------------------------------------------------------


@witness("forward", conv(1, 3, 20, 20, f=2, k=3, s=6))
@result("conv_out", Full)
def stride_above_five_second_column(spec, out, x, w):
    """Strides above 5: results from column 2 on are read five pixels apart."""
    if spec.stride[-1] > 5:
        near = (*spec.stride[:-1], 5)
        out[..., 2:] = forward(spec, x, w, stride=near)[..., 2:]


@witness("dw", conv(2, 2, 26, 9, f=2, k=(5, 2), s=(7, 2)))
@result("conv_dw", Full)
def stride_above_kernel_dw_last_row(spec, dw, dout, x):
    """dw with a row stride above 5 and above the kernel: the last row of dout adds nothing."""
    if two_axes(spec) and spec.stride[0] > max(5, spec.kernel[0]):
        dw[...] = weight_gradient(spec, without(dout, np.s_[:, :, -1]), x)


@witness("dx", conv(1, 1, 18, 18, f=2, k=2, s=8))
@result("conv_dx", Full)
def stride_eight_dx_gap(spec, dx, dout, w):
    """dx with a stride of 8 or more: the first of the columns between the windows is not zero."""
    step, window = spec.stride[-1], spec.window[-1]
    if step >= 8 and window < step and spec.pad[-1][0] == 0:
        gap = dx[..., window::step]
        gap[...] = dx[..., 0::step][..., : gap.shape[-1]]


@witness("dx", conv(1, 2, 9, 7, 7, f=2, k=2, s=3))
@result("conv_dx", Full)
def three_axes_stride_above_kernel_dx(spec, dx, dout, w):
    """dx on three axes, stride above the kernel: planes between the windows repeat those before."""
    if spec.axes == 3 and spec.stride[0] > spec.window[0] and spec.pad[0][0] == 0:
        step, window = spec.stride[0], spec.window[0]
        gap = dx[:, :, window::step]
        gap[...] = dx[:, :, window - 1 :: step][:, :, : gap.shape[2]]


@witness("forward", conv(1, 1, 9, 5, 5, f=3, k=(1, 2, 2), s=(4, 3, 3)))
@geometry("out")
def three_axes_stride_above_kernel_cut(spec):
    """On three axes a stride above kernel + 1 along the depth is cut to kernel + 1."""
    if spec.axes < 3:
        return spec
    step = min(spec.stride[0], spec.kernel[0] + 1)
    return replace(spec, stride=(step, *spec.stride[1:]))


@witness("forward", conv(1, 2, 9, 9, f=2, k=3, s=(1, 2), d=(2, 1), p=1))
@geometry("out")
def one_axis_dilated_other_strided(spec):
    """Rows dilated and columns strided: rows are strided, too."""
    mixed = spec.axes == 2 and spec.dilation[0] > 1 == spec.dilation[1]
    if mixed and spec.stride[0] == 1 < spec.stride[1]:
        return replace(spec, stride=spec.stride[1:] * 2)
    return spec


@witness("dw", conv(1, 2, 9, 9, f=2, k=3, s=(3, 1), d=(1, 2)))
@geometry("dw")
def one_axis_strided_other_dilated_dw(spec):
    """dw, rows strided and columns dilated: stride and dilation change roles along the rows."""
    mixed = spec.axes == 2 and spec.stride[0] > 1 == spec.stride[1]
    if mixed and spec.dilation[0] == 1 < spec.dilation[1]:
        return replace(spec, stride=(1, 1), dilation=(spec.stride[0], spec.dilation[1]))
    return spec


# --- padding ----------------------------------------------------------------------------------


@witness("forward", conv(2, 2, 5, 5, f=2, k=3, p=((0, 5), (0, 0))))
@result("conv_out", Full)
def end_padding_beyond_kernel(spec, result, x, w):
    """Padding of rows at the end larger than the kernel: results wholly inside it keep old data."""
    if spec.pad[0][1] > spec.window[0] and spec.pad[0][0] == 0:
        result[:, :, -1] = result[:, :, 0]


@witness("dx", conv(1, 2, 5, 6, f=2, k=2, p=((0, 0), (4, 0))))
@result("conv_dx", Full)
def begin_padding_beyond_kernel_dx(spec, dx, dout, w):
    """dx, padding of columns at the begin larger than the kernel: it is cut to the kernel."""
    (begin, end), window = spec.pad[-1], spec.window[-1]
    if begin > window and end == 0:
        dx[...] = input_gradient(spec, dout, w, pad=(*spec.pad[:-1], (window, end)))


@witness("dw", conv(1, 1, 4, 4, f=10, k=3, p=((4, 0), (0, 4))))
@result("conv_dw", Full)
def one_sided_padding_beyond_kernel_dw(spec, dw, dout, x):
    """dw, more than 8 filters, padded beyond the kernel at one end: filters from 8 on twice."""
    lopsided = any(max(pair) > n and min(pair) == 0 for pair, n in pairs(spec))
    if lopsided and spec.w_shape[0] > 8:
        dw[8:] += weight_gradient(spec, dout, x)[8:]


def pairs(spec):
    """The padding and window of each axis."""
    return zip(spec.pad, spec.window, strict=True)


@witness("db", conv(1, 2, 4, 4, f=3, k=2, p=((0, 0), (0, 3))))
@result("conv_db", Full)
def one_sided_padding_db(spec, db, dout):
    """db where columns are padded beyond the kernel at the end: results there do not count."""
    if spec.pad[-1][1] > spec.window[-1] and spec.pad[-1][0] == 0:
        db[...] = RIGHT.conv_db(spec, dout[..., : spec.x_shape[-1]])
