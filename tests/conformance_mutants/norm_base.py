"""A correct backend with normalisations of its own, and the decorator that plants bugs in it.

Written from the protocol: every set is laid out as a row, and summed in float64 or, for float64,
in pairs (`numpy.sum` along contiguous memory) with what the mean's rounding left out put right.
"""

from __future__ import annotations

import inspect
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from conformance_mutants.base import Taps
from conformance_mutants.registry import _add


class Norms(Taps):
    """Correct; forward, inference and backward of batch and group normalisation."""

    # --- the layout ---

    def rows(self, spec, a):
        """x's numbers as (sets, numbers of a set), in float64."""
        a = a.astype(np.float64)
        if spec.kind == "batch":
            return np.ascontiguousarray(a.swapaxes(0, 1)).reshape(a.shape[1], spec.set_size)
        return a.reshape(a.shape[0] * spec.groups, spec.set_size)

    def across(self, spec, values):
        """One value per set, as it broadcasts against x."""
        n, channels, *pixels = spec.x_shape
        if spec.kind == "group":
            values = np.repeat(values.reshape(n, spec.groups), channels // spec.groups, axis=1)
        return values.reshape(*values.shape, *(1,) * len(pixels))

    def channel(self, spec, values):
        """One value per channel, as it broadcasts against x."""
        return values.reshape(-1, *(1,) * (len(spec.x_shape) - 2))

    # --- the seams of forward ---

    def mean(self, spec, x):
        rows = self.rows(spec, x)
        mean = rows.mean(axis=1)
        return mean + (rows - mean[:, None]).mean(axis=1)

    def var(self, spec, x, mean):
        return np.square(self.rows(spec, x) - mean[:, None]).mean(axis=1)

    def inverse(self, spec, var):
        return 1 / np.sqrt(var + spec.eps)

    def normal(self, spec, x, mean, inverse):
        return (x - self.across(spec, mean)) * self.across(spec, inverse)

    def affine(self, spec, z, gamma, beta):
        return self.channel(spec, gamma) * z + self.channel(spec, beta)

    def add(self, spec, out, residual):
        return out + residual

    def relu(self, spec, out):
        return np.maximum(out, 0)

    def finish(self, spec, out):
        return out.astype(spec.dtype)

    def statistics(self, spec, x, mean, var):
        """Return (mean, var) by which x is normalised, in float64."""
        if spec.kind == "group" or spec.training:
            mean = self.mean(spec, x)
            return mean, self.var(spec, x, mean)
        return mean.astype(np.float64), var.astype(np.float64)

    def moved(self, spec, mean, var):
        """Return what forward hands out for the running statistics."""
        return mean.astype(spec.dtype), var.astype(spec.dtype)

    def keep(self, spec, mean, inverse, positive):
        return mean, inverse, positive

    def computed(self, spec, x, gamma, beta, mean, var, residual):
        """Return out, saved, mean and var."""
        with np.errstate(all="ignore"):
            mean, var = self.statistics(spec, x, mean, var)
            inverse = self.inverse(spec, var)
            out = self.affine(spec, self.normal(spec, x, mean, inverse), gamma, beta)
            if residual is not None:
                out = self.add(spec, out, residual)
            positive = self.positive(spec, out) if spec.relu else None
            if spec.relu:
                out = self.relu(spec, out)
            out = self.finish(spec, np.ascontiguousarray(out))
            return out, self.keep(spec, mean, inverse, positive), mean, var

    def positive(self, spec, out):
        return out > 0

    # --- the seams of backward ---

    def behind_relu(self, spec, dout, positive):
        return np.where(positive, dout, np.zeros((), spec.dtype))

    def dgamma(self, spec, d, z):
        return (d * z).sum(axis=(0, *range(2, d.ndim)))

    def dbeta(self, spec, d):
        return d.sum(axis=(0, *range(2, d.ndim)), dtype=np.float64)

    def dresidual(self, spec, d):
        return d.copy()

    def dx(self, spec, d, z, gamma, inverse):
        scaled = self.channel(spec, gamma.astype(np.float64)) * d
        if spec.kind == "batch" and not spec.training:
            return scaled * self.across(spec, inverse)
        part, share = self.part(spec, scaled), self.part(spec, scaled * z)
        scaled = scaled - self.across(spec, part) - z * self.across(spec, share)
        return scaled * self.across(spec, inverse)

    def part(self, spec, a):
        """Return the mean over each set."""
        return self.rows(spec, a).mean(axis=1)

    def gradients(self, spec, dout, x, gamma, beta, saved, needs):
        with np.errstate(all="ignore"):
            mean, inverse, positive = saved
            d = dout if positive is None else self.behind_relu(spec, dout, positive)
            z = self.normal(spec, x, mean, inverse)
            found = [
                self.dx(spec, d, z, gamma, inverse) if "dx" in needs else None,
                self.dgamma(spec, d, z) if "dgamma" in needs else None,
                self.dbeta(spec, d) if "dbeta" in needs else None,
            ]
            if spec.has_residual:
                found.append(self.dresidual(spec, d) if "dresidual" in needs else None)
        return tuple(
            None if a is None else np.ascontiguousarray(a.astype(spec.dtype)) for a in found
        )

    # --- the protocol ---

    def batch_norm_forward(self, spec, x, gamma, beta, mean, var, residual):
        out, saved, mean, var = self.computed(spec, x, gamma, beta, mean, var, residual)
        return (out, saved, *self.moved(spec, mean, var)) if spec.training else (out, saved)

    def group_norm_forward(self, spec, x, gamma, beta, residual):
        return self.computed(spec, x, gamma, beta, None, None, residual)[:2]

    def infer(self, spec, x, gamma, beta, mean, var, residual):
        return self.computed(spec, x, gamma, beta, mean, var, residual)[0]

    def batch_norm_infer(self, spec, x, gamma, beta, mean, var, residual):
        return self.infer(spec, x, gamma, beta, mean, var, residual)

    def group_norm_infer(self, spec, x, gamma, beta, residual):
        return self.infer(spec, x, gamma, beta, None, None, residual)

    def batch_norm_backward(self, spec, dout, x, gamma, beta, saved, needs):
        return self.gradients(spec, dout, x, gamma, beta, saved, needs)

    def group_norm_backward(self, spec, dout, x, gamma, beta, saved, needs):
        return self.gradients(spec, dout, x, gamma, beta, saved, needs)


class ThreadedNorms(Norms):
    """Correct; sums each row in a thread of its own, so the bits do not depend on their number."""

    reproducible = True

    def __init__(self):
        self.threads = 1

    def set_num_threads(self, n):
        self.threads = n

    def each_row(self, rows, work):
        with ThreadPoolExecutor(self.threads) as pool:
            return np.array(list(pool.map(work, rows)), np.float64)

    def part(self, spec, a):
        return self.each_row(self.rows(spec, a), mean_of_row)


def mean_of_row(row):
    """In a thread, which has an error state of its own."""
    with np.errstate(all="ignore"):
        return row.mean()


BOTH = ("batch", "group")


def norm_bug(method, *kinds, base=Norms, **options):
    """Put on the list, once for each kind: what ``method`` returned, spoiled.

    The function gets (spec, value, *inputs) and changes the value, or returns another one. With a
    first argument ``backend`` it is given that, and takes the method's place: (backend, right,
    spec, *inputs), where ``right`` is the method as it should be.
    """

    def add(function):
        for kind in kinds or BOTH:
            _plant(function, method, kind, base, options)
        return function

    return add


def _plant(function, method, kind, base, options):
    right = getattr(base, method)
    whole = next(iter(inspect.signature(function).parameters)) == "backend"

    def wrong(self, spec, *inputs):
        if spec.kind != kind:
            return right(self, spec, *inputs)
        if whole:
            return function(self, lambda *given: right(self, *given), spec, *inputs)
        value = right(self, spec, *inputs)
        other = function(spec, value, *inputs)
        return value if other is None else other

    name = f"{kind}_norm_{function.__name__}"
    body = {method: wrong, "name": name, "__module__": function.__module__}
    made = type(name, (base,), body | {"__doc__": function.__doc__})
    _add(made, made, **options)


def numbers(spec):
    """How many numbers a channel of one image has."""
    return math.prod(spec.x_shape[2:])
