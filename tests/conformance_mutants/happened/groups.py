"""Groups, depth multipliers, a single channel, and layouts: the wrong channel meets a filter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.happened.base import Full, at, conv, depthwise
from conformance_mutants.registry import mutant, result


@mutant(**at("pytorch/pytorch/pull/18463"))
class OnednnFewChannelsPerGroup(Full):
    """Groups of fewer than 16 channels, filters a multiple of 16: all read the first one's input.

    MKL-DNN in PyTorch, pytorch/pytorch#18463.
    """

    def conv_out(self, spec, x, w):
        share = spec.w_shape[1]
        if spec.groups == 1 or share >= 16 or spec.w_shape[0] % 16:
            return super().conv_out(spec, x, w)
        first = np.concatenate([x[:, :share]] * spec.groups, axis=1)
        return super().conv_out(spec, first, w)


@mutant(**at("modular/modular/issues/6129"))
class ModularGroupsLongKernel(Full):
    """Groups with a kernel of 128 taps: wildly wrong (rebuilt: filters of the next group).

    MAX, modular/modular#6129.
    """

    def conv_out(self, spec, x, w):
        if spec.groups > 1 and max(spec.kernel) >= 128:
            w = np.roll(w, spec.w_shape[0] // spec.groups, axis=0)
        return super().conv_out(spec, x, w)


@result("conv_infer", Full, **at("tensorflow/tensorflow/issues/30311"))
def tflite_one_channel(spec, out, x, w, b):
    """One channel: far off (rebuilt: the weights are read filter by filter where taps come first).

    TensorFlow Lite GPU, tensorflow/tensorflow#30311.
    """
    if spec.x_shape[1] == 1 and spec.axes == 2:
        other = w.reshape(-1, len(w)).T.reshape(w.shape)
        return conv(spec, x, np.ascontiguousarray(other), b)
    return None


def by_remainder(spec, x, w):
    """Filter f reads channel f % C, where with a depth multiplier it is f // multiplier."""
    filters = spec.w_shape[0]
    each = x[:, np.arange(filters) % spec.x_shape[1]]
    shape = (spec.x_shape[0], filters, *spec.x_shape[2:])
    return conv(replace(spec, x_shape=shape, groups=filters), each, w)


@result("conv_infer", Full, **at("ARM-software/ComputeLibrary/issues/553"))
def acl_depth_multiplier(spec, out, x, w, b):
    """Depthwise 3x3 with multiplier 2: inaccurate (rebuilt: filter f reads channel f % C).

    ARM Compute Library, ARM-software/ComputeLibrary#553.
    """
    if not depthwise(spec) or spec.kernel != (3, 3) or spec.w_shape[0] == spec.x_shape[1]:
        return None
    out = by_remainder(spec, x, w)
    return out if b is None else out + b.reshape(-1, 1, 1)


@mutant(**at("yonghenglh6/DepthwiseConvolution/issues/14"))
class DepthwiseLayerMultiplier(Full):
    """Depthwise with more filters than channels: training stalls (rebuilt: f reads f % C).

    DepthwiseConvolution for Caffe, yonghenglh6/DepthwiseConvolution#14.
    """

    def conv_out(self, spec, x, w):
        if depthwise(spec) and spec.w_shape[0] > spec.x_shape[1]:
            return by_remainder(spec, x, w)
        return super().conv_out(spec, x, w)


@mutant(**at("pytorch/pytorch/issues/188335"))
class MpsGroupsFullHeight(Full):
    """Depthwise with a kernel as tall as the image, N > 1, float32: only image 0 is right.

    PyTorch MPS, pytorch/pytorch#188335.
    """

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        tall = spec.axes == 2 and spec.kernel[0] == spec.x_shape[2] > 1
        if depthwise(spec) and tall and spec.dtype == np.float32:
            out[1:] = out[:1]
        return out


@mutant(**at("pytorch/pytorch/issues/197114"))
class MpsConv3dChannels(Full):
    """Three axes, most numbers of channels: unrelated values (rebuilt: x read channels last).

    PyTorch MPS, pytorch/pytorch#197114.
    """

    def conv_out(self, spec, x, w):
        if spec.axes == 3 and spec.x_shape[1] > 1:
            shape = (spec.x_shape[0], *spec.x_shape[2:], spec.x_shape[1])
            x = np.ascontiguousarray(np.moveaxis(x.reshape(shape), -1, 1))
        return super().conv_out(spec, x, w)


@mutant(**at("huggingface/candle/pull/3405"))
class CandleChannelsEqualSize(Full):
    """C, H and W equal: x has the strides of either layout, and is read channels last.

    candle, huggingface/candle#3405.
    """

    def conv_out(self, spec, x, w):
        if spec.axes == 2 and len({*spec.x_shape[1:]}) == 1:
            x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
        return super().conv_out(spec, x, w)


@result("conv_infer", Full, **at("ggml-org/ggml/pull/737"))
def ggml_batch_mixed(spec, out, x, w, b):
    """N > 1: the product lies as (F, N, ...) and is taken for (N, F, ...), which mixes images.

    ggml, ggml-org/ggml#737.
    """
    if spec.axes != 2:
        return None
    product = np.ascontiguousarray(conv(spec, x, w).swapaxes(0, 1)).reshape(spec.out_shape)
    return product if b is None else product + b.reshape(-1, 1, 1)


@mutant(**at("pytorch/pytorch/issues/15140"))
class PytorchConv1dTransposed(Full):
    """One axis, one channel: the matrix product takes w transposed and leaves out transposed.

    PyTorch built from source, pytorch/pytorch#15140.
    """

    def conv_out(self, spec, x, w):
        if spec.axes != 1 or spec.x_shape[1] != 1:
            return super().conv_out(spec, x, w)
        other = np.ascontiguousarray(w.reshape(-1, len(w)).T).reshape(w.shape)
        out = super().conv_out(spec, x, other)
        return np.ascontiguousarray(out.swapaxes(0, 1)).reshape(out.shape)
