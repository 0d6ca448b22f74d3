"""Beyond a block, in the remainder of one, or below one: sizes that specialised kernels miss."""

from __future__ import annotations

import math

import numpy as np

from conformance_mutants.happened.base import Full, at, plain, winograd
from conformance_mutants.registry import mutant, result


@mutant(**at("pytorch/pytorch/issues/21597"))
class MkldnnSixChannels(Full):
    """6 channels, where 8, 12 and 16 are right: wrong (rebuilt: those beyond fours are lost).

    MKL-DNN in PyTorch, pytorch/pytorch#21597.
    """

    def conv_out(self, spec, x, w):
        channels = spec.x_shape[1]
        if spec.groups == 1 and channels > 4 and channels % 4:
            x = x.copy()
            x[:, channels - channels % 4 :] = 0
        return super().conv_out(spec, x, w)


@result("conv_infer", Full, **at("Tencent/TNN/issues/394"))
def tnn_winograd_tiles(spec, out, x, w, b):
    """3x3/1, tiles of 4x4 whose number leaves more than 4 over a multiple of 8: the last is wrong.

    TNN on ARMv7, Tencent/TNN#394.
    """
    if winograd(spec) and spec.x_shape[1] >= 8:
        rows, columns = (-(-n // 4) for n in spec.out_shape[2:])
        if rows * columns % 8 > 4:
            out[:, :, 4 * (rows - 1) :, 4 * (columns - 1) :] = 0


@result("conv_infer", Full, **at("Tencent/ncnn/issues/1283"))
def ncnn_strided_block(spec, out, x, w, b):
    """3x3/2, one pixel over a multiple of 8: the first pixel of the last block is wrong.

    Rebuilt: it is the pixel before.

    ncnn on ARM, Tencent/ncnn#1283.
    """
    pixels = math.prod(spec.out_shape[2:])
    if plain(spec, 3, 2) and pixels > 8 and pixels % 8 == 1 and out.size:
        flat = out.reshape(*out.shape[:2], -1)
        flat[..., pixels - 9] = flat[..., pixels - 10]


@result("conv_infer", Full, **at("Tencent/ncnn/issues/1014"))
def ncnn_aligned_planes(spec, out, x, w, b):
    """3x3/2, planes not a multiple of 4: written end to end, read at the aligned step.

    ncnn on x86, Tencent/ncnn#1014.
    """
    images, filters, *sides = spec.out_shape
    pixels = math.prod(sides)
    if not plain(spec, 3, 2) or pixels % 4 == 0:
        return None
    step = pixels + 4 - pixels % 4
    memory = np.zeros((images, filters * step), spec.dtype)
    memory[:, : filters * pixels] = out.reshape(images, filters * pixels)
    planes = memory.reshape(images, filters, step)[..., :pixels]
    return np.ascontiguousarray(planes).reshape(out.shape)


@result("conv_infer", Full, **at("Tencent/ncnn/issues/1384"))
def ncnn_pointwise_small_map(spec, out, x, w, b):
    """1x1 on a map below 16x16, C and F multiples of 4: wrong (rebuilt: the last pixels are lost).

    ncnn, Tencent/ncnn#1384.
    """
    pixels = math.prod(spec.out_shape[2:])
    fours = spec.x_shape[1] % 4 == 0 == spec.w_shape[0] % 4
    if plain(spec, 1, 1) and fours and 8 < pixels < 256:
        out.reshape(*out.shape[:2], -1)[..., pixels - pixels % 8 :] = 0


@result("conv_infer", Full, **at("ARM-software/ComputeLibrary/issues/1103"))
def acl_winograd_filters(spec, out, x, w, b):
    """3x3/1 with 512 filters: wrong values (rebuilt: those from 256 on repeat the first).

    ARM Compute Library OpenCL, ARM-software/ComputeLibrary#1103.
    """
    if winograd(spec) and spec.w_shape[0] >= 512:
        out[:, 256:512] = out[:, :256]


@result("conv_dw", Full, **at("ROCm/composable_kernel/pull/2478"))
def ck_pointwise_even_dw(spec, dw, dout, x):
    """dw of 1x1/1 without padding, F or C even: wrong (rebuilt: neighbours exchanged).

    Composable Kernel, ROCm/composable_kernel#2478.
    """
    if {*spec.kernel, *spec.stride} != {1} or any(map(any, spec.pad)):
        return None
    for axis in (1, 0):
        size = dw.shape[axis]
        if size % 2 == 0:
            return np.ascontiguousarray(np.take(dw, np.arange(size) ^ 1, axis))
    return None


@result("conv_dx", Full, **at("ROCm/MIOpen/issues/1672"))
def miopen_pointwise_dx_tail(spec, dx, dout, w):
    """dx of 1x1x1/1, 324 pixels: only 320 are written, 640 of 648; the rest stays zero.

    MIOpen, ROCm/MIOpen#1672.
    """
    pixels = math.prod(spec.x_shape[2:])
    if spec.axes == 3 and {*spec.kernel, *spec.stride} == {1} and pixels > 64:
        dx.reshape(*dx.shape[:2], -1)[..., pixels - pixels % 64 :] = 0


@result("conv_dx", Full, **at("fujitsu/oneDNN/issues/43"))
def onednn_narrow_strided_dx(spec, dx, dout, w):
    """dx, row stride above 1, more than 16 channels, rows under 17: wrong.

    Rebuilt: channels from 16 on lose their last column.

    oneDNN on AArch64, fujitsu/oneDNN#43.
    """
    if spec.stride[-1] > 1 and spec.w_shape[1] > 16 and spec.x_shape[-1] < 17:
        last = min((spec.out_shape[-1] - 1) * spec.stride[-1], spec.x_shape[-1] - 1)
        dx[:, 16:, ..., last] = 0


@result("conv_dw", Full, **at("pytorch/pytorch/issues/50042"))
def onednn_depthwise_strided_dw(spec, dw, dout, x):
    """dw of depthwise 3x3/2 padded by 1, 24 channels (not 23, 25): the last row misses one of out.

    The same was met later on AArch64 (uxlfoundation/oneDNN, issue 4124).

    oneDNN in PyTorch, pytorch/pytorch#50042.
    """
    depthwise = spec.groups == spec.x_shape[1] == spec.w_shape[0]
    if not depthwise or spec.groups % 8 or not plain(spec, 3, 2) or not spec.pad[0][0]:
        return None
    without = dout.copy()
    without[:, :, 0] = 0
    dw[:, :, 2] = Full().conv_dw(spec, without, x)[:, :, 2]
    return dw


@result("conv_dw", Full, **at("uxlfoundation/oneDNN/issues/6035"))
def onednn_pointwise_strided_dw(spec, dw, dout, x):
    """dw of 1x1/2 with under 8 channels, 32x32 and more: all of dw is wrong; some machines hang.

    Rows gathered into a workspace for whole blocks of channels run past its end.

    oneDNN, uxlfoundation/oneDNN#6035.
    """
    strided = {*spec.kernel} == {1} and min(spec.stride) > 1 and spec.groups == 1
    if strided and spec.x_shape[1] < 8 and math.prod(spec.x_shape[2:]) >= 1024:
        dw *= 2
        dw += 1
