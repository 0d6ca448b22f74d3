"""Transposed convolutions with one bug each: in geometry, blocks, gradients, and what is padded."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from conformance_mutants.transposed_base import Transposed, misread, replaced, transposed_bug

ALL = ("t_out", "t_dx", "t_dw")


# --- geometry -------------------------------------------------------------------------------


@misread(*ALL)
def stride_of_the_other_axis(spec):
    """Strides of two axes are exchanged."""
    return replace(spec, stride=spec.stride[::-1])


@misread(*ALL)
def dilation_ignored_with_a_stride(spec):
    """With a stride the dilation is 1."""
    return replace(spec, dilation=(1,) * spec.axes) if max(spec.stride) > 1 else spec


@misread("t_out")
def pad_of_the_end(spec):
    """out is cut by the end's padding at its beginning."""
    return replace(spec, pad=tuple((end, begin) for begin, end in spec.pad))


@misread("t_dx", "t_dw")
def pad_of_the_end_in_backward(spec):
    """Gradients take the end's padding for the beginning's."""
    return replace(spec, pad=tuple((end, begin) for begin, end in spec.pad))


@misread("t_dw")
def pad_of_the_first_axis(spec):
    """dw pads every axis as the first one."""
    return replace(spec, pad=(spec.pad[0],) * spec.axes)


@misread("t_dx")
def dilation_of_the_first_axis(spec):
    """dx dilates every axis as the first one."""
    return replace(spec, dilation=(spec.dilation[0],) * spec.axes)


@misread(*ALL)
def stride_above_four(spec):
    """Strides above 4 are taken for 4."""
    return replace(spec, stride=tuple(min(s, 4) for s in spec.stride))


@misread("t_out")
def wide_padding_clamped(spec):
    """Padding beyond the window is clamped to it."""
    sizes = ((k - 1) * d for k, d in zip(spec.kernel, spec.dilation, strict=True))
    pads = zip(spec.pad, sizes, strict=True)
    return replace(spec, pad=tuple((min(b, size), e) for (b, e), size in pads))


@misread("t_out")
def three_axes_share_a_stride(spec):
    """In three axes the stride of the middle one is that of the first."""
    if spec.axes != 3:
        return spec
    return replace(spec, stride=(spec.stride[0], spec.stride[0], spec.stride[2]))


# --- out ------------------------------------------------------------------------------------


@transposed_bug("t_out")
def output_padding_left_as_garbage(spec, out, x, w):
    """What output padding adds is not zero where no pixel reaches it."""
    for axis, more in enumerate(spec.output_pad):
        if more >= spec.stride[axis]:
            at = (slice(None),) * (2 + axis)
            out[(*at, slice(out.shape[2 + axis] - 1, None))] += 1


@transposed_bug("t_out")
def output_padding_is_always_zero(spec, out, x, w):
    """What output padding adds is 0, also where pixels reach it."""
    for axis, more in enumerate(spec.output_pad):
        if more and spec.pad[axis][1]:
            at = (slice(None),) * (2 + axis)
            out[(*at, slice(out.shape[2 + axis] - more, None))] = 0


@transposed_bug("t_bias")
def no_bias_where_nothing_falls(spec, value, out, b):
    """With a stride above the kernel, bias is added only where a pixel fell."""
    if any(s > k for s, k in zip(spec.stride, spec.kernel, strict=True)):
        out[(out == b.reshape(-1, *(1,) * (out.ndim - 2)))] = 0


@replaced("t_bias")
def bias_per_input_channel(self, right, spec, out, b):
    """As many filters as channels in groups: the bias is read backwards."""
    same = spec.groups > 1 and spec.w_shape[0] == spec.w_shape[1] * spec.groups
    right(spec, out, b[::-1] if same else b)


@transposed_bug("t_out")
def last_block_of_filters(spec, out, x, w):
    """Filters that fill no block of 16 are not computed."""
    filters = out.shape[1]
    if filters > 16 and filters % 16:
        out[:, filters - filters % 16 :] = 0


@transposed_bug("t_out")
def last_odd_column(spec, out, x, w):
    """The last of an odd number of more than 24 columns is 0."""
    if out.shape[-1] > 24 and out.shape[-1] % 2:
        out[..., -1] = 0


@transposed_bug("t_out")
def rows_beyond_a_block_with_stride_two(spec, out, x, w):
    """4x4 with stride 2: rows beyond 16 are doubled."""
    if spec.kernel == (4, 4) and spec.stride == (2, 2) and out.shape[2] > 16:
        out[:, :, 16:] *= 2


@transposed_bug("t_out")
def two_by_two_beyond_thirty_two_channels(spec, out, x, w):
    """2x2 with stride 2 loses the channels beyond the 32nd."""
    if spec.kernel == (2, 2) and spec.stride == (2, 2) and x.shape[1] > 32 and spec.groups == 1:
        return Transposed.t_out(Transposed(), spec, zeroed(x, 32), w)
    return None


def zeroed(a, begin):
    """a without its channels from ``begin`` on."""
    a = a.copy()
    a[:, begin:] = 0
    return a


@transposed_bug("t_out")
def kernel_flipped_in_one_axis(spec, out, x, w):
    """Kernels of one row are flipped."""
    if len(spec.kernel) == 2 and spec.kernel[0] == 1 < spec.kernel[1]:
        return Transposed.t_out(Transposed(), spec, x, w[..., ::-1])
    return None


@transposed_bug("t_out")
def kernel_transposed(spec, out, x, w):
    """Square kernels of 5x5 are transposed."""
    if spec.kernel == (5, 5):
        return Transposed.t_out(Transposed(), spec, x, w.swapaxes(2, 3))
    return None


@transposed_bug("t_out")
def depthwise_beyond_eight(spec, out, x, w):
    """Depthwise, channels beyond the eighth get the weights of the first eight."""
    if spec.groups == x.shape[1] > 8 and spec.w_shape[1] == 1:
        return Transposed.t_out(Transposed(), spec, x, np.concatenate([w[:8], np.resize(
            w[:8], (len(w) - 8, *w.shape[1:]))]))  # fmt: skip
    return None


@transposed_bug("t_out")
def groups_interleaved(spec, out, x, w):
    """The filters of groups come out interleaved."""
    if 1 < spec.groups < x.shape[1]:
        n, _, *pixels = out.shape
        return np.ascontiguousarray(
            out.reshape(n, spec.groups, -1, *pixels).swapaxes(1, 2).reshape(out.shape)
        )
    return None


@transposed_bug("t_out")
def last_image_of_three(spec, out, x, w):
    """Of an odd number of images the last is the first."""
    if len(out) > 2 and len(out) % 2:
        out[-1] = out[0]


# --- gradients ------------------------------------------------------------------------------


@transposed_bug("t_dx")
def dx_of_the_last_channels(spec, dx, dout, w):
    """dx of channels that fill no block of 8 is 0."""
    channels = dx.shape[1]
    if channels > 8 and channels % 8:
        dx[:, channels - channels % 8 :] = 0


@transposed_bug("t_dx")
def dx_reads_the_extension(spec, dx, dout, w):
    """With output padding of a stride or more, dx of the last pixel is doubled."""
    if any(o >= s for o, s in zip(spec.output_pad, spec.stride, strict=True)):
        dx[..., -1] *= 2


@transposed_bug("t_dx")
def dx_of_pixels_cut_by_padding(spec, dx, dout, w):
    """dx of the first row is 0 where there is padding at its beginning."""
    if spec.pad[0][0]:
        dx[:, :, 0] = 0


@transposed_bug("t_dx")
def dx_of_one_channel(spec, dx, dout, w):
    """dx of one channel is summed without the last filter."""
    if dx.shape[1] == 1 and dout.shape[1] > 1:
        return Transposed.t_dx(Transposed(), spec, zeroed(dout, dout.shape[1] - 1), w)
    return None


@transposed_bug("t_dw")
def dw_of_the_first_image(spec, dw, dout, x):
    """dw of more than four images sums four."""
    if len(x) > 4:
        part = replace(spec, x_shape=(4, *spec.x_shape[1:]), out_shape=(4, *spec.out_shape[1:]))
        return Transposed.t_dw(Transposed(), part, dout[:4], x[:4])
    return None


@transposed_bug("t_dw")
def dw_with_roles_exchanged(spec, dw, dout, x):
    """dw of as many filters as channels is transposed."""
    if spec.w_shape[0] == spec.w_shape[1] and spec.groups == 1:
        return np.ascontiguousarray(dw.swapaxes(0, 1))
    return None


@transposed_bug("t_dw")
def dw_of_the_last_tap(spec, dw, dout, x):
    """dw of the last tap is lost in kernels of more than nine."""
    if math.prod(spec.kernel) > 9:
        dw.reshape(*dw.shape[:2], -1)[..., -1] = 0


@transposed_bug("t_dw")
def dw_of_the_last_columns(spec, dw, dout, x):
    """dw of rows of more than 16 pixels loses those that fill no block of 8."""
    wide = x.shape[-1]
    if wide > 16 and wide % 8:
        kept = x.copy()
        kept[..., wide - wide % 8 :] = 0
        return Transposed.t_dw(Transposed(), spec, dout, kept)
    return None


@transposed_bug("t_db")
def db_without_output_padding(spec, db, dout):
    """db sums what pixels reach, without output padding."""
    kept = dout[:, :, *(slice(n - o) for n, o in zip(
        dout.shape[2:], spec.output_pad, strict=True))]  # fmt: skip
    return kept.sum(axis=(0, *range(2, dout.ndim))).astype(dout.dtype)


@transposed_bug("t_db")
def db_of_the_last_filters(spec, db, dout):
    """db of filters that fill no block of 4 is 0."""
    if len(db) > 4 and len(db) % 4:
        db[len(db) - len(db) % 4 :] = 0
