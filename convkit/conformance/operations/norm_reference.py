"""Normalisations by their definition, and how far a correct result may be from it.

Let a set have n numbers with mean m, biased variance v and mean magnitude A, let u be the unit
roundoff and k a small constant. A backend that sums as the contract asks has

    |m' - m| <= k u A,    |v' - v| <= k u v + (k u A)**2,

the second because deviations from a mean that is off by e have a variance that is off by e**2.
With i = 1 / sqrt(v + eps), z = (x - m) i and r = k u + (k u A)**2 / (v + eps), to first order,

    |z' - z| <= ez = k u (|x - m| + A) i + |z| r.

A alone stands for x * i - m * i as well, which many kernels compute. Then

    out:       |gamma| ez + k u (|gamma z| + |beta| + |residual|)
    dgamma:    the sum of |dout| (ez + g |z|), g the growth of a sum of its length
    dx:        i [(k u + r) (|d| + |p| + |z q|) + ep + |z| eq + ez |q|], d = gamma dout, p and q the
               means of d and d z, ep = g mean |d|, eq = mean (|d| (ez + g |z|))

Where relu's argument is within its own bound of 0, rounding decides whether dout passes, and |dout|
is added to every error that it can reach. k is 8: the mean, the deviation, the variance, the root,
the quotient, scale, shift and residual; in float64, whose sums have no wider type, also the growth
of a sum of one block (Higham, "Accuracy and Stability of Numerical Algorithms", sections 1.9, 3.1).

Where each x is off by up to L itself, because it is another result, m moves by mean L, v by
2 mean(|x - m| L) + mean(L)**2 + mean(L**2), and with s = i mean(|z| L) + i**2 mean(L**2)

    ez grows by i (L + mean L) + 2 |z| s, and r by 2 s; from s = 1/4 on nothing is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from convkit import bounds
from convkit.conformance import reference
from convkit.conformance.arrays import Arrays, Expected
from convkit.conformance.reference import FloatArray
from convkit.spec import NormSpec

Pair: TypeAlias = tuple[FloatArray, FloatArray]
"""Values and the bounds of their errors."""

ROUNDINGS = 8.0
BLOCK = 1024
"""The most numbers that a kernel may sum in one go, in the numbers' own precision."""


def results(spec: NormSpec, given: Arrays, *, integers: bool) -> dict[str, Expected]:
    """Return out, the statistics where they are computed, and every gradient, with their bounds.

    ``integers`` says that sums of dout are exact in any order.
    """
    with np.errstate(all="ignore"):
        return Norm(spec, given, integers).results()


@dataclass
class Norm:
    """The arrays of a problem as (N, sets of one image, channels of each, pixels).

    ``moved`` says how far each element of x may be off; x is taken in its own precision then, and
    sums in ``factor`` times the usual bound. ``plain`` is what relu gets, ``error`` its bound.
    """

    spec: NormSpec
    given: Arrays
    integers: bool
    moved: FloatArray | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        """Widen the arrays, and normalise."""
        spec = self.spec
        n, channels = spec.x_shape[:2]
        self.own = spec.kind == "group" or spec.training
        sets = channels if spec.kind == "batch" else spec.groups
        self.view = (n, sets, channels // sets, math.prod(spec.x_shape[2:]))
        self.axes = (0, 2, 3) if spec.kind == "batch" else (2, 3)
        u = bounds.unit_roundoff(spec.dtype)
        sums = bounds.growth(min(spec.set_size, BLOCK), random=True)
        self.ku = u * (ROUNDINGS + (sums if spec.dtype == np.float64 else 0.0)) * self.factor
        self.gu = u * (ROUNDINGS + bounds.growth(max(1, self.per_channel), random=True))
        self.gu *= self.factor
        self.x = self.wide("x") if self.moved is None else self.given["x"].reshape(self.view)
        self.gamma, self.beta = self.wide("gamma"), self.wide("beta")
        self.normalise()

    @property
    def per_channel(self) -> int:
        """How many numbers the gradient of a channel's scale sums, or of a set if that is more."""
        return max(self.view[0] * self.view[3], self.spec.set_size)

    def wide(self, name: str) -> FloatArray:
        """Return an input in higher precision, as it broadcasts against x."""
        a = reference.widen(np.asarray(self.given[name]).astype(self.spec.dtype))
        if a.shape == self.spec.x_shape:
            return a.reshape(self.view)
        return a.reshape(1, *self.view[1:3], 1)

    def mean(self, a: FloatArray) -> FloatArray:
        """Return the mean over each set."""
        total: FloatArray = a.sum(axis=self.axes, keepdims=True)
        return total / max(1, self.spec.set_size)

    def channels(self, a: FloatArray) -> FloatArray:
        """Return the sum over each channel, of shape (C,)."""
        total: FloatArray = np.broadcast_to(a, self.view).sum(axis=(0, 3))
        return total.reshape(-1)

    def like_x(self, a: FloatArray) -> FloatArray:
        """Return values in the shape of x."""
        return np.broadcast_to(a, self.view).reshape(self.spec.x_shape)

    def statistics(self) -> tuple[Pair, Pair, FloatArray]:
        """Return mean and variance, each with its bound, and A."""
        if not self.own:
            mean, var = self.wide("mean"), self.wide("var")
            return (mean, 0 * mean), (var, 0 * var), np.abs(mean)
        mean, size = self.mean(self.x), self.mean(np.abs(self.x))
        var = self.mean(np.square(self.x - mean))
        return (mean, self.ku * size), (var, self.ku * var + np.square(self.ku * size)), size

    def normalise(self) -> None:
        """Work out z, the statistics, and the bounds of both."""
        (mean, mean_error), (var, var_error), size = self.statistics()
        inverse = 1 / np.sqrt(var + self.spec.eps)
        z = (self.x - mean) * inverse
        relative = self.ku + np.square(self.ku * size * inverse)
        ez = self.ku * (np.abs(self.x - mean) + size) * inverse
        if self.moved is not None:
            moved = self.moved.reshape(self.view)
            ez = ez + inverse * moved
            if self.own:
                squares, apart = self.mean(np.square(moved)), np.abs(self.x - mean) * moved
                mean_error = mean_error + self.mean(moved)
                var_error = var_error + 2 * self.mean(apart) + self.mean(moved) ** 2 + squares
                off = inverse * (self.mean(np.abs(z) * moved) + inverse * squares)
                relative = relative + np.where(off < 0.25, 2 * off, np.inf)
                ez = ez + inverse * self.mean(moved)
        self.inverse, self.relative, self.z = inverse, relative, z
        self.ez = ez + np.abs(z) * relative
        self.of_sets = (("mean", mean, mean_error), ("var", var, var_error))
        self.plain, self.error = self.before_relu()

    def results(self) -> dict[str, Expected]:
        """Return everything by name."""
        found = {"out": self.expected(self.like_x(self.out()), self.like_x(self.error), self.own)}
        d, slack = self.behind_relu(self.wide("dout"), np.zeros(()))
        return found | self.moments() | self.gradients(d, slack)

    def out(self) -> FloatArray:
        """Return out."""
        return np.maximum(self.plain, 0) if self.spec.relu else self.plain

    def moments(self) -> dict[str, Expected]:
        """Return mean and variance, where they are computed."""
        if self.spec.kind != "batch" or not self.own:
            return {}
        return {n: self.expected(v.reshape(-1), e.reshape(-1), True) for n, v, e in self.of_sets}

    def behind_relu(self, d: FloatArray, slack: FloatArray) -> Pair:
        """Return dout as relu passes it, and how far it may be off."""
        if not self.spec.relu:
            return d, slack
        near = (np.abs(self.plain) <= self.error) & (self.error > 0)
        on = self.plain > 0
        slack = np.where(near, np.abs(d) + slack, np.where(on, slack, 0))
        return np.where(on, d, 0), slack

    def before_relu(self) -> Pair:
        """Return gamma z + beta + residual, and the bound of its error."""
        plain = self.gamma * self.z + self.beta
        size = np.abs(self.gamma * self.z) + np.abs(self.beta)
        if self.spec.has_residual:
            residual = self.wide("residual")
            plain, size = plain + residual, size + np.abs(residual)
        return plain, np.abs(self.gamma) * self.ez + self.ku * size

    def gradients(self, d: FloatArray, slack: FloatArray) -> dict[str, Expected]:
        """Return the gradients; ``d`` is dout behind relu, ``slack`` what rounding may change."""
        z, ez = self.z, self.ez
        size = np.abs(d) + slack
        sums = 0.0 if self.integers else self.gu
        found = {
            "dgamma": self.expected(
                self.channels(d * z),
                self.channels(slack * np.abs(z) + size * (ez + self.gu * np.abs(z))),
                True,
            ),
            "dbeta": self.expected(
                self.channels(d), self.channels(slack + sums * np.abs(d)), False
            ),
        }
        if self.spec.has_residual:
            limit = self.like_x(slack + np.zeros(self.view))
            found["dresidual"] = self.expected(self.like_x(d), limit, False)
        dx, error = self.dx(d, slack)
        return {"dx": self.expected(self.like_x(dx), self.like_x(error), True), **found}

    def dx(self, d: FloatArray, slack: FloatArray) -> Pair:
        """Return dx and the bound of its error."""
        z, ez, inverse, relative = self.z, self.ez, self.inverse, self.relative
        scaled, loose = self.gamma * d, np.abs(self.gamma) * slack
        size = np.abs(scaled) + loose
        if not self.own:
            return inverse * scaled, inverse * (size * (self.ku + relative) + loose)
        part, share = self.mean(scaled), self.mean(scaled * z)
        part_error = self.mean(loose + self.gu * size)
        share_error = self.mean(loose * np.abs(z) + size * (ez + self.gu * np.abs(z)))
        dx = inverse * (scaled - part - z * share)
        error = (self.ku + relative) * (size + np.abs(part) + np.abs(z * share)) + loose
        error = error + part_error + (np.abs(z) + ez) * share_error + ez * np.abs(share)
        return dx, inverse * error

    def expected(self, value: FloatArray, limit: FloatArray, any_nonfinite: bool) -> Expected:
        """Return a result and its bound, with room for subnormal numbers that were flushed."""
        largest = [np.abs(a[np.isfinite(a)]).max(initial=0) for a in (self.inverse, self.gamma)]
        reach = (1.0 + float(largest[0])) ** 2 * (1.0 + float(largest[1]))
        tiny = (self.per_channel + 1) * float(np.finfo(self.spec.dtype).tiny) * reach
        bound = np.asarray(limit, np.float64) + (tiny if tiny < 1 else 0.0)
        bound[np.isnan(bound)] = np.inf  # of an infinite dout of which rounding decides
        if self.integers and not np.any(limit):
            bound = np.zeros(value.shape)
        return Expected(value, bound, 1, False, limit=bound, any_nonfinite=any_nonfinite)
