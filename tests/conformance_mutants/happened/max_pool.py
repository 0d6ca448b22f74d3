"""Max pooling forward, and what all pools share in inference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from conformance_mutants.happened.base import Full, at, lowest, padded, pool, reads, unpadded
from conformance_mutants.registry import mutant, result


@result("pool_infer", Full, **at("tensorflow/tfjs/pull/4854"))
def tfjs_maximum_from_zero(spec, out, x):
    """Max pooling of negative numbers: 0, which the maximum starts from.

    tfjs WebGPU, tensorflow/tfjs#4854.
    """
    return np.maximum(out, 0) if spec.kind == "max" else None


@result("pool_infer", Full, **at("uxlfoundation/oneDNN/pull/1677"))
def onednn_maximum_from_tiny(spec, out, x):
    """Max pooling of negative float32: FLT_MIN, the smallest positive number, it starts from.

    oneDNN on RISC-V, uxlfoundation/oneDNN#1677.
    """
    if spec.kind == "max" and spec.dtype == np.float32:
        return np.maximum(out, np.finfo(np.float32).tiny)
    return None


@result("pool_infer", Full, **at("tensorflow/tfjs/issues/5355"))
def tfjs_unit_window(spec, out, x):
    """A window of 1x1, with or without stride: zeros.

    tfjs wasm, tensorflow/tfjs#5355.
    """
    if spec.kernel == (1, 1):
        out[:] = 0


@result("pool_infer", Full, **at("tensorflow/tflite-micro/pull/3584"))
def tflitemicro_first_image(spec, out, x):
    """Pooling, N > 1: all images but the first are dropped.

    TensorFlow Lite Micro with CMSIS-NN, tensorflow/tflite-micro#3584.
    """
    if spec.axes == 2:
        out[1:] = 0


@result("pool_infer", Full, **at("tensorflow/tensorflow/issues/31271"))
def tflitemicro_padding_arguments(spec, out, x):
    """Max pooling 1 x k on one row: an argument missed, windows miss the image, all is the lowest.

    TensorFlow Lite Micro, tensorflow/tensorflow#31271.
    """
    row = spec.axes == 2 and spec.x_shape[2] == spec.kernel[0] == 1 < spec.kernel[1]
    if row and spec.kind == "max":
        out[:] = lowest(spec)


@reads("pool", "pool_dx", thread="CanReader/FastNN/issues/4")
def fastnn_dilation_ignored(spec):
    """Dilated pooling: the size of a dilated window, the pixels of one that is not.

    FastNN, CanReader/FastNN#4.
    """
    return replace(spec, dilation=(1,) * spec.axes)


@reads("pool", thread="apache/systemds/pull/434")
def systemds_maximum_padded(spec):
    """Max pooling 2x2/2 padded by 1: wrong, without padding right (rebuilt: it is not read).

    SystemML, apache/systemds#434.
    """
    return unpadded(spec) if spec.kind == "max" else spec


@mutant(**at("HIPS/autograd/pull/245"))
class AutogradReshapedWindows(Full):
    """Max pooling with stride equal to the kernel: reshaped the wrong way round.

    The right shape, the maximum over pixels a window apart.

    autograd's example, HIPS/autograd#245.
    """

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        rows, columns = spec.x_shape[2:] if spec.axes == 2 else (0, 0)
        if not rows or spec.stride != spec.kernel or padded(spec) or max(spec.dilation) > 1:
            return out, winner
        if rows % spec.kernel[0] or columns % spec.kernel[1]:
            return out, winner
        high, wide = spec.kernel
        apart = x.reshape(*x.shape[:2], high, rows // high, wide, columns // wide)
        return np.ascontiguousarray(apart.max(axis=(2, 4))), winner


def rounded_up(spec):
    """The size of out with ceil_mode where windows that start in the end padding are kept."""
    sides = zip(spec.x_shape[2:], spec.pad, spec.window, spec.stride, strict=True)
    sizes = (-(-(n + sum(pair) - window) // step) + 1 for n, pair, window, step in sides)
    return (*spec.out_shape[:2], *sizes)


def extended(spec, out, value):
    """Out in that size, filled up with a value; None where the sizes agree."""
    shape = rounded_up(spec)
    if not spec.ceil_mode or shape == spec.out_shape:
        return None
    larger = np.full(shape, value, spec.dtype)
    larger[tuple(slice(n) for n in out.shape)] = out
    return larger


@result("pool_infer", Full, **at("microsoft/onnxruntime/issues/15446"))
def ort_maximum_extra_window(spec, out, x):
    """Max pooling, ceil_mode and padding: a window in the end padding is kept (lowest number).

    ONNX Runtime, microsoft/onnxruntime#15446.
    """
    return extended(spec, out, lowest(spec)) if spec.kind == "max" else None


@result("pool_infer", Full, **at("microsoft/onnxruntime/issues/16351"))
def ort_average_extra_window(spec, out, x):
    """Average pooling, ceil_mode and padding: a window in the end padding is kept, as NaN or 0.

    ONNX Runtime, microsoft/onnxruntime#16351.
    """
    value = 0 if spec.count_include_pad else np.nan
    return extended(spec, out, value) if spec.kind == "avg" else None


@result("pool_infer", Full, **at("tenstorrent/tt-metal/issues/14260"))
def ttnn_maximum_tail(spec, out, x):
    """Max pooling 3x3/1 padded by 1, 81 pixels: garbage in the last channels of the last pixel.

    tt-metal, tenstorrent/tt-metal#14260.
    """
    shape = (spec.kernel, spec.stride, spec.pad) == ((3, 3), (1, 1), ((1, 1), (1, 1)))
    if spec.kind == "max" and shape and math.prod(spec.out_shape[2:]) % 32:
        out[:, -2:, -1, -1] = np.inf


@result("pool_infer", Full, **at("openvinotoolkit/openvino/pull/23813"))
def openvino_window_beyond_image(spec, out, x):
    """ceil_mode, a window larger than image and padding before it: refused (C's negative %).

    OpenVINO, openvinotoolkit/openvino#23813.
    """
    sides = zip(spec.x_shape[2:], spec.pad, spec.window, spec.stride, strict=True)
    room = [(n + begin - window, step) for n, (begin, _), window, step in sides]
    if spec.ceil_mode and any(free < 0 and free % step for free, step in room):
        raise RuntimeError("could not create a descriptor for a pooling forward primitive")


@result("pool_infer", Full, **at("openvinotoolkit/openvino/pull/689"))
def cldnn_end_padding(spec, out, x):
    """Max pooling padded at the end: inaccurate (rebuilt: padding there counts as 0).

    clDNN in OpenVINO, openvinotoolkit/openvino#689.
    """
    if spec.kind != "max" or not any(end for _, end in spec.pad):
        return None
    ends = [(0, end) for _, end in spec.pad]
    sides = zip(spec.x_shape[2:], ends, strict=True)
    larger = replace(
        spec,
        x_shape=(*spec.x_shape[:2], *(n + end for n, (_, end) in sides)),
        pad=tuple((begin, 0) for begin, _ in spec.pad),
    )
    return pool(larger, np.pad(x, [(0, 0), (0, 0), *ends]))
