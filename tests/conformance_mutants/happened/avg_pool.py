"""Average pooling: what is divided by what."""

from __future__ import annotations

import math
from dataclasses import replace

from conformance_mutants.base import outer
from conformance_mutants.happened.base import Full, at, padded, pool
from conformance_mutants.registry import mutant, result


def by_whole_window(spec, out):
    """Divide by the kernel's size, where the window hangs over the end too."""
    out *= (outer(spec.counts) / math.prod(spec.kernel)).astype(spec.dtype)


@result("pool_infer", Full, **at("apple/coremltools/pull/2844"))
def coreml_overhang_counted(spec, out, x):
    """ceil_mode and count_include_pad, no padding: the overhang is counted as padding.

    Core ML, apple/coremltools#2844.
    """
    if spec.kind == "avg" and spec.ceil_mode and spec.count_include_pad and not padded(spec):
        by_whole_window(spec, out)


@result("pool_infer", Full, **at("microsoft/onnxruntime/pull/16752"))
def ort_overhang_counted(spec, out, x):
    """ceil_mode, a last window with fewer pixels than the kernel: divided by the kernel's size.

    ONNX Runtime, microsoft/onnxruntime#16752.
    """
    if spec.kind == "avg" and spec.ceil_mode:
        windows = zip(spec.out_shape[2:], spec.stride, spec.pad, spec.kernel, strict=True)
        ends = [(n - 1) * step - begin + k for n, step, (begin, _), k in windows]
        over = [end - size for end, size in zip(ends, spec.x_shape[2:], strict=True)]
        for axis, (more, (_, end)) in enumerate(zip(over, spec.pad, strict=True)):
            if more > end:
                last = (slice(None),) * (2 + axis) + (-1,)
                out[last] *= spec.counts[axis][-1] / spec.kernel[axis]


@result("pool_infer", Full, **at("microsoft/onnxruntime/pull/29631"))
def ort_begin_padding_twice(spec, out, x):
    """Average with unequal padding, count_include_pad: that of the beginning is used for the end.

    ONNX Runtime CUDA, microsoft/onnxruntime#29631.
    """
    if spec.kind == "avg" and spec.count_include_pad and not spec.ceil_mode:
        return pool(replace(spec, pad=tuple((begin, begin) for begin, _ in spec.pad)), x)
    return None


@result("pool_infer", Full, **at("microsoft/onnxruntime/issues/26708"))
def ort_padding_folded(spec, out, x):
    """2x2 average over padding at the end that counts: the padding is folded in and not counted.

    ONNX Runtime, microsoft/onnxruntime#26708.
    """
    end_only = padded(spec) and not any(begin for begin, _ in spec.pad)
    if spec.kind == "avg" and spec.kernel == (2, 2) and end_only and spec.count_include_pad:
        return pool(replace(spec, count_include_pad=False), x)
    return None


@result("pool_infer", Full, **at("openvinotoolkit/openvino/pull/8527"))
def openvino_average_channels(spec, out, x):
    """Average, channels not a multiple of 16: the last ones are wrong (rebuilt: not divided).

    OpenVINO GPU, openvinotoolkit/openvino#8527.
    """
    channels = spec.x_shape[1]
    if spec.kind == "avg" and channels % 16:
        out[:, channels - channels % 16 :] *= outer(spec.counts).astype(spec.dtype)


@mutant(**at("pytorch/pytorch/pull/94348"))
class MpsPoolGraphKey(Full):
    """Average of one shape, first without and then with count_include_pad: the first graph is kept.

    The key of the kept graph leaves the divisor out.

    PyTorch MPS, pytorch/pytorch#94348.
    """

    def __init__(self):
        self.graphs = {}

    def geometry(self, spec, what):
        if what not in ("pool", "pool_dx") or spec.kind != "avg":
            return spec
        key = (what, replace(spec, count_include_pad=False))
        return self.graphs.setdefault(key, spec)
