"""The checks of state: what earlier calls, other threads and dirty memory may do to a result.

A convolution is a function; a backend with workspaces, threads and reused memory must still be
one. All data are exact, so results are compared as bits or with ==. No check here depends on speed.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from convkit.conformance import catalogue, guard, problems
from convkit.conformance.cases import Case, case
from convkit.conformance.checks import bits, check, check_results, run_both, same, with_data
from convkit.conformance.data import expected, inputs
from convkit.conformance.entries import ENTRIES, names
from convkit.conformance.subject import Failed, NotApplicable, Subject
from convkit.operations import OPERATIONS


def _some(op: str, level: str, seed: int) -> Iterator[Case]:
    """One structured problem of each kind that may have a path of its own (all beyond quick)."""
    wanted = ENTRIES[op].several_paths
    seen: set[str] = set()
    for found in catalogue.structured(op, level):
        if found.feature in wanted and (level != "quick" or found.feature not in seen):
            seen.add(found.feature)
            yield from with_data([found], "exact", "state")


def _workspace(op: str, level: str, seed: int) -> Iterator[Case]:
    """Problems of one size class with other shapes between: see `_others`."""
    yield from _some(op, level, seed)
    yield from with_data([case(op, "state", **ENTRIES[op].larger)], "exact")


def _others(found: Case) -> Iterator[Case]:
    """A smaller, a larger and a differently padded problem of the same operation and dtype."""
    for seed, geometry in enumerate(ENTRIES[found.op].neighbours(found), 1):
        yield Case(found.op, tuple(geometry.items()), found.dtype, "real", seed)


def _repeat(subject: Subject, case: Case) -> None:
    first = subject.everything(case, inputs(case).copies())
    again = subject.everything(case, inputs(case).copies())
    for name, value in again.items():
        bits(name, value, first[name], "the same call twice")
    for other in subject.supported(_others(case)):
        subject.everything(other, inputs(other).copies())
    late = subject.everything(case, inputs(case).copies())
    for name, value in late.items():
        bits(name, value, first[name], "the same call before and after calls of other shapes")
    with ThreadPoolExecutor(1) as pool:
        aside = pool.submit(subject.everything, case, inputs(case).copies()).result()
    for name, value in aside.items():
        bits(name, value, first[name], "the same call in another thread")
    if case.data == "exact":
        check_results(subject, case, late)


@check("repeat", _workspace)
def repeat(subject: Subject, case: Case) -> None:
    """The same call gives the same bits: at once, after other shapes, in another thread."""
    _repeat(subject, case)


@check("repeat-real", lambda op, level, seed: with_data(_workspace(op, level, seed), "real"))
def repeat_real(subject: Subject, case: Case) -> None:
    """A backend that calls itself reproducible gives the same bits on reals too."""
    if not subject.reproducible:
        raise NotApplicable("the backend does not declare reproducible = True")
    _repeat(subject, case)


@check("pairs", _some)
def pairs(subject: Subject, case: Case) -> None:
    """A backward call belongs to its own forward call, whatever was called in between."""
    mine, other = inputs(case).copies(), inputs(_reseeded(case)).copies()
    out, cache = subject.forward(case, mine)
    kept = out.copy()
    out_other, cache_other = subject.forward(case, other)
    bits("out", out, kept, "an earlier result after a second call")
    first = subject.backward(case, mine.dout, cache)
    second = subject.backward(_reseeded(case), other.dout, cache_other)
    check_results(subject, case, {"out": out, **first})
    check_results(subject, _reseeded(case), {"out": out_other, **second})
    for name, value in subject.backward(case, mine.dout, cache).items():
        bits(name, value, first[name], "backward twice from one cache")
    wanted = expected(case)
    for name, value in subject.backward(case, -mine.dout, cache).items():
        same(subject, f"from -dout and the same cache: {name}", value, wanted[name].negated(), case)
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(subject.backward, case, mine.dout, cache).result()
    for name, value in later.items():
        bits(name, value, first[name], "backward in another thread")
    _kept(subject, case)


KEPT = 12
"""How many results are kept at once: more than a ring of a few buffers holds."""


def _kept(subject: Subject, case: Case) -> None:
    """Raise Failed where a result changes while later ones are computed."""
    several = [dataclasses.replace(case, seed=case.seed + i % 3) for i in range(KEPT)]
    results = [subject.everything(found, inputs(found).copies()) for found in several]
    for found, result in zip(several, results, strict=True):
        check_results(subject, found, result)


def _reseeded(found: Case) -> Case:
    return Case(found.op, found.geometry, found.dtype, found.data, found.seed + 1)


@check("out-overwritten", _some)
def out_overwritten(subject: Subject, case: Case) -> None:
    """The caller owns the results: overwriting them changes no later one."""
    given = inputs(case).copies()
    out, cache = subject.forward(case, given)
    out.fill(np.nan)
    first = subject.backward(case, given.dout, cache)
    check_results(subject, case, first)
    for value in first.values():
        value.fill(np.nan)
    check_results(subject, case, subject.backward(case, given.dout, cache))
    check_results(subject, case, {"out": subject.forward(case, given)[0]})


def _twins(op: str, level: str, seed: int) -> Iterator[Case]:
    yield from with_data([case(op, "state", **p) for p in ENTRIES[op].twins], "exact")


@check("twins", _twins, names(lambda entry: entry.twins))
def twins(subject: Subject, case: Case) -> None:
    """Problems with the same shapes but other padding, dilation or groups are not mixed up."""
    for found in subject.supported(_twins(case.op, "", 0)):
        if found.dtype == case.dtype:
            run_both(subject, found)
    run_both(subject, case)


_SEVERAL = tuple(name for name in ENTRIES if len(OPERATIONS[name].gradients) > 1)


@check("needs", _some, _SEVERAL)
def needs(subject: Subject, case: Case) -> None:
    """Each gradient is right whichever others are wanted, and only those wanted come back."""
    given = inputs(case)
    wanted_all = expected(case)
    gradients = case.operation.gradients
    subsets = (s for n in range(1, len(gradients)) for s in itertools.combinations(gradients, n))
    for wanted in subsets:
        present = set(wanted) & wanted_all.keys()
        if not present:  # db of a convolution without a bias: convkit need not ask
            continue
        _, cache = subject.forward(case, given.copies())
        got = subject.backward(case, given.dout.copy(), cache, wanted)
        if set(got) != present:
            raise Failed(f"needs={wanted} gave {sorted(got)}, expected {sorted(present)}")
        for name, value in got.items():
            same(subject, f"with needs={wanted}: {name}", value, wanted_all[name], case)


# --- memory ---------------------------------------------------------------------------------


def _small(op: str, level: str, seed: int) -> Iterator[Case]:
    features = catalogue.structured(op, level)
    if level == "quick":
        features = [c for c in features if c.feature not in ("large sums", "course", "same sizes")]
    yield from with_data(features, "exact", "memory")


@check("poisoned-memory", _small, isolated=True)
def poisoned_memory(subject: Subject, case: Case) -> None:
    """Fresh memory full of garbage (malloc's perturbation and NaN) changes no result."""
    given = inputs(case).copies()
    guard.poison(case)
    out, cache = subject.forward(case, given)
    guard.poison(case)
    check_results(subject, case, {"out": out, **subject.backward(case, given.dout, cache)})
    if case.infers:
        guard.poison(case)
        check_results(subject, case, {"inferred": subject.infer(case, given)})


def _fenced(op: str, level: str, seed: int) -> Iterator[Case]:
    """Each problem with a fence at both ends; at quick at one end, in turn."""
    for number, c in enumerate(_guarded(op, level, seed)):
        ends = ("first", "last") if level != "quick" else (("last", "first")[number % 2],)
        for end in ends:
            yield Case(c.op, c.geometry, c.dtype, c.data, c.seed, (("end", end),), "memory")


@check("guard-pages", _fenced, isolated=True)
def guard_pages(subject: Subject, case: Case) -> None:
    """Nothing is read before the first or after the last byte of an input."""
    plain = dataclasses.replace(case, extra=())  # its reference is known from other checks
    fenced = inputs(plain).map(lambda a: guard.fence(a, case.get("end")))
    check_results(subject, plain, subject.everything(plain, fenced))


def _guarded(op: str, level: str, seed: int) -> Iterator[Case]:
    yield from _small(op, level, seed)
    yield from _popular(op)
    yield from with_data(catalogue.blocks(op, level), "exact")


MOST_TERMS = 60_000


def _popular(op: str) -> Iterator[Case]:
    """One problem of each popular geometry, for a path of its own may read past its inputs."""
    seen: set[Any] = set()
    for _, point, found in problems.chosen(op, "quick", 0):
        geometry = (point.get("geometry"), point.get("convolution"), point.get("pool"))
        if any(geometry) and geometry not in seen and found.work < MOST_TERMS:
            seen.add(geometry)
            yield dataclasses.replace(found, extra=())


# --- threads and processes ------------------------------------------------------------------


def _threaded(op: str, level: str, seed: int) -> Iterator[Case]:
    yield from with_data([case(op, "threads", **s) for s in ENTRIES[op].parallel], "exact")


def _small_then_threaded(op: str, level: str, seed: int) -> Iterator[Case]:
    """Small problems first, so that a slow backend is known to be slow before a larger one."""
    small = _some(op, "full" if level == "full" else "quick", seed)
    for found in itertools.islice(small, 4 if level == "quick" else None):
        yield dataclasses.replace(found, feature="threads")
    yield from _threaded(op, level, seed)


@check("threads", _threaded)
def threads(subject: Subject, case: Case) -> None:
    """With 1, 2, 3, 8, 9 and 16 threads the results are right, and have the same bits."""
    if not subject.has("set_num_threads"):
        raise NotApplicable("the backend has no set_num_threads")
    kinds = ("exact", "real") if subject.reproducible else ("exact",)
    with subject.threads():
        for kind in kinds:
            found = Case(case.op, case.geometry, case.dtype, kind, case.seed)
            given, first = inputs(found).copies(), None
            for count in (1, 2, 3, 8, 9, 16):
                subject.backend.set_num_threads(count)
                got = subject.everything(found, given)
                if kind == "exact" or not ENTRIES[case.op].decided_by_rounding:
                    check_results(subject, found, got)
                first = first or got
                if ENTRIES[case.op].curved and not subject.reproducible:
                    continue  # the order of a sum that is rounded may be another
                for name, value in got.items():
                    bits(name, value, first[name], f"{count} threads against 1")


@contextmanager
def _fast_switching() -> Iterator[None]:
    """Let Python switch threads a thousand times more often, so that shared state shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


@check("concurrent", _small_then_threaded)
def concurrent(subject: Subject, case: Case) -> None:
    """Calls from several Python threads at once do not disturb each other, of any shape."""
    mine = [Case(case.op, case.geometry, case.dtype, "exact", seed) for seed in range(3)]
    mine += subject.supported(dataclasses.replace(c, data="exact") for c in _others(case))
    for found in mine:
        expected(found)  # worked out beforehand, so that the threads meet in the backend

    def work(found: Case) -> None:
        for _ in range(3):
            run_both(subject, found)

    with _fast_switching(), ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, found) for found in mine]:
            done.result()


@check("fork", _small_then_threaded, isolated=True)
def fork(subject: Subject, case: Case) -> None:
    """After a fork the child computes the same, and does not hang."""
    if not hasattr(os, "fork"):
        raise NotApplicable("this platform has no fork")
    run_both(subject, case)
    problem = guard.in_fork(lambda: run_both(subject, case))
    if problem:
        raise Failed(f"in the child of a fork: {problem}")
    run_both(subject, case)
