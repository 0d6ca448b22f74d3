"""A correct backend with conv_relu of its own, and the decorator that plants bugs in it."""

from __future__ import annotations

import inspect

import numpy as np

from conformance_mutants.base import CopyingPadding
from conformance_mutants.registry import _add


class Rectified(CopyingPadding):
    """Correct; forward, inference and backward of conv_relu."""

    def z(self, spec, x, w, b):
        return self.conv_forward(spec, x, w, b)[0]

    def rectify(self, spec, z):
        return np.maximum(z, 0)

    def on(self, spec, z):
        return z > 0

    def masked(self, spec, dout, on):
        return np.where(self.unpacked(spec, on), dout, 0).astype(dout.dtype)

    def unpacked(self, spec, on):
        return on

    def gradients(self, spec, dout, dz, x, w, needs):
        return self.conv_backward(spec, dz, x, w, None, needs)

    def conv_relu_forward(self, spec, x, w, b):
        z = self.z(spec, x, w, b)
        return self.rectify(spec, z), self.on(spec, z)

    def conv_relu_infer(self, spec, x, w, b):
        return self.rectify(spec, self.z(spec, x, w, b))

    def conv_relu_backward(self, spec, dout, x, w, saved, needs):
        return self.gradients(spec, dout, self.masked(spec, dout, saved), x, w, needs)


def planted(prefix, base):
    """Return a decorator for a base: ``method`` to spoil -> what puts a function on the list.

    The function gets (spec, value, *inputs), ``value`` being what the method returned, which it
    changes or replaces. With a first argument ``backend`` it takes the method's place: (backend,
    right, *inputs), where ``right`` is the method as it should be.
    """

    def bug(method, **options):
        right = getattr(base, method)

        def add(function):
            whole = next(iter(inspect.signature(function).parameters)) == "backend"

            def wrong(self, *inputs):
                if whole:
                    return function(self, lambda *given: right(self, *given), *inputs)
                value = right(self, *inputs)
                other = function(inputs[0], value, *inputs[1:])
                return value if other is None else other

            name = f"{prefix}_{function.__name__}"
            body = {method: wrong, "name": name, "__module__": function.__module__}
            made = type(name, (base,), body | {"__doc__": function.__doc__})
            _add(made, made, **options)
            return function

        return add

    return bug
