"""Signals (one axis), long and depthwise, and volumes (three axes): the less used instances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full, outer
from conformance_mutants.fresh.parts import (
    RIGHT,
    forward,
    input_gradient,
    max_dx_assigning,
    ragged,
    tail,
    weight_gradient,
    without,
)
from conformance_mutants.fresh.witness import conv, pool, witness
from conformance_mutants.registry import result


def channelwise(spec):
    """Whether a convolution is depthwise."""
    return spec.groups == spec.x_shape[1] > 1


# --- one axis ---------------------------------------------------------------------------------


@witness("forward", conv(1, 2, 1001, f=2, k=3, p=1))
@result("conv_out", Full)
def signal_tail_beyond_1000(spec, out, x, w):
    """One axis, kernel 3, more than 992 samples: the rest that fills no block of 32 lacks a tap."""
    length = spec.out_shape[-1]
    if spec.axes == 1 and spec.kernel == (3,) and ragged(length, 32, 992):
        part = np.s_[..., tail(length, 32)]
        out[part] = forward(spec, x, without(w, np.s_[..., 2]))[part]


@witness("forward", conv(1, 1, 4100, f=1, k=9, p=4))
@result("conv_out", Full)
def signal_halo_at_4096(spec, out, x, w):
    """One axis, more than 4,096 results: the second chunk takes what is left of it as padding."""
    if spec.axes == 1 and spec.out_shape[-1] > 4096 and spec.pad[0][0]:
        cut = 4096 * spec.stride[0]
        out[..., 4096:] = forward(spec, without(x, np.s_[..., :cut]), w)[..., 4096:]


@witness("dw", conv(1, 2, 2050, f=2, k=2))
@result("conv_dw", Full)
def signal_dw_beyond_2048(spec, dw, dout, x):
    """dw on one axis: samples of dout from 2,048 on are added to the first tap only."""
    if spec.axes == 1 and spec.out_shape[-1] > 2048:
        dw[..., 1:] = weight_gradient(spec, without(dout, np.s_[..., 2048:]), x)[..., 1:]


@witness("dx", conv(1, 3, 2051, f=2, k=4, s=2, p=1))
@result("conv_dx", Full)
def signal_dx_strided_odd_length(spec, dx, dout, w):
    """dx on one axis, stride 2, an odd number of samples above 1,024: the last one stays zero."""
    if spec.axes == 1 and spec.stride == (2,) and ragged(spec.x_shape[2], 2, 1024):
        dx[..., -1] = 0


@witness("forward", conv(1, 9, 70, f=9, g=9, k=4, p=((3, 0),)))
@result("conv_out", Full)
def signal_depthwise_causal(spec, out, x, w):
    """Depthwise on one axis, padded at the begin only, more than 8 channels: the pad is split."""
    if spec.axes == 1 and channelwise(spec) and spec.x_shape[1] > 8:
        begin, end = spec.pad[0]
        if begin and not end:
            out[:, 8:] = forward(spec, x, w, pad=((begin - begin // 2, begin // 2),))[:, 8:]


@witness("dw", conv(1, 8, 520, f=8, g=8, k=31, p=15))
@result("conv_dw", Full)
def signal_depthwise_dw_long_kernel(spec, dw, dout, x):
    """dw, depthwise on one axis, more than 512 samples: taps from 16 on lose the rest."""
    if spec.axes == 1 and channelwise(spec) and spec.out_shape[-1] > 512:
        part = weight_gradient(spec, without(dout, np.s_[..., 512:]), x)
        dw[..., 16:] = part[..., 16:]


@witness("dx", conv(3, 4, 300, f=4, g=4, k=3, p=1))
@result("conv_dx", Full)
def signal_depthwise_dx_beyond_256(spec, dx, dout, w):
    """dx, depthwise on one axis: samples from 256 on of images after the first are the first's."""
    if spec.axes == 1 and channelwise(spec):
        dx[1:, :, 256:] = dx[:1, :, 256:]


@witness("forward", conv(1, 4, 140, f=5, k=2, d=64, p=((64, 0),)))
@result("conv_out", Full)
def signal_delay_line_of_64(spec, out, x, w):
    """One axis, dilated, more than 4 filters: the delay line of those from 4 on has 64 samples."""
    if spec.axes == 1 and spec.dilation[0] > 1 and spec.w_shape[0] > 4:
        lost = (spec.kernel[0] - 1 - np.arange(spec.kernel[0])) * spec.dilation[0] >= 64
        out[:, 4:] = forward(spec, x, without(w, np.s_[..., lost]))[:, 4:]


@witness("forward", conv(2, 80, 40, f=17, k=3, p=1))
@result("conv_out", Full)
def signal_many_channels_second_image(spec, out, x, w):
    """One axis, more than 64 channels and 16 filters: filter 16 of later images is of the first."""
    if spec.axes == 1 and spec.x_shape[1] > 64 and spec.w_shape[0] > 16:
        out[1:, 16] = out[:1, 16]


@witness("forward", pool("max", 1, 1, 2100, k=2))
@result("max_out", Full)
def signal_max_beyond_1024(spec, result, x):
    """Max pooling on one axis: results from 1,024 on, where they fill no vector, see one sample."""
    out, _ = result
    length = spec.out_shape[-1]
    if spec.axes == 1 and spec.kernel == spec.stride == (2,) and ragged(length, 16, 1024):
        part = tail(length, 16)
        first = x[..., part.start * 2 - spec.pad[0][0] :: 2][..., : length - part.start]
        out[..., part.start : part.start + first.shape[-1]] = first


@witness("dx", pool("avg", 1, 3, 515, k=3, s=1, p=1))
@result("avg_dx", Full)
def signal_avg_dx_beyond_512(spec, dx, dout):
    """dx of an average on one axis: from sample 512 on shares are divided by the kernel's size."""
    if spec.axes == 1:
        share = dout * (np.array(spec.counts[0]) / spec.kernel[0]).astype(spec.dtype)
        dx[..., 512:] = RIGHT.avg_dx(spec, share)[..., 512:]


# --- three axes -------------------------------------------------------------------------------


@witness("forward", conv(1, 9, 3, 4, 5, f=9, g=9, k=3, p=1))
@result("conv_out", Full)
def volume_depthwise_middle_plane(spec, out, x, w):
    """Depthwise on three axes, more than 8 channels: from 8 on the last plane is skipped."""
    if spec.axes == 3 and channelwise(spec) and spec.kernel[0] > 2:
        out[:, 8:] = forward(spec, x, without(w, np.s_[:, :, -1]))[:, 8:]


@witness("dw", conv(2, 4, 4, 5, 4, f=4, g=4, k=3, p=1))
@result("conv_dw", Full)
def volume_depthwise_dw_swaps_axes(spec, dw, dout, x):
    """dw, depthwise on three axes, whole vectors of 4 channels, a cube: depth and rows change."""
    cube = spec.axes == 3 and len(set(spec.kernel)) == 1
    if cube and channelwise(spec) and spec.x_shape[1] % 4 == 0:
        dw[...] = dw.swapaxes(2, 3).copy()


@witness("dx", conv(1, 3, 5, 5, 5, f=3, g=3, k=(3, 1, 1), s=(2, 1, 1), p=((1, 1), (0, 0), (0, 0))))
@result("conv_dx", Full)
def volume_depthwise_dx_strided_depth(spec, dx, dout, w):
    """dx, depthwise on three axes with a stride along the depth: odd planes stay zero."""
    if spec.axes == 3 and channelwise(spec) and spec.stride[0] == 2:
        dx[:, :, 1::2] = 0


@witness("forward", conv(1, 18, 2, 3, 3, f=5, k=1))
@result("conv_out", Full)
def volume_point_channel_tail(spec, out, x, w):
    """1x1x1 over more than 16 channels: those that fill no block of 16 are lost from plane 1 on."""
    channels = spec.w_shape[1]
    if spec.kernel == (1, 1, 1) and ragged(channels, 16, 16):
        part = forward(spec, x, without(w, np.s_[:, tail(channels, 16)]))
        out[:, :, 1:] = part[:, :, 1:]


@witness("forward", conv(2, 3, 4, 4, 4, f=2, k=1, s=2))
@result("conv_out", Full)
def volume_point_strided_depth(spec, out, x, w):
    """1x1x1 with stride 2: rows and columns are strided, planes are not."""
    if spec.kernel == (1, 1, 1) and spec.stride == (2, 2, 2):
        out[...] = forward(spec, x, w, stride=(1, 2, 2))


@witness("dw", conv(3, 5, 2, 2, 3, f=9, k=1))
@result("conv_dw", Full)
def volume_point_dw_last_image(spec, dw, dout, x):
    """dw of 1x1x1, more than 8 filters: those from 8 on see the last image only."""
    if spec.kernel == (1, 1, 1) and spec.groups == 1:
        dw[8:] = weight_gradient(spec, without(dout, np.s_[:-1]), x)[8:]


@witness("forward", conv(1, 1, 18, 4, 4, f=9, k=3, p=1))
@result("conv_out", Full)
def volume_dense_depth_block(spec, out, x, w):
    """3x3x3/1, more than 16 planes and 8 filters: plane 16 does not see plane 15."""
    usual = set(spec.stride + spec.dilation) == {1} and spec.pad[0] == (1, 1)
    large = spec.out_shape[2] > 16 and spec.w_shape[0] > 8
    if spec.kernel == (3, 3, 3) and usual and large:
        out[:, :, 16] = forward(spec, without(x, np.s_[:, :, 15]), w)[:, :, 16]


@witness("dx", conv(1, 17, 4, 4, 4, f=2, k=3, p=1))
@result("conv_dx", Full)
def volume_dense_dx_flips_two_axes(spec, dx, dout, w):
    """dx of 3x3x3/1: for channels from 16 on the kernel is turned in rows and columns only."""
    if spec.kernel == (3, 3, 3) and set(spec.stride) == {1} and spec.groups == 1:
        dx[:, 16:] = input_gradient(spec, dout, w[:, :, ::-1])[:, 16:]


@witness("forward", conv(1, 4, 3, 4, 4, f=4, k=(1, 3, 3), s=(1, 2, 2), p=((0, 0), (1, 1), (1, 1))))
@result("conv_out", Full)
def volume_flat_kernel_as_images(spec, out, x, w):
    """1x3x3 on three axes, strided, is run on planes as images: filter and plane change places."""
    flat = spec.axes == 3 and spec.kernel[0] == 1 < spec.kernel[1] and max(spec.stride) > 1
    if flat and min(spec.w_shape[0], spec.out_shape[2]) > 2:
        out[:, :3, :3] = out[:, :3, :3].swapaxes(1, 2).copy()


@witness("dx", pool("max", 1, 9, 5, 5, 5, k=3, s=2, p=1))
@result("max_dx", Full)
def volume_max_dx_overlap(spec, dx, dout, winner):
    """dx of max pooling on three axes, windows overlap: from channel 8 on they do not add up."""
    if spec.axes == 3 and spec.stride[0] < spec.kernel[0]:
        dx[:, 8:] = max_dx_assigning(spec, dout, winner)[:, 8:]


@witness("forward", pool("max", 1, 2, 11, 4, 4, k=2))
@result("max_out", Full)
def volume_max_planes_beyond_four(spec, result, x):
    """Max 2x2x2/2: result planes from 4 on see the first of their two planes."""
    out, winner = result
    if spec.kernel == spec.stride == (2, 2, 2) and not any(map(any, spec.pad)):
        hidden = x.copy()
        hidden[:, :, 9::2] = -np.inf
        found = RIGHT.max_out(spec, hidden)
        out[:, :, 4:], winner[:, :, 4:] = (a[:, :, 4:] for a in found)


@witness("forward", pool("avg", 1, 17, 4, 4, 4, k=3, s=2, p=1, include=True))
@result("avg_out", Full)
def volume_avg_counts_depth_padding(spec, out, x):
    """An average on three axes that counts padding, more than 16 channels: not along the depth."""
    if spec.axes == 3 and spec.count_include_pad and spec.x_shape[1] > 16:
        real = replace(spec, count_include_pad=False)
        scale = np.array(spec.counts[0]) / np.array(real.counts[0])
        out *= outer([scale, [1] * out.shape[3], [1] * out.shape[4]]).astype(spec.dtype)
