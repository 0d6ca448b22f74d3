"""The correct backends that these mutants are one bug away from, and how a report is cited."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import Fused
from conformance_mutants.registry import mutant


class Full(Fused):
    """Correct; with every method that a backend may have.

    ``pool_infer`` and ``conv_infer`` go through the same kernels as training does, so a bug put
    into ``conv_out`` shows in forward, in inference and in the fused pass.
    """

    def conv_infer(self, spec, x, w, b):
        return self.conv_forward(spec, x, w, b)[0]

    def pool_infer(self, spec, x):
        return self.pool_forward(spec, x)[0]


RIGHT = Full()


def at(thread):
    """The decorator's keyword for a report's address, given as owner/repository/kind/number."""
    return {"options": {"source": f"https://github.com/{thread}"}}


def reads(*where, thread):
    """Put on the list: a function of the spec that returns the spec as it is misread.

    ``where`` names the passes that misread it: out, dx, dw, pool, pool_dx.
    """

    def add(function):
        def geometry(self, spec, what):
            return function(spec) if what in where else spec

        body = {
            "geometry": geometry,
            "name": function.__name__,
            "__doc__": function.__doc__,
            "__module__": function.__module__,
        }
        mutant(type(function.__name__, (Full,), body), **at(thread))
        return function

    return add


def conv(spec, x, w, b=None):
    """The convolution, computed correctly."""
    return RIGHT.conv_infer(spec, x, w, b)


def pool(spec, x):
    """The pooling, computed correctly."""
    return RIGHT.pool_infer(spec, x)


def depthwise(spec):
    """Whether every channel of several has filters of its own."""
    return spec.groups == spec.x_shape[1] > 1


def plain(spec, size, stride):
    """Whether this is a size x size kernel in two axes with this stride, neither dilated."""
    square, step = (size, size), (stride, stride)
    return spec.kernel == square and spec.stride == step and spec.dilation == (1, 1)


def winograd(spec):
    """Whether this is a 3x3 kernel with stride 1 without groups, as Winograd kernels take it."""
    return plain(spec, 3, 1) and spec.groups == 1


def padded(spec):
    """Whether there is any padding."""
    return any(map(any, spec.pad))


def unpadded(spec):
    """The spec without padding; its output keeps its size, and reads beyond the image are lost."""
    return replace(spec, pad=((0, 0),) * spec.axes)


def leftover(spec):
    """Per axis, how many pixels at the end of the padded input no window reaches."""
    sizes = zip(spec.x_shape[2:], spec.pad, spec.window, spec.stride, strict=True)
    return tuple((n + sum(pair) - window) % step for n, pair, window, step in sizes)


def lowest(spec):
    """The lowest finite number of the spec's dtype."""
    return np.finfo(spec.dtype).min
