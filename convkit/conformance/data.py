"""The arrays of a case and the results they must give, with bounds.

Exact data are integers small enough that every sum, in any order, is exact in the case's dtype,
and large enough that a computation in less precision is not. Arrays and expected results are kept
per case, so that judging many backends in one process pays for them once. No backend is called.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from convkit import bounds
from convkit.conformance import reference
from convkit.conformance.cases import Case
from convkit.conformance.reference import FloatArray

RESULTS = ("out", "dx", "dw", "db")


@dataclass(frozen=True)
class Inputs:
    """What a case feeds in; w and b are None for pooling, b also without a bias."""

    x: FloatArray
    w: FloatArray | None
    b: FloatArray | None
    dout: FloatArray

    def map(self, change: Callable[[FloatArray], FloatArray]) -> Inputs:
        """Change every array that is there."""
        made: list[Any] = [None if a is None else change(a) for a in self.all]
        return Inputs(made[0], made[1], made[2], made[3])

    def copies(self) -> Inputs:
        """Fresh, writable arrays with the same values."""
        return self.map(np.copy)

    @property
    def all(self) -> tuple[FloatArray | None, ...]:
        """x, w, b, dout."""
        return self.x, self.w, self.b, self.dout


@dataclass(frozen=True)
class Expected:
    """A result by the reference; S and terms as in `convkit.bounds`; whether it is exact."""

    ref: FloatArray
    S: FloatArray
    terms: int
    exact: Any  # bool, or a mask of the elements that are

    def bound(self, dtype: str, *, exact_backend: bool, factor: float, random: bool) -> Any:
        """Return the bound a backend is held to, elementwise."""
        if not exact_backend:
            return bounds.normwise(self.S, self.terms, dtype, factor=factor, random=random)
        if self.exact is True:
            return 0.0
        rounded = bounds.elementwise(self.S, self.terms, dtype, random=random)
        return np.where(self.exact, 0.0, rounded)


def _rng(case: Case) -> np.random.Generator:
    return np.random.default_rng([case.seed, zlib.crc32(str(case).encode())])


@lru_cache(maxsize=8192)
def inputs(case: Case) -> Inputs:
    """Return the arrays of a case, read-only."""
    rng = _rng(case)
    x_shape, out_shape = case.x_shape, case.out_shape
    is_conv = case.op.startswith("conv")
    w_shape: Any = case.sizes["w"] if is_conv else None
    bias = is_conv and case.sizes.get("bias", True)
    make = _MAKERS[case.data.partition("-")[0]]
    x, w, b, dout = make(case, rng, x_shape, w_shape, w_shape[:1] if bias else None, out_shape)
    given = Inputs(x, w, b, dout)
    how = str(case.get("layout"))
    if how.startswith("broadcast") and x.size:
        given = given.map(lambda a: _constant(a, constant_axis(a, how)))
    return given.map(lambda a: _frozen(np.ascontiguousarray(a, case.dtype)))


def _constant(a: FloatArray, axis: int) -> FloatArray:
    return np.repeat(a.take([0], axis), a.shape[axis], axis)


def constant_axis(a: FloatArray, layout: str) -> int:
    """Return the axis along which a ``broadcast-N`` layout holds equal values."""
    return int(layout.partition("-")[2]) % a.ndim


def _frozen(a: FloatArray) -> FloatArray:
    a.flags.writeable = False
    return a


def _integers(rng: np.random.Generator, shape: Any, largest: int) -> Any:
    if shape is None:
        return None
    a = rng.integers(-largest, largest + 1, shape)
    a[a == 0] = 1  # a zero would hide a lost term
    return a.astype(np.float64)


def _exact(case: Case, rng: Any, x: Any, w: Any, b: Any, out: Any) -> tuple[Any, ...]:
    """Integers with sum |x||w| + |b| <= 2**24 (float32) or 2**53 for every result."""
    bits = 24 if case.dtype == "float32" else 53
    if w is None:
        share = max(bounds.terms(case.pool_spec, "dx"), bounds.terms(case.pool_spec, "out"))
        if case.op == "avg_pool":
            share *= 2 * int(math.prod(case.pool_spec.kernel))
        largest = int(2 ** (bits - 1) // share)
        return _integers(rng, x, largest), None, None, _integers(rng, out, largest)
    spec = case.conv_spec
    k_out, k_dx, k_dw = (bounds.terms(spec, what) for what in ("out", "dx", "dw"))
    if case.op == "conv_relu_pool":
        overlap = bounds.terms(case.pool_spec, "dx")
        k_dx, k_dw = k_dx * overlap, k_dw * overlap
    room = 2.0**bits
    lean = rng.choice([0.35, 0.5, 0.65])  # small pixels with large weights, and the reverse
    top_x = max(1, int((room / (2 * k_out)) ** lean))
    top_w = max(1, int(room / (2 * k_out) / top_x))
    top_x = min(top_x, max(1, int(room / k_dw)))  # dw sums a whole image of x times dout
    top_d = max(1, int(min(room / (k_dx * top_w), room / (k_dw * top_x))))
    top_d = min(top_d, 2 ** (bits - 2) // max(1, k_dw))
    return (
        _integers(rng, x, top_x),
        _integers(rng, w, top_w),
        _integers(rng, b, max(1, top_w * top_x)),
        _integers(rng, out, max(1, top_d)),
    )


def _real(case: Case, rng: Any, *shapes: Any) -> tuple[Any, ...]:
    return tuple(None if s is None else rng.standard_normal(s) for s in shapes)


def _denormal(case: Case, rng: Any, *shapes: Any) -> tuple[Any, ...]:
    """Pixels and gradients around the smallest normal number, weights of ordinary size."""
    tiny = float(np.finfo(case.dtype).tiny)
    x, w, b, dout = _real(case, rng, *shapes)
    return x * tiny, w, None if b is None else b * tiny, dout * tiny


def _nonfinite(case: Case, rng: Any, *shapes: Any) -> tuple[Any, ...]:
    """Small non-zero integers with one or a few of NaN, inf and -inf in x or in dout."""
    x, w, b, dout = (_integers(rng, s, 4) for s in shapes)
    _, kind, where = case.data.split("-")
    target = {"x": x, "dout": dout}[where]
    value = {"nan": np.nan, "inf": np.inf, "ninf": -np.inf}.get(kind)
    if target.size:
        count = 1 if value is not None else max(1, target.size // 7)
        places = rng.choice(target.size, count, replace=False)
        mixed = rng.choice([np.nan, np.inf, -np.inf], count)
        target.flat[places] = mixed if value is None else value
    return x, w, b, dout


def _ties(case: Case, rng: Any, x: Any, w: Any, b: Any, out: Any) -> tuple[Any, ...]:
    """Pixels that collide: see the names."""
    a = rng.integers(-3, 4, x).astype(np.float64)
    kind = case.data.partition("-")[2]
    if kind == "equal":
        a[...] = 2
    elif kind == "close":  # apart by units in the last place, so a narrower type sees ties
        a = 1 + (a + 3) * np.finfo(case.dtype).eps
    elif kind == "zero":
        a[...] = 0
    elif kind == "negative":
        a = -np.abs(a) - 5
    elif kind == "ninf":
        a[...] = -np.inf
    elif kind == "inf":
        a[rng.random(x) < 0.4] = np.inf
    elif kind == "nan":
        a[rng.random(x) < 0.4] = np.nan
    elif kind == "mixed":
        a[rng.random(x) < 0.3] = np.nan
        a[rng.random(x) < 0.3] = np.inf
        a[rng.random(x) < 0.3] = -np.inf
    elif kind == "signed_zero":
        a = np.where(rng.random(x) < 0.5, 0.0, -0.0)
    return a, _integers(rng, w, 3), _integers(rng, b, 3), _integers(rng, out, 1000)


def _permutation(case: Case, rng: Any, x: Any, w: Any, b: Any, out: Any) -> tuple[Any, ...]:
    """Every pixel another integer, so that no step below a half changes which one is largest."""
    size = int(np.prod(x))
    values = rng.permutation(size).astype(np.float64) - size // 2
    return values.reshape(x), _integers(rng, w, 3), _integers(rng, b, 3), _integers(rng, out, 50)


def _separated(case: Case, rng: Any, x: Any, w: Any, b: Any, out: Any) -> tuple[Any, ...]:
    """Kernels of a single one, pixels far apart: rounding moves no maximum and no sign."""
    pixels, _, _, dout = _permutation(case, rng, x, None, None, out)
    taps = np.zeros(w)
    for f in range(w[0]):
        taps[(f, f % w[1], *(k // 2 for k in w[2:]))] = 1
    return pixels + 0.25, taps, None if b is None else np.zeros(b), dout


_MAKERS = {
    "separated": _separated,
    "exact": _exact,
    "real": _real,
    "denormal": _denormal,
    "nonfinite": _nonfinite,
    "ties": _ties,
    "permutation": _permutation,
}


# --- expected results -----------------------------------------------------------------------


@lru_cache(maxsize=8192)
def expected(case: Case) -> dict[str, Expected]:
    """Return the reference's results of a case by name: out, dx and, for convolutions, dw, db."""
    given = inputs(case)
    rounds = case.data.partition("-")[0] in ("real", "denormal")
    make: Any = {"conv": _conv, "conv_relu_pool": _fused}.get(case.op, _pool)
    wide = [
        None if a is None else reference.widen(a) if rounds else a.astype(np.float64)
        for a in given.all
    ]
    made: dict[str, Expected] = make(case, *wide, rounds)
    return made


def _dot(case: Case, rounds: bool) -> reference.Dot:
    """float32 is exact enough in float64; integers are exact in any order."""
    return reference.wide_dot if rounds and case.dtype == "float64" else reference.dot


def _sums(S: FloatArray) -> FloatArray:
    return np.asarray(S, np.float64)


def _magnitudes(*arrays: Any) -> list[Any]:
    return [None if a is None else np.abs(a.astype(np.float64)) for a in arrays]


def _conv(case: Case, x: Any, w: Any, b: Any, dout: Any, rounds: bool) -> dict[str, Expected]:
    spec, dot = case.conv_spec, _dot(case, rounds)
    ax, aw, ab, ad = _magnitudes(x, w, b, dout)
    pairs = {
        "out": (
            reference.conv_forward(spec, x, w, b, dot),
            reference.conv_forward(spec, ax, aw, ab),
        ),
        "dx": (reference.conv_dx(spec, dout, w, dot), reference.conv_dx(spec, ad, aw)),
        "dw": (reference.conv_dw(spec, dout, x, dot), reference.conv_dw(spec, ad, ax)),
    }
    if b is not None:
        pairs["db"] = (reference.conv_db(spec, dout, dot), reference.conv_db(spec, ad))
    return {
        name: Expected(ref, _sums(S), bounds.terms(spec, name), not rounds)
        for name, (ref, S) in pairs.items()
    }


def _pool(case: Case, x: Any, w: Any, b: Any, dout: Any, rounds: bool) -> dict[str, Expected]:
    spec = case.pool_spec
    terms = {what: bounds.terms(spec, what) for what in ("out", "dx")}
    if spec.kind == "max":
        out, winner = reference.max_pool_forward(spec, x)
        dx = reference.max_pool_dx(spec, dout, winner)
        S = reference.max_pool_dx(spec, np.abs(dout), winner)
        return {
            "out": Expected(out, _sums(np.abs(out)), terms["out"], True),
            "dx": Expected(dx, _sums(S), terms["dx"], not rounds),
        }
    ax, ad = _magnitudes(x, dout)
    powers = np.log2(reference.divisors(spec)) % 1 == 0
    exact_out = np.broadcast_to(powers & (not rounds), spec.out_shape)
    return {
        "out": Expected(
            reference.avg_pool_forward(spec, x, _dot(case, rounds)),
            _sums(reference.avg_pool_forward(spec, ax)),
            terms["out"],
            exact_out,
        ),
        "dx": Expected(
            reference.avg_pool_dx(spec, dout),
            _sums(reference.avg_pool_dx(spec, ad)),
            terms["dx"],
            bool(powers.all()) and not rounds,
        ),
    }


def _fused(case: Case, x: Any, w: Any, b: Any, dout: Any, rounds: bool) -> dict[str, Expected]:
    spec, pool = case.conv_spec, case.pool_spec
    z = reference.conv_forward(spec, x, w, b)
    with np.errstate(invalid="ignore"):
        on = z > 0
        relu = np.where(on | np.isnan(z), z, 0)
    out, winner = reference.max_pool_forward(pool, relu)
    dz = np.where(on, reference.max_pool_dx(pool, dout, winner), 0)
    parts = _conv(case, x, w, b, dz, rounds)
    ax, aw, ab, _ = _magnitudes(x, w, b, dout)
    S, _ = reference.max_pool_forward(pool, reference.conv_forward(spec, ax, aw, ab))
    return {**parts, "out": Expected(out, _sums(S), bounds.terms(spec, "out"), not rounds)}
