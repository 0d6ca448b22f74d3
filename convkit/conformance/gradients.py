"""The checks of gradients: against the backend's own forward, with no reference in between.

Convolution is linear in x, in w and in b, so a central difference with a step of 1 has no
truncation error, and on integers none at all. Maximum pooling is linear as long as no maximum
changes: on a permutation of integers a step of 1/4 changes none. Average pooling is linear.
All in float64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from convkit import bounds
from convkit.conformance import catalogue
from convkit.conformance.arrays import Inputs
from convkit.conformance.cases import Case
from convkit.conformance.checks import check
from convkit.conformance.data import inputs
from convkit.conformance.entries import ENTRIES, names
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import Failed, Subject

CURVED = 1e-9
"""The error of a difference of a curved function, for each element of out and unit of dout."""
MAX_ELEMENTS = 16
"""How many elements of one array are differentiated, evenly spread with both ends."""


def _in_float64(op: str, level: str, seed: int) -> Iterator[Case]:
    found = catalogue.structured(op, level)
    if level != "quick":
        found += list(catalogue.random_cases(op, 40 if level == "default" else 400, seed + 1))
    for c in found:
        if c.feature in ("large sums", "course") or c.work > 100_000:
            continue
        entry = ENTRIES[op]
        data = entry.distinct if entry.selects or entry.curved else "ties-small"
        yield dataclasses.replace(c, dtype="float64", data=data, feature="gradients")


@check("gradient", _in_float64, names(lambda entry: not entry.decided_by_rounding))
def gradient(subject: Subject, case: Case) -> None:
    """dx, dw and db equal central differences of the backend's own forward."""
    given = inputs(case).copies()
    _, cache = subject.forward(case, given)
    found = subject.backward(case, given.dout, cache)
    entry = ENTRIES[case.op]
    for of_name, of in given.given():
        name = f"d{of_name}"
        if not of.size or name not in case.operation.gradients:
            continue
        places = np.unique(np.linspace(0, of.size - 1, MAX_ELEMENTS).astype(int))
        numerical = np.array([_difference(subject, case, given, of, i) for i in places])
        analytic = found[name].reshape(-1)[places]
        exact = subject.exact and not entry.divides
        bound = 0.0 if exact else _tolerance(subject, given, of)
        if entry.curved:  # what the extrapolation leaves, and the rounding of a small step
            bound = CURVED * (1 + float(np.abs(given.dout).max(initial=0)) * given.x.size)
        bad = bounds.first_bad(analytic, numerical, bound)
        if bad is not None:
            at = np.unravel_index(places[bad.index[0]], of.shape)
            raise Failed(
                f"{name}[{', '.join(map(str, at))}] is {bad.got!r}, the central difference "
                f"{bad.expected!r} within {bad.bound:.3g}; {bad.count} of {bad.total} tried differ"
            )


def _difference(subject: Subject, case: Case, given: Inputs, of: FloatArray, place: int) -> float:
    """Return the central difference, extrapolated to a step of 0 (Richardson) where it matters."""
    step = ENTRIES[case.op].step
    near = _central(subject, case, given, of, place, step)
    if not ENTRIES[case.op].curved:
        return near
    return (4 * near - _central(subject, case, given, of, place, 2 * step)) / 3


def _central(
    subject: Subject, case: Case, given: Inputs, of: FloatArray, place: int, step: float
) -> float:
    sides = []
    for sign in (1, -1):
        old = of.flat[place]
        of.flat[place] = old + sign * step
        out, _ = subject.forward(case, given)
        of.flat[place] = old
        sides.append(out)
    return float(((sides[0] - sides[1]) * given.dout).sum() / (2 * step))


def _tolerance(subject: Subject, given: Inputs, of: FloatArray) -> float:
    """Rounding of both sides and of their sum with dout: each is at most 2 u S per output."""
    size = max(float(np.abs(a).max(initial=0)) for a in given.all if a is not None)
    terms = max(a.size for a in given.all if a is not None)
    return 64 * subject.error_factor * bounds.unit_roundoff("float64") * terms * (size + 1) ** 3


def _for_adjoint(op: str, level: str, seed: int) -> Iterator[Case]:
    for c in catalogue.geometries(op, level, seed):
        if not c.feature.startswith(("blocks", "extremes")):
            data = ENTRIES[op].distinct
            yield dataclasses.replace(c, dtype="float64", data=data, feature="gradients")


_LINEAR = names(lambda entry: not entry.decided_by_rounding and not entry.curved)


@check("adjoint", _for_adjoint, _LINEAR)
def adjoint(subject: Subject, case: Case) -> None:
    """<conv(x), dout> = <x, dx> = <w, dw>, and the same for pooling."""
    given = inputs(case).copies()
    if "b" in given.named:  # the bias is no part of the bilinear form
        case = dataclasses.replace(case, geometry=(*_without_bias(case), ("bias", False)))
        given = given.replaced(b=None)
    results = subject.both(case, given)
    value = float((results["out"] * given.dout).sum())
    sides = {
        f"<{name}, d{name}>": float((of * results[f"d{name}"]).sum()) for name, of in given.given()
    }
    exact = subject.exact and not ENTRIES[case.op].divides
    allowed = 0.0 if exact else _tolerance(subject, given, given.x)
    for name, side in sides.items():
        if not abs(side - value) <= allowed:
            raise Failed(f"{name} is {side!r}, but <out, dout> is {value!r} (within {allowed:.3g})")


def _without_bias(case: Case) -> tuple[tuple[str, object], ...]:
    return tuple((k, v) for k, v in case.geometry if k != "bias")
