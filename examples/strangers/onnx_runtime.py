"""ONNX Runtime's operators as a convkit backend."""

from functools import lru_cache

import numpy as np
import onnxruntime
from inference_only import InferenceOnly, contiguous
from onnx import TensorProto, helper

KINDS = {"index": TensorProto.INT64}


@lru_cache(maxsize=64)
def session(op, inputs, outputs, attributes):
    """A session of one operator on inputs of any shape."""
    node = helper.make_node(op, inputs, outputs, **dict(attributes))
    ins, outs = (
        [helper.make_tensor_value_info(n, KINDS.get(n, TensorProto.FLOAT), None) for n in names]
        for names in (inputs, outputs)
    )
    graph = helper.make_graph([node], op, ins, outs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString(), None, ["CPUExecutionProvider"])


def run(op, arrays, outputs, **attributes):
    one = session(op, tuple(arrays), outputs, tuple(attributes.items()))
    return [contiguous(a) for a in one.run(None, arrays)]


def flat(pad):
    """Every axis's begin, then every axis's end."""
    return (*(begin for begin, _ in pad), *(end for _, end in pad))


class Backend(InferenceOnly):
    name = "onnxruntime"

    def supports(self, spec):
        if spec.axes > 3 or spec.x_shape[0] == 0 or spec.dtype != np.float32:
            return "ONNX Runtime's CPU kernels: one to three axes, float32, no empty batch"
        return None

    def convolution(self, x, w, b, stride, pad, dilation, groups):
        arrays = {"x": x, "w": w} | ({} if b is None else {"b": b})
        args = {"strides": stride, "pads": flat(pad), "dilations": dilation, "group": groups}
        return run("Conv", arrays, ("y",), **args)[0]

    def transposed(self, x, w, stride, dilation, groups):
        args = {"strides": stride, "dilations": dilation, "group": groups}
        return run("ConvTranspose", {"x": x, "w": w}, ("y",), **args)[0]

    def pool_forward(self, spec, x):
        args = {"kernel_shape": spec.kernel, "strides": spec.stride, "pads": flat(spec.pad)}
        args["ceil_mode"] = int(spec.ceil_mode)
        if spec.kind == "max":
            return tuple(run("MaxPool", {"x": x}, ("y", "index"), dilations=spec.dilation, **args))
        args["count_include_pad"] = int(spec.count_include_pad)
        return run("AveragePool", {"x": x}, ("y",), **args)[0], None
