"""conv_bn_relu by its definition, and how far a correct result may be from it.

The convolution's result z may be off by L, its own bound (`convkit.bounds`), which is 0 where
integers are small enough. What that does to the normalisation is derived in `norm_reference`, which
gives dz with its bound E. Then dx = conv_dx(dz, w) is off by

    conv_dx(E, |w|) + growth(K) u conv_dx(|dz| + E, |w|),

and dw and db alike. A window of the pool in which another value is within the bounds of the largest
may pass its gradient to either, so |dout| is added to E for all of its values; not so where gamma
is 0 and beta and residual are integers, for then values are exact, and the first of equal ones
takes the gradient. Which values a window has is read from its spec, for this is a bound alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from convkit import bounds
from convkit.conformance import fast_reference, reference
from convkit.conformance.arrays import Arrays, Expected, magnitudes
from convkit.conformance.operations.norm_reference import Norm
from convkit.conformance.reference import FloatArray
from convkit.spec import ConvSpec, NormSpec, PoolSpec

Linear = Callable[..., FloatArray]


@dataclass
class Convolution:
    """How a convolution and its gradients are computed, and a maximum pool."""

    out: Linear
    gradients: Callable[[FloatArray, FloatArray, FloatArray], tuple[FloatArray, ...]]
    pool: Callable[[FloatArray], tuple[FloatArray, Any]]
    unpool: Callable[[FloatArray, Any], FloatArray]


def by_definition(conv: ConvSpec, pool: PoolSpec | None, rounds: bool) -> Convolution:
    """Return the reference's own."""
    wide = rounds and conv.dtype == np.float64
    dot = reference.wide_dot if wide else reference.dot

    def gradients(d: FloatArray, x: FloatArray, w: FloatArray) -> tuple[FloatArray, ...]:
        d = d if wide else d.astype(np.float64)
        db = (reference.conv_db(conv, d, dot),) if conv.has_bias else ()
        return reference.conv_dx(conv, d, w, dot), reference.conv_dw(conv, d, x, dot), *db

    def out(x: FloatArray, w: FloatArray, b: FloatArray | None) -> FloatArray:
        return reference.conv_forward(conv, x, w, b, dot)

    return Convolution(
        out,
        gradients,
        partial(reference.max_pool_forward, pool) if pool else _nothing,
        partial(reference.max_pool_dx, pool) if pool else _passed,
    )


def fast(conv: ConvSpec, pool: PoolSpec | None) -> Convolution:
    """Return those of finite data in float64."""

    def gradients(d: FloatArray, x: FloatArray, w: FloatArray) -> tuple[FloatArray, ...]:
        return fast_reference.conv_gradients(conv, fast_reference.columns(conv, x), w, d)

    def out(x: FloatArray, w: FloatArray, b: FloatArray | None) -> FloatArray:
        return fast_reference.conv_out(conv, fast_reference.columns(conv, x), w, b)

    def unpool(d: FloatArray, taps: Any) -> FloatArray:
        return fast_reference.max_pool_dx(pool, taps, d) if pool else d

    return Convolution(
        out, gradients, partial(fast_reference.max_pool, pool) if pool else _nothing, unpool
    )


def _nothing(x: FloatArray) -> tuple[FloatArray, None]:
    return x, None


def _passed(d: FloatArray, winner: None) -> FloatArray:
    return d


def results(
    specs: tuple[Any, ...], given: Arrays, made: Convolution, *, rounds: bool
) -> dict[str, Expected]:
    """Return out, the statistics where they are computed, and every gradient, with their bounds.

    ``rounds`` says whether z is rounded.
    """
    found = _Results(specs, given, made, rounds, None).all()

    @cache
    def rough(factor: float) -> dict[str, Expected]:
        return _Results(specs, given, made, rounds, factor).all()

    def limit(name: str, factor: float) -> Any:
        return rough(factor)[name].limit

    return {name: replace(one, inexact=partial(limit, name)) for name, one in found.items()}


@dataclass
class _Results:
    specs: tuple[Any, ...]
    given: Arrays
    made: Convolution
    rounds: bool
    factor: float | None
    """None for an exact backend, else its error factor."""

    def all(self) -> dict[str, Expected]:
        """Return everything by name."""
        with np.errstate(all="ignore"):
            return self._all()

    def _all(self) -> dict[str, Expected]:
        norm_spec: NormSpec = self.specs[1]
        x, w, b, dout = (self.given[name] for name in ("x", "w", "b", "dout"))
        z = self.made.out(x, w, b)
        self.exact = not self.rounds and self.factor is None
        moved = np.zeros(z.shape) if self.exact else self._moved(z, x, w, b)
        of_norm = {**self.given, "x": z}
        norm = Norm(norm_spec, of_norm, not self.rounds, moved, self.factor or 1.0)
        error = self._certain(norm)
        y = norm.like_x(norm.out())
        out, winner = self.made.pool(y)
        limit = self._largest(np.where(np.isfinite(y), norm.like_x(error), 0))
        found = {"out": norm.expected(out, limit, True), **norm.moments()}
        d = self.made.unpool(dout, winner)
        slack = self._slack(norm, y, error, dout)
        if len(self.specs) > 2 and self.rounds:
            every, terms = self.made.unpool(np.abs(dout), winner), bounds.terms(self.specs[2], "dx")
            slack += bounds.elementwise(every, terms, norm_spec.dtype) if terms > 1 else 0.0
        d, loose = norm.behind_relu(d.reshape(norm.view), slack.reshape(norm.view))
        gradients = norm.gradients(d, loose)
        return {**found, **self._of_conv(norm, gradients.pop("dx")), **gradients}

    def _moved(self, z: FloatArray, *given: Any) -> FloatArray:
        """Return L; a result that is not finite is no less so by any rounding."""
        conv: ConvSpec = self.specs[0]
        size = self.made.out(*magnitudes(*given))
        limit = self._bound(size, "out", given[:2])
        return np.where(np.isfinite(z), limit, 0) if conv.x_shape[0] else limit

    def _bound(self, size: FloatArray, what: str, factors: tuple[FloatArray, ...]) -> FloatArray:
        """Return the bound of a convolution's result; ``factors`` are what it is a product of."""
        spec: ConvSpec = self.specs[0]
        terms = bounds.terms(spec, what) * (2 if spec.dtype == np.float64 else 1)
        if self.factor is None:
            return bounds.elementwise(size, terms, spec.dtype)
        largest = 1.0  # a transform spreads the errors of all that it transforms
        for a in factors:
            largest *= float(np.abs(a[np.isfinite(a)]).max(initial=0))
        size = np.maximum(size.astype(np.float64), largest)
        return bounds.normwise(size, terms, spec.dtype, factor=self.factor)

    def _certain(self, norm: Norm) -> FloatArray:
        """Return the bounds of what relu gets, 0 where no rounding can change it."""
        if self.rounds:
            return norm.error
        whole = (norm.gamma == 0) & np.isfinite(norm.z)
        norm.error = np.where(np.broadcast_to(whole, norm.view), 0.0, norm.error)
        return norm.error

    def _largest(self, error: FloatArray) -> FloatArray:
        """Return the largest bound of each window."""
        if len(self.specs) < 3:
            return error
        found = np.zeros(self.specs[2].out_shape)
        for outs, ins in self._taps():
            found[outs] = np.maximum(found[outs], error[ins])
        return found

    def _taps(self) -> Iterator[tuple[Any, Any]]:
        pool: PoolSpec = self.specs[2]
        for _, outs, ins in pool.taps():
            yield (slice(None), slice(None), *outs), (slice(None), slice(None), *ins)

    def _slack(self, norm: Norm, y: FloatArray, error: FloatArray, dout: FloatArray) -> FloatArray:
        """Return |dout| at the values of windows in which rounding decides the largest."""
        slack = np.zeros(norm.spec.x_shape)
        if len(self.specs) < 3:
            return slack
        error = np.broadcast_to(error, norm.view).reshape(y.shape)
        shape = self.specs[2].out_shape
        top, surely = np.full(shape, -np.inf), np.full(shape, -np.inf)
        for outs, ins in self._taps():
            top[outs] = np.maximum(top[outs], y[ins])
            surely[outs] = np.maximum(surely[outs], (y - error)[ins])
        near, loose = np.zeros(shape), np.zeros(shape, bool)
        for outs, ins in self._taps():
            in_reach = (y + error)[ins] >= surely[outs]
            near[outs] += in_reach
            loose[outs] |= in_reach & (error[ins] > 0)
        lost = np.where((near > 1) & loose, np.abs(dout), 0)
        for outs, ins in self._taps():
            slack[ins] += np.where(((y + error)[ins] >= surely[outs]), lost[outs], 0)
        return slack

    def _of_conv(self, norm: Norm, dz: Expected) -> dict[str, Expected]:
        """Return dx, dw and, with a bias, db, from what the normalisation gives."""
        x, w = self.given["x"], self.given["w"]
        ax, aw = magnitudes(x, w)
        assert dz.limit is not None
        off = np.where(np.isfinite(dz.ref), dz.limit, 0).astype(np.float64)
        values = self.made.gradients(dz.ref, x, w)
        moved = self.made.gradients(off, ax, aw)
        sizes = self.made.gradients(np.abs(dz.ref).astype(np.float64) + off, ax, aw)
        found = {}
        factors = {"dx": (w,), "dw": (x,), "db": ()}
        for name, value, more, size in zip(("dx", "dw", "db"), values, moved, sizes, strict=False):
            limit = more + self._bound(size, name, (dz.ref, *factors[name]))
            limit = np.where(np.isnan(limit), np.inf, limit)
            found[name] = Expected(value, np.zeros(()), 1, False, limit=limit, any_nonfinite=True)
        return found
