"""One gradient of a convolution is wrong, or has the wrong size, where forward is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.happened.base import Full, at, depthwise, leftover, padded, plain, reads
from conformance_mutants.registry import mutant, result


@result("conv_dx", Full, **at("pytorch/pytorch/issues/25101"))
def mkldnn_dx_stride_three(spec, dx, dout, w):
    """dx of 5x5/3 with pixels left over: the columns that the last window alone reaches are wrong.

    MKL-DNN in PyTorch, pytorch/pytorch#25101.
    """
    step, taps = spec.stride[-1], spec.kernel[-1]
    if spec.axes == 2 and step >= 3 and taps > step and leftover(spec)[-1]:
        start = (spec.out_shape[-1] - 1) * step - spec.pad[-1][0]
        dx[..., max(start + taps - step, 0) : start + taps] = 0


@result("conv_dx", Full, **at("ROCm/rocMLIR/pull/307"))
def rocmlir_dx_bounds(spec, dx, dout, w):
    """dx of 3x3/2 on odd sizes: the last column reads past the end of dout's rows.

    rocMLIR, ROCm/rocMLIR#307.
    """
    if plain(spec, 3, 2) and spec.x_shape[-1] % 2 and dout.size:
        after = np.roll(dout.reshape(-1), -1).reshape(dout.shape)
        dx[..., -1] = Full().conv_dx(spec, after, w)[..., -1]


@mutant(**at("ml-explore/mlx/pull/3800"))
class MlxGroupsStridedDx(Full):
    """dx with groups and a stride above 1: the dense kernel takes it (rebuilt: group 0's filters).

    MLX on Metal, ml-explore/mlx#3800.
    """

    def conv_dx(self, spec, dout, w):
        if spec.axes == 2 and spec.groups > 1 and max(spec.stride) > 1:
            w = np.concatenate([w[: len(w) // spec.groups]] * spec.groups)
        return super().conv_dx(spec, dout, w)


@mutant(**at("yonghenglh6/DepthwiseConvolution/issues/20"))
class DepthwiseLayerStridedDx(Full):
    """dx, depthwise with stride 2: wrong (rebuilt: pixels between the strides are not left out).

    DepthwiseConvolution for Caffe, yonghenglh6/DepthwiseConvolution#20.
    """

    def conv_dx(self, spec, dout, w):
        if not depthwise(spec) or spec.axes != 2 or max(spec.stride) == 1:
            return super().conv_dx(spec, dout, w)
        for axis, step in enumerate(spec.stride):
            dout = np.repeat(dout, step, axis=2 + axis)
        dense = replace(spec, stride=(1, 1), out_shape=dout.shape)
        return super().conv_dx(dense, dout, w)


@mutant(**at("pytorch/pytorch/issues/68868"))
class OnednnConv3dGroupsDw(Full):
    """dw in three axes, groups, stride above the kernel, padding: wrong.

    Rebuilt: the last plane of dout is not counted.

    oneDNN in PyTorch, pytorch/pytorch#68868.
    """

    def conv_dw(self, spec, dout, x):
        wide = any(step > k for step, k in zip(spec.stride, spec.kernel, strict=True))
        if spec.axes == 3 and spec.groups > 1 and wide and padded(spec):
            dout = dout.copy()
            dout[:, :, -1] = 0
        return super().conv_dw(spec, dout, x)


@mutant(**at("apache/mxnet/issues/15464"))
class MxnetBiasWithoutWeights(Full):
    """db asked for without dw: wrong (rebuilt: never computed).

    MXNet, apache/mxnet#15464.
    """

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
        if db is not None and "dw" not in needs:
            db[:] = 0
        return dx, dw, db


@reads("dw", thread="Theano/Theano/issues/602")
def theano_stride_above_two(spec):
    """Gradients for strides above 2: wrong, later refused (rebuilt: dw takes the stride to be 2).

    Theano, Theano/Theano#602.
    """
    return replace(spec, stride=tuple(min(step, 2) for step in spec.stride))


@reads("dx", "dw", thread="Kulbear/deep-learning-coursera/pull/34")
def coursera_stride_missing(spec):
    """Backward with a stride above 1: the stride is missing.

    Course solutions, Kulbear/deep-learning-coursera#34.
    """
    return replace(spec, stride=(1,) * spec.axes)


@reads("dx", thread="renmengye/np-conv2d/pull/2")
def npconv_dx_columns_from_rows(spec):
    """dx where out is not square: the columns' padding is worked out from the number of rows.

    np-conv2d, renmengye/np-conv2d#2.
    """
    if spec.axes != 2:
        return spec
    rows, columns = spec.out_shape[2:]
    begin, end = spec.pad[1]
    return replace(spec, pad=(spec.pad[0], (begin + rows - columns, end)))


@mutant(**at("LBANN/lbann/pull/1022"))
class LbannDwLastImage(Full):
    """dw, N > 1: the buffer is scaled anew for each image, so that the last one alone counts.

    LBANN, LBANN/lbann#1022.
    """

    def conv_dw(self, spec, dout, x):
        return super().conv_dw(spec, dout[-1:], x[-1:])


@mutant(**at("tracel-ai/burn/pull/4806"))
class BurnDxTail(Full):
    """dx where windows leave 2 or more pixels over: the gradient comes out short, and it panics.

    burn, tracel-ai/burn#4806.
    """

    def conv_dx(self, spec, dout, w):
        if max(leftover(spec)) >= 2:
            raise RuntimeError("slice_assign: the gradient is shorter than the input")
        return super().conv_dx(spec, dout, w)


@mutant(**at("huggingface/candle/issues/1212"))
class CandleDxStrided(Full):
    """dx, a stride above 1 that leaves a pixel over: shape mismatch.

    candle, huggingface/candle#1212.
    """

    def conv_dx(self, spec, dout, w):
        if spec.axes == 2 and max(leftover(spec)) >= 1:
            raise RuntimeError("ShapeMismatchBinaryOp")
        return super().conv_dx(spec, dout, w)


@mutant(**at("rsokl/MyGrad/pull/74"))
class MygradDxOtherAxes(Full):
    """dx in one or three axes: raises; written for two.

    MyGrad, rsokl/MyGrad#74.
    """

    def conv_dx(self, spec, dout, w):
        if spec.axes != 2:
            raise ValueError("axes do not match")
        return super().conv_dx(spec, dout, w)
