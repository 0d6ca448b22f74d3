"""Large in one place: taps, samples, filters, images, planes; and precision that goes with it."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np

from conformance_mutants.happened.base import Full, at
from conformance_mutants.registry import mutant, result


@mutant(**at("ml-explore/mlx/issues/2504"))
class MlxManyTaps(Full):
    """182x182 taps, more than 2**15: wrong (rebuilt: those from 2**15 - 1 on are lost).

    MLX on Metal, ml-explore/mlx#2504.
    """

    def conv_out(self, spec, x, w):
        if spec.axes == 2 and math.prod(spec.kernel) >= 1 << 15:
            w = w.copy()
            w.reshape(*w.shape[:2], -1)[..., (1 << 15) - 1 :] = 0
        return super().conv_out(spec, x, w)


@result("conv_out", Full, **at("ml-explore/mlx-swift/issues/424"))
def mlxswift_long_signal(spec, out, x, w):
    """One axis, more than 2**15 results: all but the last 2**15 are one constant.

    MLX on iOS, ml-explore/mlx-swift#424.
    """
    early = spec.out_shape[-1] - (1 << 15)
    if spec.axes == 1 and early > 0:
        out[..., :early] = out[..., early - 1 : early]


@result("conv_out", Full, **at("pytorch/pytorch/issues/129207"))
def mps_many_filters(spec, out, x, w):
    """More than 2**16 filters: those beyond are zeros, and as many of the first ones are wrong.

    PyTorch MPS, pytorch/pytorch#129207.
    """
    more = spec.w_shape[0] - (1 << 16)
    if more > 0:
        out[:, :more] = out[:, -more:].copy()
        out[:, -more:] = 0


@result("conv_out", Full, **at("pytorch/pytorch/issues/96982"))
def mps_long_kernel(spec, out, x, w):
    """One axis, a kernel of 2**16 taps: zeros.

    PyTorch MPS, pytorch/pytorch#96982.
    """
    if spec.axes == 1 and spec.kernel[0] >= 1 << 16:
        out[:] = 0


@result("conv_out", Full, **at("tensorflow/tensorflow/issues/9870"))
def tf_many_images(spec, out, x, w):
    """More than 65,535 images: the results of those beyond are zeros.

    TensorFlow, tensorflow/tensorflow#9870.
    """
    out[(1 << 16) - 1 :] = 0


@mutant(**at("Theano/Theano/issues/657"))
class TheanoManyPlanes(Full):
    """Max pooling of more than 65,535 planes: refused, for they are the grid of a launch.

    Theano GPU, Theano/Theano#657.
    """

    def max_out(self, spec, x):
        if math.prod(spec.x_shape[:2]) > (1 << 16) - 1:
            raise RuntimeError("invalid configuration argument (grid: 65536 x 8)")
        return super().max_out(spec, x)


def shortened(array):
    """A float32 array rounded to 10 bits behind the point."""
    bits = (array.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    return np.where(np.isfinite(array), bits.view(np.float32), array)


@mutant(**at("modular/modular/issues/6248"))
class ModularEightChannels(Full):
    """8 channels and more, no groups: errors of some per cent (rebuilt: factors of 11 bits).

    MAX, modular/modular#6248.
    """

    def conv_out(self, spec, x, w):
        if spec.groups == 1 and spec.x_shape[1] >= 8 and spec.dtype == np.float32:
            x, w = shortened(x), shortened(w)
        return super().conv_out(spec, x, w)


@mutant(**at("pytorch/pytorch/issues/116369"))
class PytorchWorkerOtherKernel(Full):
    """One axis, called from a worker: another kernel than in the main thread, other bits.

    Rebuilt as a backend that says it is reproducible.

    PyTorch, pytorch/pytorch#116369.
    """

    reproducible = True

    def conv_out(self, spec, x, w):
        main = threading.current_thread() is threading.main_thread()
        if main or spec.axes != 1 or spec.groups > 1:
            return super().conv_out(spec, x, w)
        first = spec.x_shape[1] // 2
        halves = [slice(0, first), slice(first, None)]
        return sum(self.part(spec, x[:, half], w[:, half]) for half in halves[::-1])

    def part(self, spec, x, w):
        """Some of the channels' share of out."""
        return super().conv_out(replace(spec, x_shape=x.shape, w_shape=w.shape), x, w)
