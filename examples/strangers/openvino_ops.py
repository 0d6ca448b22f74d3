"""OpenVINO's operations as a convkit backend.

Its CPU plugin computes float64 in float32, which is declined, and float32 in bfloat16 where the
machine has it, which is forbidden here.
"""

import numpy as np
import openvino
from inference_only import InferenceOnly, contiguous
from openvino import opset14 as ops

CORE = openvino.Core()
CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def run(operation, arrays, *args, **words):
    """The operation's outputs; x and w are both inputs, so that no weight is folded away."""
    inputs = [ops.parameter(a.shape, a.dtype) for a in arrays]
    model = openvino.Model(operation(*inputs, *args, **words).outputs(), inputs)
    found = CORE.compile_model(model, "CPU", CONFIG)(arrays)
    return [contiguous(found[n]) for n in range(len(found))]


def grouped(w, groups):
    return w if groups == 1 else w.reshape(groups, -1, *w.shape[1:])


class Backend(InferenceOnly):
    name = "openvino"

    def supports(self, spec):
        if spec.axes > 3 or spec.x_shape[0] == 0 or spec.dtype != np.float32:
            return "OpenVINO's CPU plugin: one to three axes, float32, no empty batch"
        return None

    def convolution(self, x, w, b, stride, pad, dilation, groups):
        operation = ops.convolution if groups == 1 else ops.group_convolution
        begin, end = zip(*pad, strict=True)
        (out,) = run(operation, [x, grouped(w, groups)], stride, begin, end, dilation)
        return out if b is None else out + b.reshape(-1, *[1] * len(stride))

    def transposed(self, x, w, stride, dilation, groups):
        plain, split = ops.convolution_backprop_data, ops.group_convolution_backprop_data
        none = [0] * len(stride)
        words = {"strides": stride, "pads_begin": none, "pads_end": none, "dilations": dilation}
        return run(plain if groups == 1 else split, [x, grouped(w, groups)], **words)[0]

    def pool_forward(self, spec, x):
        begin, end = zip(*spec.pad, strict=True)
        rounding = "ceil_torch" if spec.ceil_mode else "floor"
        if spec.kind == "max":
            args = spec.stride, spec.dilation, begin, end, spec.kernel, rounding
            return tuple(run(ops.max_pool, [x], *args))
        args = spec.stride, begin, end, spec.kernel, not spec.count_include_pad, rounding
        return run(ops.avg_pool, [x], *args)[0], None
