"""The arrays of a case and the results they must give, kept per case.

They are kept, so that testing many backends in one process pays for them once. No backend is
called.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

import numpy as np

from convkit.conformance import reference
from convkit.conformance.arrays import Arrays, Expected, Inputs, integers
from convkit.conformance.cases import Case
from convkit.conformance.entries import ENTRIES
from convkit.conformance.reference import FloatArray

__all__ = ["Expected", "Inputs", "constant_axis", "expected", "inputs"]


def _rng(case: Case) -> np.random.Generator:
    return np.random.default_rng([case.seed, zlib.crc32(str(case).encode())])


@lru_cache(maxsize=8192)
def inputs(case: Case) -> Inputs:
    """Return the arrays of a case, read-only."""
    arrays = _MAKERS[case.data.partition("-")[0]](case, _rng(case))
    given = Inputs.of(ENTRIES[case.op].fitted(case, arrays))
    how = str(case.get("layout"))
    if how.startswith("broadcast") and given.x.size:
        given = given.map(lambda a: _repeated(a, constant_axis(a, how)))
    return given.map(lambda a: _frozen(np.ascontiguousarray(a, case.dtype)))


def _repeated(a: Any, axis: int) -> Any:
    return np.repeat(a.take([0], axis), a.shape[axis], axis)


def constant_axis(a: FloatArray, layout: str) -> int:
    """Return the axis along which a ``broadcast-N`` layout holds equal values."""
    return int(layout.partition("-")[2]) % a.ndim


def _frozen(a: Any) -> Any:
    a.flags.writeable = False
    return a


# --- kinds of data --------------------------------------------------------------------------


def _integers(case: Case, rng: Any, largest: int, largest_dout: int) -> Arrays:
    arrays = {name: integers(rng, shape, largest) for name, shape in case.shapes.items()}
    return {**arrays, "dout": integers(rng, case.out_shape, largest_dout)}


def _exact(case: Case, rng: Any) -> Arrays:
    return ENTRIES[case.op].exact(case, rng)


def _real(case: Case, rng: Any) -> Arrays:
    shapes = {**case.shapes, "dout": case.out_shape}
    return {n: None if s is None else rng.standard_normal(s) for n, s in shapes.items()}


def _denormal(case: Case, rng: Any) -> Arrays:
    """Pixels and gradients around the smallest normal number, weights of ordinary size."""
    tiny = float(np.finfo(case.dtype).tiny)
    weights = ENTRIES[case.op].weights
    return {
        name: a if a is None or name in weights else a * tiny
        for name, a in _real(case, rng).items()
    }


def _nonfinite(case: Case, rng: Any) -> Arrays:
    """Small non-zero integers with one or a few of NaN, inf and -inf in x or in dout.

    ``zero`` is a NaN with weights of which half are 0: a product with 0 is NaN all the same.
    """
    arrays = _integers(case, rng, 4, 4)
    _, kind, where = case.data.split("-")
    target = arrays[where]
    if kind == "zero":
        for name in ENTRIES[case.op].weights:
            arrays[name][rng.random(arrays[name].shape) < 0.5] = 0
    value = {"nan": np.nan, "zero": np.nan, "inf": np.inf, "ninf": -np.inf}.get(kind)
    if target.size:
        count = 1 if value is not None else max(1, target.size // 7)
        places = rng.choice(target.size, count, replace=False)
        mixed = rng.choice([np.nan, np.inf, -np.inf], count)
        target.flat[places] = mixed if value is None else value
    return arrays


def _ties(case: Case, rng: Any) -> Arrays:
    """Pixels that collide: see the names."""
    x = case.shapes["x"]
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
    return _others(case, rng, a, 1000)


def _others(case: Case, rng: Any, x: Any, largest_dout: int) -> Arrays:
    """Add small integers for the other inputs, and dout, to an x."""
    arrays = {n: x if n == "x" else integers(rng, s, 3) for n, s in case.shapes.items()}
    return {**arrays, "dout": integers(rng, case.out_shape, largest_dout)}


def _permutation(case: Case, rng: Any) -> Arrays:
    """Every pixel another integer, so that no step below a half changes which one is largest."""
    size = int(np.prod(case.shapes["x"]))
    values = rng.permutation(size).astype(np.float64) - size // 2
    return _others(case, rng, values.reshape(case.shapes["x"]), 50)


def _separated(case: Case, rng: Any) -> Arrays:
    return ENTRIES[case.op].separated(case, _permutation(case, rng))


def _smooth(case: Case, rng: Any) -> Arrays:
    return ENTRIES[case.op].smooth(case, rng)


def _constant(case: Case, rng: Any) -> Arrays:
    """One number everywhere in x, which no binary fraction is equal to; all else as real."""
    return {**_real(case, rng), "x": np.full(case.x_shape, 5.1)}


_MAKERS = {
    "smooth": _smooth,
    "constant": _constant,
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
    """Return the reference's results of a case by name: out and every gradient."""
    given = inputs(case)
    rounds = case.data.partition("-")[0] in ("real", "denormal", "constant")
    wide = {
        name: None if a is None else reference.widen(a) if rounds else a.astype(np.float64)
        for name, a in zip(given.names, given.all, strict=True)
    }
    return ENTRIES[case.op].expected(case, wide, rounds)
