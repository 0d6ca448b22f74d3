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
        return _Norm(spec, given, integers).results()


@dataclass
class _Norm:
    """The arrays of a problem as (N, sets of one image, channels of each, pixels)."""

    spec: NormSpec
    given: Arrays
    integers: bool

    def __post_init__(self) -> None:
        """Widen the arrays, and work out the statistics."""
        spec = self.spec
        n, channels = spec.x_shape[:2]
        self.own = spec.kind == "group" or spec.training
        sets = channels if spec.kind == "batch" else spec.groups
        self.view = (n, sets, channels // sets, math.prod(spec.x_shape[2:]))
        self.axes = (0, 2, 3) if spec.kind == "batch" else (2, 3)
        u = bounds.unit_roundoff(spec.dtype)
        sums = bounds.growth(min(spec.set_size, BLOCK), random=True)
        self.ku = u * (ROUNDINGS + (sums if spec.dtype == np.float64 else 0.0))
        self.gu = u * (ROUNDINGS + bounds.growth(max(1, self.per_channel), random=True))
        self.x, self.dout = self.wide("x"), self.wide("dout")
        self.gamma, self.beta = self.wide("gamma"), self.wide("beta")

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

    def results(self) -> dict[str, Expected]:
        """Return everything by name."""
        (mean, mean_error), (var, var_error), size = self.statistics()
        inverse = 1 / np.sqrt(var + self.spec.eps)
        z = (self.x - mean) * inverse
        relative = self.ku + np.square(self.ku * size * inverse)
        ez = self.ku * (np.abs(self.x - mean) + size) * inverse + np.abs(z) * relative
        plain, error = self.before_relu(z, ez)
        out = np.maximum(plain, 0) if self.spec.relu else plain
        found = {"out": self.expected(self.like_x(out), self.like_x(error), inverse, self.own)}
        if self.spec.kind == "batch" and self.own:
            for name, value, limit in (("mean", mean, mean_error), ("var", var, var_error)):
                found[name] = self.expected(value.reshape(-1), limit.reshape(-1), inverse, True)
        d, slack = self.dout, np.zeros(())
        if self.spec.relu:
            slack = np.where((np.abs(plain) <= error) & (error > 0), np.abs(d), 0)
            d = np.where(plain > 0, d, 0)
        return found | self.gradients(d, slack, z, ez, inverse, relative)

    def before_relu(self, z: FloatArray, ez: FloatArray) -> Pair:
        """Return gamma z + beta + residual, and the bound of its error."""
        plain = self.gamma * z + self.beta
        size = np.abs(self.gamma * z) + np.abs(self.beta)
        if self.spec.has_residual:
            residual = self.wide("residual")
            plain, size = plain + residual, size + np.abs(residual)
        return plain, np.abs(self.gamma) * ez + self.ku * size

    def gradients(
        self,
        d: FloatArray,
        slack: FloatArray,
        z: FloatArray,
        ez: FloatArray,
        inverse: FloatArray,
        relative: FloatArray,
    ) -> dict[str, Expected]:
        """Return the gradients; ``d`` is dout behind relu, ``slack`` what rounding may change."""
        size = np.abs(d) + slack
        sums = 0.0 if self.integers else self.gu
        found = {
            "dgamma": self.expected(
                self.channels(d * z),
                self.channels(slack * np.abs(z) + size * (ez + self.gu * np.abs(z))),
                inverse,
                True,
            ),
            "dbeta": self.expected(
                self.channels(d), self.channels(slack + sums * np.abs(d)), inverse, False
            ),
        }
        if self.spec.has_residual:
            limit = self.like_x(slack + np.zeros(self.view))
            found["dresidual"] = self.expected(self.like_x(d), limit, inverse, False)
        dx, error = self.dx(d, slack, z, ez, inverse, relative)
        return {"dx": self.expected(self.like_x(dx), self.like_x(error), inverse, True), **found}

    def dx(
        self,
        d: FloatArray,
        slack: FloatArray,
        z: FloatArray,
        ez: FloatArray,
        inverse: FloatArray,
        relative: FloatArray,
    ) -> Pair:
        """Return dx and the bound of its error."""
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

    def expected(
        self, value: FloatArray, limit: FloatArray, inverse: FloatArray, any_nonfinite: bool
    ) -> Expected:
        """Return a result and its bound, with room for subnormal numbers that were flushed."""
        largest = [np.abs(a[np.isfinite(a)]).max(initial=0) for a in (inverse, self.gamma)]
        reach = (1.0 + float(largest[0])) ** 2 * (1.0 + float(largest[1]))
        tiny = (self.per_channel + 1) * float(np.finfo(self.spec.dtype).tiny) * reach
        bound = np.asarray(limit, np.float64) + (tiny if tiny < 1 else 0.0)
        bound[np.isnan(bound)] = np.inf  # of an infinite dout of which rounding decides
        if self.integers and not np.any(limit):
            bound = np.zeros(value.shape)
        return Expected(value, bound, 1, False, limit=bound, any_nonfinite=any_nonfinite)
