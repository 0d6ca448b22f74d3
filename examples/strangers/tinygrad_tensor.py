"""tinygrad's tensors as a convkit backend; it compiles C at run time, with ``clang``."""

import numpy as np
from tinygrad import Tensor

from convkit.contract import API_VERSION


def numpy(tensor):
    return np.array(tensor.numpy(), order="C")


def padding(spec):
    """tinygrad takes (begin, end) of the last axis first."""
    return tuple(n for pair in spec.pad[::-1] for n in pair)


class Backend:
    name = "tinygrad"
    api_version = API_VERSION

    def supports(self, spec):
        if spec.operation != "conv":
            return (
                "tinygrad divides a maximum's gradient among equal ones; its pools are not called"
            )
        return "tinygrad's gradients take no empty batch" if spec.x_shape[0] == 0 else None

    def convolution(self, spec, x, w, b=None):
        return x.conv2d(w, b, spec.groups, spec.stride, spec.dilation, padding(spec))

    def conv_forward(self, spec, x, w, b):
        bias = None if b is None else Tensor(b)
        return numpy(self.convolution(spec, Tensor(x), Tensor(w), bias)), None

    def conv_backward(self, spec, dout, x, w, saved, needs):
        given = {"dx": Tensor(x), "dw": Tensor(w)}
        if "db" in needs:
            given["db"] = Tensor(np.zeros(len(w), spec.dtype))
        out = self.convolution(spec, *given.values())
        wanted = [n for n in given if n in needs]
        found = out.gradient(*(given[n] for n in wanted), gradient=Tensor(dout))
        grads = {n: numpy(g) for n, g in zip(wanted, found, strict=True)}
        return grads.get("dx"), grads.get("dw"), grads.get("db")

    def pool_forward(self, spec, x):
        raise NotImplementedError

    def pool_backward(self, spec, dout, saved):
        raise NotImplementedError
