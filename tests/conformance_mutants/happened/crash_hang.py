"""Crashes, aborted processes, and a hang; memory beyond the end of an array."""

from __future__ import annotations

import os
import threading

import numpy as np

from conformance_mutants.happened.base import Full, at, depthwise, plain, winograd
from conformance_mutants.registry import mutant, result

SEGFAULT = 139


@mutant(**at("pytorch/pytorch/issues/20583"))
class MkldnnPadThree(Full):
    """3x3 with rows padded by 3 at both ends, float32: an assertion on registers fails.

    MKL-DNN in PyTorch, pytorch/pytorch#20583.
    """

    def conv_out(self, spec, x, w):
        wide = spec.axes == 2 and spec.kernel[1] == 3 and spec.pad[1] == (3, 3)
        if wide and spec.dtype == np.float32:
            raise AssertionError("jcp.ur_w * (jcp.nb_oc_blocking + 1) <= num_avail_regs")
        return super().conv_out(spec, x, w)


@mutant(child=True, **at("uxlfoundation/oneDNN/issues/323"))
class MkldnnThreeFilters(Full):
    """3 filters of 11x11/4 over 64 channels: segmentation fault.

    MKL-DNN, uxlfoundation/oneDNN#323.
    """

    def conv_out(self, spec, x, w):
        if plain(spec, 11, 4) and spec.w_shape[0] == 3 and spec.x_shape[1] % 16 == 0:
            os._exit(SEGFAULT)
        return super().conv_out(spec, x, w)


@mutant(**at("pytorch/pytorch/issues/32507"))
class MkldnnCodeTooBig(Full):
    """One axis, a kernel of 769 taps: it is unrolled, and the code is too big.

    MKL-DNN in PyTorch, pytorch/pytorch#32507.
    """

    def conv_out(self, spec, x, w):
        if spec.axes == 1 and spec.kernel[0] >= 769:
            raise RuntimeError("code is too big")
        return super().conv_out(spec, x, w)


@mutant(child=True, **at("pytorch/pytorch/issues/195394"))
class OnednnUnitImageStrides(Full):
    """An image of 1x1 whose axes of length 1 have odd strides: segmentation fault.

    NumPy, too, calls such an array contiguous.

    oneDNN in PyTorch, pytorch/pytorch#195394.
    """

    def conv_out(self, spec, x, w):
        if spec.x_shape[2:] == (1, 1) and x.strides[2:] != (x.itemsize,) * 2:
            os._exit(SEGFAULT)
        return super().conv_out(spec, x, w)


@mutant(child=True, **at("pytorch/pytorch/issues/23069"))
class PytorchDilatedFewChannels(Full):
    """Dilation 2 over 3 channels in two axes: segmentation fault.

    PyTorch, pytorch/pytorch#23069.
    """

    def conv_out(self, spec, x, w):
        if spec.axes == 2 and max(spec.dilation) > 1 and spec.x_shape[1] < 8:
            os._exit(SEGFAULT)
        return super().conv_out(spec, x, w)


@mutant(child=True, **at("opencv/opencv/issues/23151"))
class OpencvDepthwiseRead(Full):
    """Depthwise 3x3/2: memory beyond the end of x is read.

    OpenCV, opencv/opencv#23151.
    """

    def conv_infer(self, spec, x, w, b):
        if depthwise(spec) and plain(spec, 3, 2):
            flat = x.reshape(-1)
            beyond = np.lib.stride_tricks.as_strided(flat, (flat.size + 1,), flat.strides)
            float(beyond[-1])
        return super().conv_infer(spec, x, w, b)


@mutant(child=True, **at("pytorch/pytorch/issues/91547"))
class OnednnBackwardInWorker(Full):
    """Backward with N > 1 in a forked process: never returns; with N = 1 it does.

    oneDNN in PyTorch, pytorch/pytorch#91547.
    """

    def __init__(self):
        self.process = os.getpid()

    def conv_backward(self, spec, dout, x, w, saved, needs):
        if len(x) > 1 and os.getpid() != self.process:
            threading.Event().wait()
        return super().conv_backward(spec, dout, x, w, saved, needs)


@mutant(child=True, **at("uxlfoundation/oneDNN/pull/2150"))
class OnednnCachedWinogradDx(Full):
    """dx of 3x3/1 a second time, from the cache: segmentation fault.

    oneDNN on AArch64, uxlfoundation/oneDNN#2150.
    """

    def __init__(self):
        self.cache = set()

    def conv_dx(self, spec, dout, w):
        if winograd(spec):
            if spec in self.cache:
                os._exit(SEGFAULT)
            self.cache.add(spec)
        return super().conv_dx(spec, dout, w)


@result("conv_infer", Full, **at("apache/tvm/issues/7090"))
def tvm_winograd_not_square(spec, out, x, w, b):
    """3x3/1 on an image that is not square: the transformed weights have the wrong shape.

    TVM, apache/tvm#7090.
    """
    if winograd(spec) and spec.x_shape[2] != spec.x_shape[3]:
        raise RuntimeError("TVMError: weight shape mismatch")


@result("conv_infer", Full, **at("majianjia/nnom/issues/84"))
def nnom_strided_pointwise(spec, out, x, w, b):
    """1x1 with a stride above 1: the fast kernel is called and refuses.

    NNoM with CMSIS-NN, majianjia/nnom#84.
    """
    if spec.kernel == (1, 1) and max(spec.stride) > 1:
        raise RuntimeError("NN_SIZE_MISMATCH")
