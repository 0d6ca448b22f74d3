"""The check of sequences: any order of calls, found by a state machine of Hypothesis.

A backend is a function of its arguments, whatever was called before it, in which thread or
process, and whatever became of earlier results. The machine draws sequences of forward, inference
and backward calls, holds each result to the reference, and keeps all of them to see that none
changes later. A sequence that fails is shrunk to the shortest one found.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convkit.conformance import catalogue, guard
from convkit.conformance.arrays import Inputs
from convkit.conformance.cases import Case, case
from convkit.conformance.checks import check, check_results, same, with_data
from convkit.conformance.data import expected, inputs
from convkit.conformance.entries import ENTRIES
from convkit.conformance.helper import Helper
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import Failed, Subject, Unsupported
from convkit.errors import ConvkitError

EXAMPLES = {"default": 50, "full": 600}
"""Sequences at each level; the quick one has no time for them."""
STEPS = 30
PROBLEMS = 6
SEEDS = 2
PLACES = ("here", "in another thread", "in a forked child", "in a process that saw no forward")
THREADS = (1, 2, 3, 5)


class _Hung(KeyboardInterrupt):
    """A sequence that hangs is not shrunk: each attempt would take as long."""


def _machines(op: str, level: str, seed: int) -> Iterator[Case]:
    if level in EXAMPLES:
        extra = (("examples", EXAMPLES[level]),)
        yield Case(op, (), "float32", "exact", seed, extra, "sequences")


def _problems(op: str) -> Iterator[Case]:
    """Small problems: of one shape with other geometries, and of several shapes, in both dtypes."""
    found = [case(op, "sequences", **p) for p in ENTRIES[op].twins[:2]]
    wanted = ENTRIES[op].several_paths
    found += [c for c in catalogue.structured(op, "quick") if c.feature in wanted]
    return with_data(sorted(found, key=lambda c: c.work), "exact", "sequences")


@dataclass
class _Pass:
    """A forward call with what its backward call needs."""

    number: int
    case: Case
    given: Inputs
    cache: Any


@dataclass
class Calls:
    """The calls of one sequence, in order, and their results.

    Each method is a step: it calls, and raises Failed where a result is wrong.
    """

    subject: Subject
    steps: list[str] = field(default_factory=list)
    passes: list[_Pass] = field(default_factory=list)
    kept: list[tuple[str, FloatArray, bytes]] = field(default_factory=list)
    helper: Helper | None = None

    def keep(self, said: str, results: dict[str, FloatArray]) -> None:
        """Keep results, to see that they stay."""
        self.kept += [(f"{name} of {said}", a, a.tobytes()) for name, a in results.items()]

    def still(self) -> None:
        """Raise Failed where a result changed that nobody overwrote."""
        for said, now, before in self.kept:
            if now.tobytes() != before:
                raise Failed(f"{said} changed later")

    def forward(self, case: Case) -> None:
        """Run forward and keep its cache."""
        said = f"forward {len(self.passes)}"
        self.steps.append(f"{said} of {case}")
        given = inputs(case).copies()
        out, cache = self.subject.forward(case, given)
        check_results(self.subject, case, {"out": out})
        self.passes.append(_Pass(len(self.passes), case, given, cache))
        self.keep(said, {"out": out})

    def infer(self, case: Case) -> None:
        """Run the inference call, where there is one."""
        if case.infers:
            self.steps.append(f"inference of {case}")
            out = self.subject.infer(case, inputs(case).copies())
            check_results(self.subject, case, {"inferred": out})
            self.keep("inference", {"out": out})

    def backward(self, which: int, sign: int, part: int, place: str) -> None:
        """Run the backward call of an earlier forward call, somewhere, for some gradients."""
        made = self.passes[which % len(self.passes)]
        case, dout = made.case, sign * made.given.dout
        needs = _part(case, part) if place == "here" else None
        wanted = f" for {', '.join(needs)}" if needs else ""
        times = f"{sign} x dout"
        self.steps.append(f"backward {made.number} of {times}{wanted} {place}")
        if place == "in a forked child":
            self._forked(made, dout, sign)
            return
        if place == "in another thread":
            with ThreadPoolExecutor(1) as pool:
                got = pool.submit(self.subject.backward, case, dout, made.cache).result()
        elif place == PLACES[-1]:
            found = None
            if self.helper is not None:
                found = self.helper.backward(case, dout, made.cache)
            if found is None:
                return
            got = found
        else:
            got = self.subject.backward(case, dout, made.cache, needs)
        self._judge(case, got, sign, needs)
        if place != PLACES[-1]:
            self.keep(f"backward {made.number}", got)

    def _forked(self, made: _Pass, dout: FloatArray, sign: int) -> None:
        def work() -> None:
            self._judge(made.case, self.subject.backward(made.case, dout, made.cache), sign, None)

        if problem := guard.in_fork(work, guard.FORK_SECONDS):
            raise Failed(f"in a forked child: {problem}")

    def _judge(
        self, case: Case, got: dict[str, FloatArray], sign: int, needs: tuple[str, ...] | None
    ) -> None:
        wanted = expected(case)
        names = set(needs or case.operation.gradients) & wanted.keys()
        if set(got) != names:
            raise Failed(f"got {sorted(got)}, expected {sorted(names)}")
        if ENTRIES[case.op].decided_by_rounding and not self.subject.exact:
            return
        for name, value in got.items():
            same(self.subject, name, sign * value, wanted[name], case)

    def overwrite(self, which: int) -> None:
        """Overwrite a result that was kept, as its owner may."""
        said, result, _ = self.kept.pop(which % len(self.kept))
        self.steps.append(f"overwrite {said}")
        result.fill(np.nan)

    def threads(self, count: int) -> None:
        """Change the number of threads."""
        self.steps.append(f"{count} threads")
        self.subject.backend.set_num_threads(count)

    def together(self, cases: list[Case]) -> None:
        """Run several problems in as many threads at once."""
        self.steps.append("at once: " + " | ".join(map(str, cases)))
        for found in cases:
            expected(found)  # beforehand, so that the threads meet in the backend

        def work(found: Case) -> dict[str, FloatArray]:
            given = inputs(found).copies()
            results: dict[str, FloatArray] = {}
            for _ in range(3):
                results = self.subject.everything(found, given)
                check_results(self.subject, found, results)
            return results

        with ThreadPoolExecutor(len(cases)) as pool:
            for results in pool.map(work, cases):
                self.keep("several at once", results)

    def close(self) -> None:
        """End the process beside this one."""
        if self.helper is not None:
            self.helper.close()


def _part(case: Case, number: int) -> tuple[str, ...] | None:
    """Return some of the gradients; 0 is all of them."""
    have = [name for name in case.operation.gradients if name in expected(case)]
    subsets = [s for n in range(1, len(have)) for s in itertools.combinations(have, n)]
    return ([None, *subsets])[number % (len(subsets) + 1)]


@dataclass
class _Failures:
    """What failed, each time with the steps before it."""

    found: list[tuple[Exception, list[str]]] = field(default_factory=list)

    def watch(self, calls: Calls, step: Callable[..., None], *arguments: Any) -> None:
        """Make a step, and note where it fails."""
        try:
            step(*arguments)
        except (Failed, ConvkitError) as error:
            self.found.append((error, list(calls.steps)))
            if guard.A_HANG in str(error):
                raise _Hung(str(error)) from error
            raise

    def shortest(self) -> Failed:
        """The failure with the fewest steps."""
        error, steps = min(self.found, key=lambda found: len(found[1]))
        text = f"{error}; after: {'; '.join(steps)}"
        return Failed(text, getattr(error, "plane", None))


def machine(subject: Subject, cases: list[Case], failures: _Failures) -> Any:
    """Return the class of a state machine over some problems; ``failures`` gets what fails."""
    import hypothesis.strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

    which = st.integers(0, len(cases) - 1).map(lambda i: cases[i])
    places = PLACES if hasattr(os, "fork") else PLACES[:2]
    some = st.integers(0, 9)

    class Sequence(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.calls = Calls(subject, helper=Helper(subject) if len(places) > 2 else None)

        def do(self, step: Callable[..., None], *arguments: Any) -> None:
            failures.watch(self.calls, step, *arguments)

        @rule(case=which)
        def forward(self, case: Case) -> None:
            self.do(self.calls.forward, case)

        @rule(case=which)
        def infer(self, case: Case) -> None:
            self.do(self.calls.infer, case)

        @precondition(lambda self: self.calls.passes)
        @rule(made=some, sign=st.sampled_from((1, -1)), part=some, place=st.sampled_from(places))
        def backward(self, made: int, sign: int, part: int, place: str) -> None:
            self.do(self.calls.backward, made, sign, part, place)

        @precondition(lambda self: self.calls.kept)
        @rule(number=some)
        def overwrite(self, number: int) -> None:
            self.do(self.calls.overwrite, number)

        @precondition(lambda self: subject.has("set_num_threads"))
        @rule(count=st.sampled_from(THREADS))
        def threads(self, count: int) -> None:
            self.do(self.calls.threads, count)

        @rule(cases=st.lists(which, min_size=2, max_size=4))
        def together(self, cases: list[Case]) -> None:
            self.do(self.calls.together, cases)

        @invariant()
        def results_stay(self) -> None:
            self.do(self.calls.still)

        def teardown(self) -> None:
            self.calls.close()

    return Sequence


@check("sequences", _machines, seconds=600.0)
def sequences(subject: Subject, case: Case) -> None:
    """Any order of calls, in threads, forks and other processes, gives what each gives alone."""
    import hypothesis
    import hypothesis.errors
    from hypothesis.stateful import run_state_machine_as_test

    # Here, because importing a module of checks puts them into the table, whose order is set.
    from convkit.conformance.laws import search_settings

    found = list(itertools.islice(subject.supported(_problems(case.op)), 2 * PROBLEMS))
    if not found:
        raise Unsupported("every problem of the sequences is declined")
    cases = [c if not s else _seeded(c, s) for c in found for s in range(SEEDS)]
    failures = _Failures()
    settings = search_settings(case.get("examples"), stateful_step_count=STEPS)
    try:
        seeded = hypothesis.seed(case.seed)(machine(subject, cases, failures))
        with subject.threads():
            run_state_machine_as_test(seeded, settings=settings)
    except (Failed, ConvkitError, _Hung, hypothesis.errors.Flaky) as error:
        # Flaky: what a backend keeps outlives a sequence, so that a repetition may differ.
        if not failures.found:
            raise
        raise failures.shortest() from error


def _seeded(found: Case, seed: int) -> Case:
    return Case(found.op, found.geometry, found.dtype, found.data, seed, (), found.feature)
