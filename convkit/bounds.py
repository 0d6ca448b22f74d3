"""Error bounds of floating-point results, and a report on the first element beyond its bound.

Verification at run time and the conformance suite use the same rule, so it is defined once, here,
in plain NumPy. Nothing here computes a convolution, knows a backend or chooses a tolerance by
taste: every bound is k * u * S + (K + 1) * tiny, with u the unit roundoff, K the number of terms
an element sums (its bias is one), S the same operation on absolute values, and tiny the smallest
normal number, because subnormal results may be flushed.
Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed. (2002), section 3.1;
for the square root of K: Higham and Mary (2019), doi:10.1137/18M1226312.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from convkit.spec import ConvSpec, PoolSpec

FloatArray: TypeAlias = npt.NDArray[Any]

MAX_ERROR_FACTOR = 32
"""The largest ``error_factor`` a backend with ``exact = False`` may ask for."""


def unit_roundoff(dtype: Any) -> float:
    """Return u, half the distance from 1 to the next number: 2**-24 or 2**-53."""
    return float(np.finfo(dtype).eps) / 2


def growth(terms: int, *, random: bool = False) -> float:
    """Return k, how many unit roundoffs a sum of ``terms`` products may be off, relative to S.

    terms + 2 always holds, in any order of summation. ``random`` is for seeded random data, where
    roundings cancel: min(terms + 2, 4 sqrt(terms) + 8). It does not hold for constants.
    """
    worst = float(terms + 2)
    return min(worst, 4 * math.sqrt(terms) + 8) if random else worst


def elementwise(S: Any, terms: int, dtype: Any, *, random: bool = False) -> FloatArray:
    """Return the bound of every element: k * u * S + (K + 1) * tiny, as float64 of S's shape."""
    scale = growth(terms, random=random) * unit_roundoff(dtype)
    with np.errstate(all="ignore"):
        bound: FloatArray = scale * np.asarray(S).astype(np.float64)
        return bound + (terms + 1) * float(np.finfo(dtype).tiny)


def normwise(
    S: Any, terms: int, dtype: Any, *, factor: float = 1.0, random: bool = False
) -> FloatArray:
    """Return ``factor`` times the bound with max S (of its finite elements) in place of S.

    For backends with ``exact = False``, whose transforms mix large and small elements.
    """
    values = np.asarray(S).astype(np.float64)
    finite = values[np.isfinite(values)]
    largest = float(finite.max()) if finite.size else 0.0
    return factor * elementwise(np.full(values.shape, largest), terms, dtype, random=random)


def terms(spec: Any, what: str) -> int:
    """Return K, how many terms an element of ``what`` (out, dx, dw or db) sums at most."""
    return TERMS[spec.operation](spec, what)


def _overlap(spec: ConvSpec | PoolSpec) -> int:
    """Return how many windows a pixel lies in at most."""
    steps = zip(spec.kernel, spec.stride, spec.dilation, strict=True)
    return math.prod(-(-k // (s // math.gcd(s, d))) for k, s, d in steps)


def _conv_terms(spec: Any, what: str) -> int:
    if what == "out":
        return int(math.prod(spec.w_shape[1:]) + spec.has_bias)
    if what == "dx":
        return int(spec.w_shape[0] // spec.groups * _overlap(spec) * _copies(spec))
    return max(1, int(spec.x_shape[0] * math.prod(spec.out_shape[2:])))


def _copies(spec: ConvSpec) -> int:
    """Return how often the padded image holds a pixel at most: dx sums what each copy received."""
    if spec.pad_mode == "zeros":
        return 1
    return math.prod(max(Counter(places).values()) for places in spec.sources)


def _conv_transpose_terms(spec: Any, what: str) -> int:
    """As those of the convolution whose adjoint it is, with out and dx exchanged."""
    conv = spec.adjoint
    if what == "out":
        return _conv_terms(conv, "dx") + int(spec.has_bias)
    if what == "dx":
        return _conv_terms(conv, "out")
    if what == "db":
        return max(1, int(spec.x_shape[0] * math.prod(spec.out_shape[2:])))
    return _conv_terms(conv, "dw")


def _norm_terms(spec: Any, what: str) -> int:
    """A mean and a variance sum a whole set; out itself scales and shifts one number."""
    return 1 if what in ("out", "dresidual") else max(1, int(spec.set_size))


def _pool_terms(spec: Any, what: str) -> int:
    return int(math.prod(spec.kernel)) if what == "out" else _overlap(spec)


TERMS: Mapping[str, Callable[[Any, str], int]] = MappingProxyType(
    {
        "conv": _conv_terms,
        "conv_transpose": _conv_transpose_terms,
        "max_pool": _pool_terms,
        "avg_pool": _pool_terms,
        "batch_norm": _norm_terms,
        "group_norm": _norm_terms,
    }
)
"""How many terms a result sums, by what its spec describes."""


# --- reports --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mismatch:
    """The first element beyond its bound, how many there are, and where they lie."""

    index: tuple[int, ...]
    got: float
    expected: float
    bound: float
    count: int
    total: int
    where: str

    def __str__(self) -> str:
        at = ", ".join(map(str, self.index))
        return (
            f"[{at}] is {self.got!r}, expected {self.expected!r} within {self.bound:.3g}; "
            f"{self.count} of {self.total} differ ({self.where})"
        )


def wrong(got: FloatArray, ref: FloatArray, bound: Any) -> npt.NDArray[np.bool_]:
    """Return where ``got`` is beyond its bound.

    NaN, +inf and -inf must be exactly where ``ref`` has them; elsewhere |got - ref| <= bound.
    """
    with np.errstate(all="ignore"):
        within = np.abs(got.astype(ref.dtype) - ref) <= bound
        finite = np.isfinite(got) & np.isfinite(ref)
        same = (got == ref) | (np.isnan(got) & np.isnan(ref))
    return np.broadcast_to(~np.where(finite, within, same), ref.shape)


def first_bad(got: FloatArray, ref: FloatArray, bound: Any = 0.0) -> Mismatch | None:
    """Return a report on the first element (row-major) beyond ``bound``, None where all hold.

    ``got`` and ``ref`` have one shape, ``ref`` in the same or a higher precision; ``bound`` is a
    number or an array of that shape. Raises ValueError where the shapes differ.
    """
    if got.shape != ref.shape:
        raise ValueError(f"got.shape (={got.shape}) must equal ref.shape (={ref.shape})")
    bad = wrong(got, ref, bound)
    if not bad.any():
        return None
    index = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    return Mismatch(
        index=index,
        got=float(got[index]),
        expected=float(ref[index]),
        bound=float(np.broadcast_to(bound, ref.shape)[index]),
        count=int(bad.sum()),
        total=bad.size,
        where=locate(bad),
    )


def locate(bad: npt.NDArray[np.bool_]) -> str:
    """Describe where the bad elements are: which index of which axis, edge, last block."""
    if bad.all():
        return "every element"
    if bad.ndim == 1:
        return _along(bad, "index") or "scattered"
    found = []
    for axis in range(bad.ndim):
        name = ("first axis", "second axis")[axis] if axis < 2 else f"spatial axis {axis - 2}"
        others = tuple(a for a in range(bad.ndim) if a != axis)
        text = _along(np.asarray(bad.any(axis=others)), name)
        if text:
            found.append(text)
    inner = (slice(None), slice(None), *(slice(1, -1),) * (bad.ndim - 2))
    if not found and bad.ndim > 2 and not bad[inner].any():
        found.append("edges only")
    corner = [t for t in found if t.startswith(("only the first", "only the last"))]
    if bad.ndim > 2 and len([t for t in corner if "spatial" in t]) == bad.ndim - 2:
        found.append("a corner")
    return "; ".join(found) or "scattered"


def _along(hit: npt.NDArray[np.bool_], name: str) -> str:
    """Describe which indices of one axis are hit; empty where all are or no pattern shows."""
    hits, size = np.flatnonzero(hit), len(hit)
    if len(hits) == size or size == 1:
        return ""
    if len(hits) == 1:
        label = {0: "first", size - 1: "last"}.get(int(hits[0]), f"number {hits[0]}")
        return f"only the {label} of {size} along the {name}"
    steps = np.diff(hits)
    if (steps == 1).all():
        if hits[-1] == size - 1:
            return f"only the last {len(hits)} of {size} along the {name}"
        return f"only {hits[0]} to {hits[-1]} of {size} along the {name}"
    if (steps == steps[0]).all() and len(hits) > 2:
        return f"every {steps[0]}th from {hits[0]} of {size} along the {name}"
    return ""
