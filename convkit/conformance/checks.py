"""What a check is, the table of all checks, and the comparisons that they are made of.

A check is a named, documented function of (subject, case) that returns when the backend is right
and raises `Failed` when it is not; the table lists all that a backend must satisfy. Results are
compared with the reference within `convkit.bounds`, never with another backend. The checks
themselves are in the modules that `convkit.conformance` imports.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from convkit.conformance.arrays import Expected, Inputs
from convkit.conformance.cases import DTYPES, Case
from convkit.conformance.data import expected, inputs
from convkit.conformance.entries import ENTRIES
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import Failed, Subject, agree

Runner = Callable[[Subject, Case], str | None]
"""Returns where the backend is right; a text is a remark, which is no failure."""
Maker = Callable[[str, str, int], Iterable[Case]]


@dataclass(frozen=True)
class Check:
    """A named check: how to run it on a case, and its cases for (operation, level, seed)."""

    name: str
    summary: str
    run: Runner
    make: Maker
    operations: tuple[str, ...]
    isolated: bool = False
    """Whether a wrong backend may crash or hang in it, so that it runs in a child process."""
    seconds: float | None = None
    """How long one case may take in a child process before it counts as a hang; None: as usual."""
    strict: bool = True
    """Whether a failure that a backend expects has to happen."""
    rationed: bool = False
    """Whether a slow backend is asked only as many cases as a level has time for."""

    def cases(self, level: str, seed: int, without: Iterable[str] = ()) -> Iterator[Case]:
        """Return the check's cases in order: by operation, each in float32 and float64."""
        for op in self.operations:
            if op not in without:
                yield from self.make(op, level, seed)


CHECKS: dict[str, Check] = {}


def check(
    name: str,
    make: Maker,
    operations: tuple[str, ...] = tuple(ENTRIES),
    *,
    isolated: bool = False,
    seconds: float | None = None,
    strict: bool = True,
    rationed: bool = False,
) -> Callable[[Runner], Runner]:
    """Register a check; its docstring's first line is its summary."""

    def register(run: Runner) -> Runner:
        # Python removes docstrings where it is started with -OO.
        summary, *_ = (run.__doc__ or "").strip().splitlines() or [""]
        CHECKS[name] = Check(
            name, summary, run, make, operations, isolated, seconds, strict, rationed
        )
        return run

    return register


def with_data(cases: Iterable[Case], data: str, feature: str = "", **extra: Any) -> Iterator[Case]:
    """Return cases in both dtypes, with a kind of data, a feature and extra values."""
    for found in cases:
        for dtype in DTYPES:
            yield dataclasses.replace(
                found,
                dtype=dtype,
                data=data,
                feature=feature or found.feature,
                extra=(*found.extra, *extra.items()),
            )


# --- comparisons ----------------------------------------------------------------------------


def same(subject: Subject, name: str, got: FloatArray, want: Expected, case: Case) -> None:
    """Raise Failed at the first element of a result beyond its bound."""
    if want.lenient and got.shape == want.ref.shape:
        want = dataclasses.replace(want, ref=np.where(want.undecided(got), got, want.ref))
    if not subject.exact and want.limit is None:
        want = dataclasses.replace(want, S=np.maximum(want.S, _largest(name, case)))
    bound = want.bound(
        case.dtype,
        exact_backend=subject.exact or not ENTRIES[case.op].rounds,
        factor=subject.error_factor,
        random=case.data == "real",
    )
    shape(name, got, want.ref.shape, case.dtype)
    agree(name, got, want.ref, bound)


def _largest(name: str, case: Case) -> float:
    """Return the largest product of what a result is a sum of products of.

    A transform spreads the rounding errors of all that it transforms, also of what meets padding
    alone and is not counted in S, as the outer weights on an image of one column.
    """
    found = inputs(dataclasses.replace(case, extra=()))
    given = {**dict(found.given()), "dout": found.dout}
    factors = {"x", *ENTRIES[case.op].weights}
    if name in case.operation.gradients:
        of = name[1:]
        factors = {"dout", *(factors - {of} if of in factors else ())}
    finite = (np.abs(given[n][np.isfinite(given[n])]) for n in sorted(factors))
    return float(math.prod(a.max(initial=0) for a in finite))


def shape(name: str, got: FloatArray, wanted: tuple[int, ...], dtype: str) -> None:
    """Raise Failed unless shape, dtype and contiguity are as agreed."""
    if got.shape != wanted or got.dtype != np.dtype(dtype) or not got.flags.carray:
        raise Failed(
            f"{name} has shape {got.shape}, dtype {got.dtype}, C-contiguous and writable "
            f"{got.flags.carray}; expected {wanted}, {dtype}, True"
        )


def bits(name: str, got: FloatArray, before: FloatArray, what: str) -> None:
    """Raise Failed where two results differ in a bit."""
    if got.tobytes() != before.tobytes():
        agree(f"{what}: {name}", got, before)
        raise Failed(f"{what}: {name} in the sign of a zero or the bits of a NaN")


def untouched(given: Inputs, original: Inputs) -> None:
    """Raise Failed where an input was written to, or locked."""
    for name, now, before in zip(given.names, given.all, original.all, strict=True):
        if now is not None and not now.flags.writeable:
            raise Failed(f"the input {name} was made read-only")
        if now is not None and before is not None and now.tobytes() != before.tobytes():
            said = f"the input {name} was written to"
            agree(f"{said}: {name}", now, before)
            raise Failed(f"{said}: {name} in the sign of a zero or the bits of a NaN")


OUTS = {"out", "inferred"}
"""Results that are out: of forward, and of inference."""


def check_results(
    subject: Subject, case: Case, results: dict[str, FloatArray], apart: Iterable[str] = ()
) -> None:
    """Hold every result of a case to the reference; all that is expected must be there.

    The values of the gradients that ``apart`` names are another check's.
    """
    wanted = expected(case)
    gradients = results.keys() & {*case.operation.gradients}
    due = wanted.keys() & {*case.operation.gradients}
    if gradients and gradients != due:
        raise Failed(f"got {sorted(gradients)}, expected {sorted(due)}")
    for name, got in results.items():
        if name in OUTS:
            said = "out" if name == "out" else "inference's out"
            same(subject, said, got, wanted["out"], case)
        elif name not in apart and not decided_by_rounding(subject, case):
            same(subject, name, got, wanted[name], case)


def decided_by_rounding(subject: Subject, case: Case) -> bool:
    """Whether rounding may change which pixel wins, and with it every gradient."""
    if not ENTRIES[case.op].decided_by_rounding or case.data == "separated":
        return False
    return not subject.exact or case.data == "real"


def run_both(subject: Subject, case: Case, apart: Iterable[str] = ()) -> None:
    """Forward, backward and inference on fresh copies; inputs must come back as they were."""
    given = inputs(case).copies()
    results = subject.everything(case, given)
    check_results(subject, case, results, apart)
    untouched(given, inputs(case))
