"""The gradient of pooling goes to the wrong pixels, or is lost."""

from __future__ import annotations

import numpy as np

from conformance_mutants.base import taps
from conformance_mutants.happened.base import Full, at, padded, reads, unpadded
from conformance_mutants.registry import mutant, result


@reads("pool_dx", thread="FluxML/NNlib.jl/issues/133")
def nnlib_gradient_padded(spec):
    """Gradient of padded max pooling: goes to the wrong pixels (rebuilt: padding is not read).

    NNlib.jl, FluxML/NNlib.jl#133.
    """
    return unpadded(spec) if spec.kind == "max" else spec


@mutant(**at("FluxML/NNlib.jl/issues/205"))
class NnlibOverlapAssigned(Full):
    """A pixel that wins several windows: the last one's gradient is assigned, none are added.

    NNlib.jl, FluxML/NNlib.jl#205.
    """

    def max_dx(self, spec, dout, winner):
        dx = np.zeros(spec.x_shape, spec.dtype)
        for i, (_, outs, ins) in enumerate(taps(spec)):
            won = winner[:, :, *outs] == i
            np.copyto(dx[:, :, *ins], dout[:, :, *outs], where=won)
        return dx


@result("max_dx", Full, **at("tensorflow/tensorflow/issues/40122"))
def tfmkl_gradient_odd_rows(spec, dx, dout, winner):
    """Gradient of 2x2/2 max pooling on odd sizes: wrong (rebuilt: rows laid even columns apart).

    TensorFlow with MKL, tensorflow/tensorflow#40122.
    """
    if (spec.kernel, spec.stride) != ((2, 2), (2, 2)) or padded(spec):
        return None
    rows, columns = (2 * n for n in spec.out_shape[2:])
    covered = dx[:, :, :rows, :columns].reshape(*dx.shape[:2], -1)
    wrong = np.zeros_like(dx)
    wrong.reshape(*dx.shape[:2], -1)[..., : rows * columns] = covered
    return wrong


@result("max_dx", Full, **at("riccardoandreoni0/CNN-from-scratch/issues/1"))
def scratch_first_window(spec, dx, dout, winner):
    """Gradient of max pooling: returns after the first window, the return is indented too far.

    CNN-from-scratch, riccardoandreoni0/CNN-from-scratch#1.
    """
    first = np.zeros_like(dout)
    start = (slice(None), slice(None), *(slice(1),) * spec.axes)
    first[start] = dout[start]
    return Full().max_dx(spec, first, winner)


@result("max_dx", Full, **at("tensorflow/tensorflow/issues/33403"))
def tf_argmax_without_batch(spec, dx, dout, winner):
    """Max pooling's argmax, N > 1: the index leaves out the image; all gradients go to the first.

    TensorFlow GPU, tensorflow/tensorflow#33403.
    """
    if len(dx) > 1:
        dx[0] = dx.sum(axis=0)
        dx[1:] = 0


def whole(spec):
    """Whether one window covers the image."""
    return spec.kernel == spec.x_shape[2:] and not padded(spec)


@mutant(**at("uxlfoundation/oneDNN/pull/3866"))
class OnednnGlobalFirstWins(Full):
    """Global max pooling whose first pixel wins: the index was never set, the gradient is lost.

    oneDNN GPU, uxlfoundation/oneDNN#3866.
    """

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        if whole(spec):
            winner[winner == 0] = -1
        return out, winner


@result("pool_backward", Full, **at("uxlfoundation/oneDNN/issues/1727"))
def onednn_global_layout(spec, dx, dout, saved):
    """Backward of a pool as large as the image: wrong (rebuilt: written channels last).

    oneDNN with cuDNN, uxlfoundation/oneDNN#1727.
    """
    if whole(spec) and spec.axes == 2:
        return np.ascontiguousarray(np.moveaxis(dx, 1, -1)).reshape(dx.shape)
    return None


@mutant(**at("ooples/AiDotNet.Tensors/pull/527"))
class AidotnetIndexBits(Full):
    """Max pooling 2-D: indices stored as floats and read as ints; only index 0 is the same in both.

    AiDotNet, ooples/AiDotNet.Tensors#527.
    """

    def max_dx(self, spec, dout, winner):
        if spec.axes == 2:
            winner = np.where(winner == 0, 0, -1)
        return super().max_dx(spec, dout, winner)


@mutant(**at("pytorch/pytorch/pull/1465"))
class PytorchWindowOfInfinities(Full):
    """Max pooling, all of a window -inf: no index, and backward writes before the plane's memory.

    PyTorch, pytorch/pytorch#1465.
    """

    def better(self, value, best, from_tap):
        return (best == best) & ~(value <= best)

    def max_dx(self, spec, dout, winner):
        dx = super().max_dx(spec, dout, winner)
        lost = np.where(winner < 0, dout, 0).reshape(-1, *dout.shape[2:])
        planes = dx.reshape(len(lost), -1)
        planes[:-1, -1] += lost.sum(axis=tuple(range(1, lost.ndim)))[1:]
        return dx
