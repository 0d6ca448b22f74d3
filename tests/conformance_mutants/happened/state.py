"""Right once: wrong on the second call, after another shape, with threads, or now and then."""

from __future__ import annotations

import numpy as np

from conformance_mutants.base import Taps, Threaded
from conformance_mutants.happened.base import Full, at, depthwise
from conformance_mutants.registry import mutant


@mutant(**at("tensorflow/tfjs/issues/4844"))
class TfjsOddWidthSecondRun(Full):
    """Odd width, the second run of a problem: wrong (rebuilt: the last column); even widths right.

    tfjs WebGL, tensorflow/tfjs#4844.
    """

    def __init__(self):
        self.seen = set()

    def conv_infer(self, spec, x, w, b):
        out = super().conv_infer(spec, x, w, b)
        if spec in self.seen and spec.x_shape[-1] % 2:
            out[..., -1] = 0
        self.seen.add(spec)
        return out


@mutant(**at("FluxML/NNlib.jl/issues/147"))
class NnlibDepthwiseNotCleared(Full):
    """Depthwise with more filters than channels, called again: added to what out's memory held.

    Rebuilt: the memory is that of the call before.

    NNlib.jl, FluxML/NNlib.jl#147.
    """

    def __init__(self):
        self.memory = {}

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if depthwise(spec) and spec.w_shape[0] > spec.x_shape[1]:
            key = (out.shape, out.dtype)
            out += self.memory.get(key, 0)
            self.memory[key] = out.copy()
        return out


@mutant(**at("FluxML/NNlib.jl/issues/197"))
class NnlibThreadedDw(Threaded):
    """dw, N > 1, several threads: too small, shares are lost (rebuilt: that of the last image).

    NNlib.jl, FluxML/NNlib.jl#197.
    """

    def conv_dw(self, spec, dout, x):
        if self.threads > 1 and len(x) > 1:
            return Taps.conv_dw(self, spec, dout[:-1], x[:-1])
        return super().conv_dw(spec, dout, x)


@mutant(**at("tensorflow/tensorflow/issues/42988"))
class TfDilatedRemembersLength(Full):
    """One dilated axis, after a shorter input: what was worked out for the first length is kept.

    Rebuilt: results beyond the first length are zeros.

    TensorFlow, tensorflow/tensorflow#42988.
    """

    def __init__(self):
        self.lengths = {}

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        if spec.axes == 1 and spec.dilation[0] > 1:
            key = (spec.w_shape, spec.stride, spec.dilation, spec.pad, spec.dtype)
            out[..., self.lengths.setdefault(key, out.shape[-1]) :] = 0
        return out


@mutant(**at("pytorch/pytorch/issues/81185"))
class AppleLongRowNan(Full):
    """One row, a kernel of 499 taps, more than 512 results: NaN from 512 on in one call of twenty.

    PyTorch on Apple M1, pytorch/pytorch#81185.
    """

    calls = 0

    def conv_out(self, spec, x, w):
        out = super().conv_out(spec, x, w)
        row = spec.axes == 2 and spec.x_shape[2] == spec.kernel[0] == 1
        if row and spec.kernel[1] > 256 and spec.out_shape[-1] > 512:
            self.calls += 1
            if self.calls % 20 == 2:
                out[..., 512:518] = np.nan
        return out
