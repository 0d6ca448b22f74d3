"""A correct backend with a transposed convolution of its own, and what plants bugs in it.

It scatters each tap of the kernel, from the definition: pixel i of x reaches pixel
i * stride + tap * dilation - pad of out.
"""

from __future__ import annotations

import math

import numpy as np

from conformance_mutants.base import Taps
from conformance_mutants.registry import _add


class Transposed(Taps):
    """Correct; with a transposed convolution of its own, and its inference."""

    def where(self, spec, what):
        """The spec as it is read for ``what``: t_out, t_dx or t_dw."""
        return spec

    def conv_transpose_forward(self, spec, x, w, b):
        return self.whole(spec, x, w, b), None

    def conv_transpose_infer(self, spec, x, w, b):
        return self.whole(spec, x, w, b)

    def whole(self, spec, x, w, b):
        out = self.t_out(self.where(spec, "t_out"), x, w)
        if b is not None:
            self.t_bias(spec, out, b)
        return out

    def conv_transpose_backward(self, spec, dout, x, w, saved, needs):
        dx = self.t_dx(self.where(spec, "t_dx"), dout, w) if "dx" in needs else None
        dw = self.t_dw(self.where(spec, "t_dw"), dout, x) if "dw" in needs else None
        db = self.t_db(spec, dout) if "db" in needs else None
        return dx, dw, db

    def t_out(self, spec, x, w):
        out = np.zeros(spec.out_shape, spec.dtype)
        for tap, ins, outs in taps(spec):
            out[:, :, *outs] += grouped(spec, x[:, :, *ins], w[:, :, *tap])
        return out

    def t_bias(self, spec, out, b):
        out += b.reshape(-1, *(1,) * (out.ndim - 2))

    def t_dx(self, spec, dout, w):
        dx = np.zeros(spec.x_shape, spec.dtype)
        groups = spec.groups
        for tap, ins, outs in taps(spec):
            part = dout[:, :, *outs]
            count = math.prod(part.shape[2:])
            pixels = part.reshape(len(part), groups, part.shape[1] // groups, count)
            weights = w[:, :, *tap].reshape(groups, -1, w.shape[1])
            place = dx[:, :, *ins]
            place += (weights @ pixels).reshape(place.shape)
        return dx

    def t_dw(self, spec, dout, x):
        dw = np.zeros(spec.w_shape, spec.dtype)
        groups = spec.groups
        for tap, ins, outs in taps(spec):
            a, b = x[:, :, *ins], dout[:, :, *outs]
            count = math.prod(a.shape[2:])
            a = a.reshape(len(a), groups, a.shape[1] // groups, count)
            b = b.reshape(len(b), groups, b.shape[1] // groups, count)
            dw[:, :, *tap] = (a @ b.swapaxes(2, 3)).sum(axis=0).reshape(spec.w_shape[:2])
        return dw

    def t_db(self, spec, dout):
        return dout.sum(axis=tuple(range(2, dout.ndim))).sum(axis=0)


def taps(spec):
    """Yield each tap with the slices of x and of out that it joins."""
    for tap in np.ndindex(*spec.kernel):
        ins, outs = [], []
        for axis, place in enumerate(tap):
            step, size = spec.stride[axis], spec.x_shape[2 + axis]
            offset = place * spec.dilation[axis] - spec.pad[axis][0]
            first = max(0, -(offset // step))
            last = min(size, -((offset - spec.out_shape[2 + axis]) // step))
            ins.append(slice(first, max(first, last)))
            begin = first * step + offset
            outs.append(slice(begin, begin + max(0, last - first) * step, step))
        if all(s.stop > s.start for s in ins):
            yield tap, tuple(ins), tuple(outs)


def grouped(spec, x, w):
    """One tap of w (C, F / groups) times the channels of each group of x."""
    groups = spec.groups
    pixels = x.reshape(len(x), groups, x.shape[1] // groups, math.prod(x.shape[2:]))
    weights = w.reshape(groups, -1, w.shape[1]).swapaxes(1, 2)
    return (weights @ pixels).reshape(len(x), groups * w.shape[1], *x.shape[2:])


def transposed_bug(method):
    """Put on the list: what ``method`` returned, spoiled by a function (spec, value, *inputs)."""

    def add(function):
        right = getattr(Transposed, method)

        def wrong(self, spec, *inputs):
            value = right(self, spec, *inputs)
            other = function(spec, value, *inputs)
            return value if other is None else other

        return _put(function, {method: wrong})

    return add


def misread(*where):
    """Put on the list: a function of the spec that returns the spec as it is misread."""

    def add(function):
        def read(self, spec, what):
            return function(spec) if what in where else spec

        return _put(function, {"where": read})

    return add


def replaced(*methods):
    """Put on the list: a function that takes the place of methods, with what is right before it."""

    def add(function):
        body = {}
        for method in methods:
            right = getattr(Transposed, method)

            def wrong(self, *inputs, right=right):
                return function(self, lambda *given: right(self, *given), *inputs)

            body[method] = wrong
        return _put(function, body)

    return add


def _put(function, body):
    name = f"transposed_{function.__name__}"
    body |= {"name": name, "__module__": function.__module__, "__doc__": function.__doc__}
    made = type(name, (Transposed,), body)
    _add(made, made)
    return function
