"""JAX's convolution and window reductions as a convkit backend; gradients by JAX's transforms."""

import math

import jax
import numpy as np
from jax import lax

from convkit.contract import API_VERSION

jax.config.update("jax_enable_x64", True)


def convolution(spec, x, w):
    letters = "DHW"[-spec.axes :]
    layout = f"NC{letters}", f"OI{letters}", f"NC{letters}"
    return lax.conv_general_dilated(
        x, w, spec.stride, spec.pad, rhs_dilation=spec.dilation, dimension_numbers=layout,
        feature_group_count=spec.groups, precision=lax.Precision.HIGHEST,
    )  # fmt: skip


def pool(spec, x):
    pads = [(0, 0), (0, 0)]
    for axis, (begin, _) in enumerate(spec.pad):  # what ceil_mode adds, or floor leaves over
        last = (spec.out_shape[2 + axis] - 1) * spec.stride[axis] + spec.window[axis]
        end = last - begin - spec.x_shape[2 + axis]
        x = lax.slice_in_dim(x, 0, spec.x_shape[2 + axis] + min(end, 0), axis=2 + axis)
        pads.append((begin, max(end, 0)))
    ones = (1, 1)
    args = ones + spec.kernel, ones + spec.stride, pads
    if spec.kind == "max":
        low = np.array(-np.inf, spec.dtype)
        return lax.reduce_window(x, low, lax.max, *args, window_dilation=ones + spec.dilation)
    return lax.reduce_window(x, np.array(0, spec.dtype), lax.add, *args) / divisor(spec)


def divisor(spec):
    grids = np.meshgrid(*spec.counts, indexing="ij")
    return math.prod(grids).astype(spec.dtype)


def transpose(function, like, dout):
    """The gradient of a linear function, without computing the function itself."""
    return np.array(jax.linear_transpose(function, like)(dout)[0], order="C")


class Backend:
    name = "jax"
    api_version = API_VERSION

    def supports(self, spec):
        if spec.axes > 3:
            return "JAX's layouts are named here for one to three axes"
        if spec.operation == "max_pool" and max(spec.dilation) > 1:
            return "JAX has no gradient of a dilated maximum"
        return None

    def conv_forward(self, spec, x, w, b):
        out = np.array(convolution(spec, x, w), order="C")
        return out if b is None else out + b.reshape(-1, *[1] * spec.axes), None

    def conv_backward(self, spec, dout, x, w, saved, needs):
        dx = dw = db = None
        if "dx" in needs:
            dx = transpose(lambda t: convolution(spec, t, w), x, dout)
        if "dw" in needs:
            dw = transpose(lambda t: convolution(spec, x, t), w, dout)
        if "db" in needs:
            db = np.array(jax.numpy.sum(dout, (0, *range(2, dout.ndim))))
        return dx, dw, db

    def pool_forward(self, spec, x):
        return np.array(pool(spec, x), order="C"), x.copy()

    def pool_backward(self, spec, dout, saved):
        return np.array(jax.vjp(lambda t: pool(spec, t), saved)[1](dout)[0], order="C")
