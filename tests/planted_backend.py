"""A backend with one wrong element, and calls of every operation that would meet it."""

from __future__ import annotations

import numpy as np

import convkit
from convkit import registry


def planted(result, size=1e-2):
    """A backend that is right but for the last element of one result."""
    real = registry.load("im2col_numpy").backend

    def spoil(name, array):
        if name == result and array is not None:
            array.flat[-1] += size
        return array

    class Planted:
        name = "planted"
        api_version = 1

        def supports(self, spec):
            return None

        def conv_forward(self, spec, x, w, b):
            out, saved = real.conv_forward(spec, x, w, b)
            return spoil("out", out), saved

        def conv_backward(self, spec, dout, x, w, saved, needs):
            found = real.conv_backward(spec, dout, x, w, saved, needs)
            return tuple(map(spoil, ("dx", "dw", "db"), found))

        def pool_forward(self, spec, x):
            out, saved = real.pool_forward(spec, x)
            return spoil("pool out", out), saved

        def pool_backward(self, spec, dout, saved):
            return spoil("pool dx", real.pool_backward(spec, dout, saved))

    return Planted()


def every_call(rng, backend, dtype, scale=1.0):
    def data(*shape):
        return (scale * rng.standard_normal(shape)).astype(dtype)

    x, w, b = data(2, 4, 7, 6), data(6, 2, 3, 2), data(6)
    out, cache = convkit.conv_forward(x, w, b, stride=(2, 1), pad=1, groups=2, backend=backend)
    convkit.conv_backward(data(*out.shape), cache)
    convkit.conv_backward(data(*out.shape), cache, needs=("dw",))
    convkit.conv(x, w, groups=2, backend=backend)
    for kernel, stride in ((2, 2), (3, 1)):
        for kind in ("max", "avg"):
            forward = getattr(convkit, f"{kind}_pool_forward")
            out, cache = forward(x, kernel=kernel, stride=stride, pad=1, backend=backend)
            getattr(convkit, f"{kind}_pool_backward")(data(*out.shape), cache)
    for each in (x, np.round(x), np.zeros_like(x)):  # the latter two are full of ties
        out, cache = convkit.conv_relu_pool_forward(
            each, w, b, {"pad": 1, "groups": 2}, {"kernel": 2, "stride": 1}, backend=backend
        )
        convkit.conv_relu_pool_backward(data(*out.shape), cache)
