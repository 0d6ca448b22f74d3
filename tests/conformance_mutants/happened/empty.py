"""A batch without images."""

from __future__ import annotations

import numpy as np

from conformance_mutants.happened.base import Full, at
from conformance_mutants.registry import mutant


@mutant(**at("FluxML/NNlib.jl/pull/763"))
class NnlibEmptyDw(Full):
    """N = 0: dw is whatever its memory held; in other passes a division by zero.

    Rebuilt: ones.

    NNlib.jl, FluxML/NNlib.jl#763.
    """

    def conv_dw(self, spec, dout, x):
        return super().conv_dw(spec, dout, x) if len(x) else np.ones(spec.w_shape, spec.dtype)


@mutant(**at("pytorch/pytorch/pull/26711"))
class NnpackEmptyBatch(Full):
    """N = 0 in float32: refused by the kernel.

    NNPACK in PyTorch, pytorch/pytorch#26711.
    """

    def conv_out(self, spec, x, w):
        if not len(x) and spec.dtype == np.float32:
            raise RuntimeError("NNPACK SpatialConvolution_updateOutput failed")
        return super().conv_out(spec, x, w)


@mutant(**at("tensorflow/tensorflow/issues/14657"))
class TfEmptyBackward(Full):
    """N = 0 in backward: the tensor's description is refused.

    TensorFlow with cuDNN, tensorflow/tensorflow#14657.
    """

    def conv_backward(self, spec, dout, x, w, saved, needs):
        if not len(x) and spec.axes == 2:
            raise RuntimeError("CUDNN_STATUS_BAD_PARAM")
        return super().conv_backward(spec, dout, x, w, saved, needs)


@mutant(**at("tensorflow/tensorflow/issues/57497"))
class TfEmptyMaxPool3dGradient(Full):
    """An empty axis in the gradient of 3-D max pooling: a check fails (here the batch is empty).

    TensorFlow GPU, tensorflow/tensorflow#57497.
    """

    def max_dx(self, spec, dout, winner):
        if spec.axes == 3 and not dout.size:
            raise RuntimeError("Check failed: work_element_count > 0 (0 vs. 0)")
        return super().max_dx(spec, dout, winner)
