"""Strides, padding and dilation are read wrongly, or a kernel's shape takes a path of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.happened.base import (
    Full,
    at,
    conv,
    depthwise,
    padded,
    plain,
    reads,
    unpadded,
    winograd,
)
from conformance_mutants.registry import mutant, result
from convkit.spec import ConvSpec


@reads("out", "dx", "dw", thread="deeplearning4j/deeplearning4j/issues/8320")
def dl4j_dilation_ignored(spec):
    """Dilation above 1: the taps are read side by side.

    deeplearning4j, deeplearning4j/deeplearning4j#8320.
    """
    return replace(spec, dilation=(1,) * spec.axes)


@reads("out", thread="pytorch/pytorch/issues/83180")
def mps_strides_swapped(spec):
    """Two axes with different strides: the values are wrong (rebuilt: the strides exchanged).

    PyTorch MPS, pytorch/pytorch#83180.
    """
    return replace(spec, stride=spec.stride[::-1]) if spec.axes == 2 else spec


@reads("out", thread="ml-explore/mlx/issues/2190")
def mlx_one_column(spec):
    """A padded k x 1 kernel on an image one column wide: wrong values (rebuilt: no padding).

    MLX, ml-explore/mlx#2190.
    """
    one = spec.axes == 2 and spec.x_shape[-1] == spec.kernel[-1] == 1
    return unpadded(spec) if one else spec


@reads("out", thread="tensorflow/tensorflow/issues/14601")
def tf_stride_beyond_kernel(spec):
    """A stride above the kernel that divides the size, no padding: reading starts inside the gap.

    TensorFlow, tensorflow/tensorflow#14601.
    """
    if padded(spec):
        return spec
    axes = zip(spec.x_shape[2:], spec.kernel, spec.stride, strict=True)
    gaps = [(step - k) // 2 if step > k and size % step == 0 else 0 for size, k, step in axes]
    return replace(spec, pad=tuple((-gap, 0) for gap in gaps))


def beside(x, begin, end):
    """x with its rows lengthened by what lies before and after each in memory."""
    columns = x.shape[-1]
    starts = np.arange(x.size // columns)[:, None] * columns
    place = (starts + np.arange(-begin, columns + end)) % x.size
    return x.reshape(-1)[place].reshape(*x.shape[:-1], -1)


@mutant(**at("modular/modular/issues/6712"))
class ModularWidePadding(Full):
    """Row padding above the register tile (6), stride 1: columns beyond the tile read neighbours.

    The first and last tile alone were taken to touch padding.

    MAX, modular/modular#6712.
    """

    tile = 6

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        (begin, end), columns = spec.pad[-1], spec.out_shape[-1]
        if spec.axes != 2 or spec.stride[-1] != 1 or not x.size or columns <= 2 * self.tile:
            return out
        shape = (*spec.x_shape[:-1], spec.x_shape[-1] + begin + end)
        wide = replace(spec, x_shape=shape, pad=(*spec.pad[:-1], (0, 0)))
        read = super().conv_out(wide, beside(x, begin, end), w)
        right = max(spec.x_shape[-1] + begin - spec.window[-1] + 1, self.tile)
        for part in (slice(self.tile, begin), slice(right, columns - self.tile)):
            out[..., part] = read[..., part]
        return out


@result("conv_infer", Full, **at("microsoft/onnxruntime/issues/26215"))
def ort_end_padding(spec, out, x, w, b):
    """2x2 with padding at the end only: wrong values (rebuilt: it is put at the beginning).

    ONNX Runtime CUDA, microsoft/onnxruntime#26215.
    """
    if spec.kernel != (2, 2) or not any(end > begin for begin, end in spec.pad):
        return None
    return conv(replace(spec, pad=tuple(pair[::-1] for pair in spec.pad)), x, w, b)


@result("conv_infer", Full, **at("tensorflow/tensorflow/issues/61815"))
def tflite_depthwise_one_column(spec, out, x, w, b):
    """Depthwise k x 1, stride 2, "same": wrong values (rebuilt: the odd row goes to the beginning).

    TensorFlow Lite, tensorflow/tensorflow#61815.
    """
    strided = spec.axes == 2 and spec.stride == (2, 2) and spec.kernel[1] == 1 < spec.kernel[0]
    if not depthwise(spec) or not strided:
        return None
    return conv(replace(spec, pad=tuple(pair[::-1] for pair in spec.pad)), x, w, b)


@mutant(**at("tensorflow/tensorflow/issues/57128"))
class TfDepthwiseDilatedStrided(Full):
    """Depthwise with both stride and dilation: the stride is taken within each dilation phase.

    TensorFlow, tensorflow/tensorflow#57128.
    """

    def conv_out(self, spec, x, w):
        right = super().conv_out(spec, x, w)
        if not depthwise(spec) or max(spec.dilation) == 1 or max(spec.stride) == 1:
            return right
        sides = zip(spec.x_shape[2:], spec.pad, spec.window, strict=True)
        sizes = [n + sum(pair) - window + 1 for n, pair, window in sides]
        every = replace(spec, stride=(1,) * spec.axes, out_shape=(*spec.out_shape[:2], *sizes))
        read, out = super().conv_out(every, x, w), np.zeros_like(right)
        axes = zip(spec.out_shape[2:], spec.stride, spec.dilation, sizes, strict=True)
        to, place = [], []
        for length, step, gap, size in axes:
            o = np.arange(length)
            start = o % gap + gap * step * (o // gap)
            to.append(o[start < size])
            place.append(start[start < size])
        out[:, :, *np.ix_(*to)] = read[:, :, *np.ix_(*place)]
        return out


@result("conv_infer", Full, **at("tensorflow/tfjs/issues/5378"))
def tfjs_depthwise_wide_dilation(spec, out, x, w, b):
    """Depthwise 3x3, dilation 4, odd width: wrong values (rebuilt: pixel pairs exchanged).

    tfjs WebGL, tensorflow/tfjs#5378.
    """
    if not depthwise(spec) or spec.kernel != (3, 3) or min(spec.dilation) < 4:
        return None
    columns = x.shape[-1]
    if columns % 2 == 0:
        return None
    pairs = np.minimum(np.arange(columns) ^ 1, columns - 1)
    return conv(spec, np.ascontiguousarray(x[..., pairs]), w, b)


@result("conv_infer", Full, **at("onnx/onnx-mlir/issues/1517"))
def onnxmlir_pointwise(spec, out, x, w, b):
    """1x1 with more than one channel: wrong values (rebuilt: channels in reverse order).

    onnx-mlir NNPA, onnx/onnx-mlir#1517.
    """
    if spec.kernel == (1, 1) and spec.groups == 1:
        return conv(spec, np.ascontiguousarray(x[:, ::-1]), w, b)
    return None


@result("conv_infer", Full, **at("alibaba/MNN/issues/2291"))
def mnn_depthwise_two_pixels(spec, out, x, w, b):
    """Depthwise 3x3 on an image of 2x1: wrong values (rebuilt: the second row is not seen).

    MNN, alibaba/MNN#2291.
    """
    if depthwise(spec) and plain(spec, 3, 1) and spec.x_shape[2:] == (2, 1):
        first = x.copy()
        first[:, :, 1] = 0
        return conv(spec, first, w, b)
    return None


@result("conv_infer", Full, **at("apache/tvm/pull/4260"))
def tvm_winograd_forces_padding(spec, out, x, w, b):
    """3x3 with stride 1 and no padding: the result has the size for a padding of 1.

    TVM, apache/tvm#4260.
    """
    if winograd(spec) and not padded(spec) and x.size:
        return conv(ConvSpec.of(x, w, b, stride=1, pad=1), x, w, b)
    return None


@result("conv_infer", Full, **at("PaddlePaddle/Paddle-Lite/pull/1451"))
def paddlelite_depthwise_winograd(spec, out, x, w, b):
    """Depthwise 3x3 with stride 1: taken by the dense kernel (rebuilt: all filters read channel 0).

    Paddle-Lite, PaddlePaddle/Paddle-Lite#1451.
    """
    if depthwise(spec) and plain(spec, 3, 1):
        return conv(spec, np.ascontiguousarray(np.broadcast_to(x[:, :1], x.shape)), w, b)
    return None
