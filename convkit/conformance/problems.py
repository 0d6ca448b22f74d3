"""The check of the space: every path of a backend on a covering array of problems.

One problem asks forward, inference, backward and backward of a part of the gradients; all data
are exact and the fast reference decides with ``==``, so that a problem costs about a millisecond.
What a level leaves out for its cost is said by `convkit.conformance.coverage`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from convkit import bounds
from convkit.conformance.arrays import Expected, Inputs
from convkit.conformance.cases import Case
from convkit.conformance.checks import check, same, shape
from convkit.conformance.covering import Cover, Point, points
from convkit.conformance.data import inputs
from convkit.conformance.entries import ENTRIES
from convkit.conformance.entry import FastResults
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import Failed, Subject, agree

MOST = {"quick": 300_000, "default": 3_000_000, "full": 60_000_000}
"""The largest cost of a problem at each level, in multiply-adds of its forward pass."""
SPENT = {"quick": 240_000_000, "default": 1_500_000_000, "full": 60_000_000_000}
"""What all problems of a space may cost at each level, with `EACH` for every one of them."""
EACH = 60_000
LEVELS = tuple(MOST)


@lru_cache(maxsize=16)
def chosen(op: str, level: str, seed: int) -> tuple[tuple[str, Point, Case], ...]:
    """Return the problems of an operation at a level, each with its space and its point.

    A level goes on where the one below it ended, with more to spend.
    """
    found: list[tuple[str, Point, Case]] = []
    for space in ENTRIES[op].spaces:
        cover, number = Cover(space), itertools.count()
        for step in LEVELS[: LEVELS.index(level) + 1]:
            cover.retry()
            spent = 0
            for point, geometry in points(cover, MOST[step], f"{seed} {op} {space.name} {step}"):
                found.append((space.name, point, _case(op, point, geometry, next(number))))
                spent += EACH + space.cost(geometry)
                if spent > SPENT[step] * ENTRIES[op].share:
                    break
    return tuple(found)


def _case(op: str, point: Point, geometry: dict[str, Any], number: int) -> Case:
    extra = (("threads", point["threads"]),)
    return Case(op, tuple(geometry.items()), point["dtype"], "exact", number, extra, "space")


def _space(op: str, level: str, seed: int) -> Iterator[Case]:
    return (case for _, _, case in chosen(op, level, seed))


@check("space", _space, rationed=True)
def space(subject: Subject, case: Case) -> None:
    """Popular geometries at every size of block: out, inference and all gradients are exact."""
    every_path(subject, case)


def _large(op: str, level: str, seed: int) -> Iterator[Case]:
    for number, geometry in enumerate(ENTRIES[op].large(level)):
        dtype = "float64" if number % 3 == 2 else "float32"
        threads = (("threads", 3),)
        yield Case(op, tuple(geometry.items()), dtype, "exact", seed + number, threads, "large")


@check("large", _large, rationed=True)
def large(subject: Subject, case: Case) -> None:
    """One large number: sums of thousands, many images, planes or filters, large images."""
    every_path(subject, case)


# --- one problem ----------------------------------------------------------------------------


def every_path(subject: Subject, case: Case) -> None:
    """Hold forward, inference and backward, all and in part, to the fast reference."""
    given = inputs.__wrapped__(case).map(np.array)
    problem = _Problem(subject, case, given)
    originals = tuple(a.copy() for _, a in given.given())
    with subject.threads(case.get("threads", 1)):
        problem.ask()
    for (name, now), before in zip(given.given(), originals, strict=True):
        if not np.array_equal(now, before):
            agree(f"the input {name} was written to: {name}", now, before)


@dataclass
class _Problem:
    """A case and what it must give."""

    subject: Subject
    case: Case
    given: Inputs

    def __post_init__(self) -> None:
        """Work out the results, before a backend may write to what it is given."""
        self.wanted: FastResults = ENTRIES[self.case.op].fast(self.case, self.given)

    @cached_property
    def sizes(self) -> FastResults:
        """The same operation on absolute values, which an error bound needs."""
        magnitudes = inputs.__wrapped__(self.case).map(np.abs)
        found: FastResults = ENTRIES[self.case.op].fast(self.case, magnitudes)
        return found

    def ask(self) -> None:
        """Ask every path; which is first differs from seed to seed. Raises Failed."""
        case, given, subject = self.case, self.given, self.subject
        gradients = {n: value for n, value in self.wanted.items() if n in case.operation.gradients}
        partial_first = case.seed % 2 == 0
        if case.infers and not partial_first:
            self._infer()
        results, cache = subject.forward_all(case, given)
        for name, value in results.items():
            self._compare(name, value, self.wanted[name])
        part = _part(case, tuple(gradients))
        for needs in (part, None) if partial_first else (None, part):
            sign = -1.0 if needs else 1.0  # a gradient that is remembered from before is wrong
            got = subject.backward(case, sign * given.dout, cache, needs)
            for name in needs or gradients:
                said = f"with needs={needs}: {name}" if needs else name
                if name not in got:
                    raise Failed(f"{said} is missing")
                want = gradients[name]
                if sign < 0:
                    want = want.negated() if isinstance(want, Expected) else -want
                self._compare(said, got[name], want)
        if case.infers and partial_first:
            self._infer()

    def _infer(self) -> None:
        out = self.subject.infer(self.case, self.given)
        self._compare("inference's out", out, self.wanted["out"])

    def _compare(self, said: str, got: FloatArray, want: FloatArray | Expected) -> None:
        case, subject, entry = self.case, self.subject, ENTRIES[self.case.op]
        if isinstance(want, Expected):
            same(subject, said, got, want, case)
            return
        exact = subject.exact and not entry.divides
        if exact or not entry.rounds:
            shape(said, got, want.shape, case.dtype)
            if not np.array_equal(got, want):
                agree(said, got, want)
            return
        name = said.rpartition(" ")[2]
        if name != "out" and entry.decided_by_rounding:
            shape(said, got, want.shape, case.dtype)
            return
        terms = bounds.terms(case.specs[0], name)
        same(subject, said, got, Expected.of(want, self.sizes[name], terms, exact=False), case)


def _part(case: Case, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return some of the gradients, another choice for each seed."""
    counts = range(1, max(2, len(names)))
    subsets = [s for n in counts for s in itertools.combinations(names, n)]
    return subsets[(case.seed // 2) % len(subsets)]
