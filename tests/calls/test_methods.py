"""A backend's own methods are used where it supports the problem, else composed ones."""

from __future__ import annotations

import numpy as np

import convkit
from convkit import registry


def test_a_backends_own_methods_are_used_where_it_supports_the_problem(rng):
    calls = []

    class Own:
        name, api_version = "own", 1

        def __init__(self):
            self.real = registry.load("im2col_numpy").backend
            self.declines = False

        def __getattr__(self, name):
            if name.startswith(("conv_f", "conv_b", "pool")):
                return getattr(self.real, name)
            raise AttributeError(name)

        def supports(self, spec):
            return "not today" if spec.operation == "conv_transpose" and self.declines else None

        def conv_transpose_forward(self, spec, x, w, b):
            calls.append("forward")
            return np.zeros(spec.out_shape, spec.dtype), None

        def conv_transpose_backward(self, spec, dout, x, w, saved, needs):
            calls.append("backward")
            return np.zeros_like(x), np.zeros_like(w), None

    x, w = rng.normal(size=(2, 4, 5, 6)), rng.normal(size=(4, 3, 3, 2))
    own = Own()
    out, cache = convkit.conv_transpose_forward(x, w, backend=own)
    convkit.conv_transpose_backward(out, cache)
    assert calls == ["forward", "backward"]
    own.declines = True
    convkit.reload()
    assert convkit.conv_transpose(x, w, backend=own).any()  # composed of its convolution
    assert calls == ["forward", "backward"]
