"""Run checks on cases: in this process, or in a child that may crash without taking the run along.

A backend given as an object runs here, and its isolated checks in forked children; one given by
name runs in a child process altogether. The runner knows no check, and compares nothing itself.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convkit import registry
from convkit.conformance import cases as case_text
from convkit.conformance.cases import Case
from convkit.conformance.checks import CHECKS
from convkit.conformance.child import Message, Work, forked, spawned
from convkit.conformance.costs import Costs
from convkit.conformance.entries import ENTRIES
from convkit.conformance.execute import Job, Outcome, execute
from convkit.conformance.planes import DRAWN
from convkit.conformance.pool import LOST, Pool
from convkit.conformance.report import Report, Result, settle
from convkit.conformance.subject import NO_PART, Subject
from convkit.errors import ParameterError

Starter = Callable[[Work], Generator[Message, None, None]]
Progress = Callable[[Result], None]


@dataclass(frozen=True)
class Request:
    """What to run: level, seed and what it is narrowed to."""

    level: str = "default"
    seed: int = 0
    ops: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    case: str = ""
    maxfail: int = 0

    def jobs(self, without: Sequence[str] = ()) -> Iterator[Job]:
        """Return the checks and cases wanted, in order, but for operations. Raises ParameterError.

        ``without`` are operations that a backend has no part in.
        """
        if self.case:
            name, _, text = self.case.strip().partition(" ")
            _known("check", name, CHECKS)
            _known("op", text.split()[0] if text.split() else "", ENTRIES)
            yield Job(name, _parse(text))
            return
        for wanted in self.checks:
            _known("check", wanted, CHECKS)
        for wanted in self.ops:
            _known("op", wanted, ENTRIES)
        left_out = {*without, *(op for op in ENTRIES if self.ops and op not in self.ops)}
        for name, check in CHECKS.items():
            if self.checks and name not in self.checks:
                continue
            for found in check.cases(self.level, self.seed, left_out):
                if not self.dtypes or found.dtype in self.dtypes:
                    yield Job(name, found)


def _known(what: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise ParameterError(f"{what} (={name!r}) must be one of {', '.join(names)}")


def _parse(text: str) -> Case:
    """Return a case as `--case` writes it; a search has no geometry."""
    op, *words = text.split()
    if any(w.startswith("examples=") for w in words):
        values = dict(w.split("=", 1) for w in words)
        extra = (("examples", int(values["examples"])),)
        return Case(op, (), values["dtype"], values["data"], int(values["seed"]), extra)
    return case_text.parse(text)


@dataclass
class _Run:
    """A run in progress."""

    report: Report
    request: Request
    known: Mapping[str, str]
    progress: Progress | None
    drawn: int = 0
    """How many of the results kept their plane."""

    @property
    def enough(self) -> bool:
        """Whether --maxfail was reached."""
        return 0 < self.request.maxfail <= len(self.report.failures)

    def add(self, job: Job, outcome: Outcome) -> None:
        """Note an outcome; a failure that the backend declared becomes an expected one.

        Operations that the backend has no part in have one line of their own, at the end.
        """
        if job.case.op in self.report.facts.get("not_asked", ()):
            return
        status, message = outcome.status, outcome.message
        reason = job.declared(self.known)
        if status == "fail" and reason is not None:
            status, message = "expected", reason
        plane = outcome.plane if status == "fail" and self.drawn < DRAWN else None
        self.drawn += plane is not None
        result = Result(
            job.check, job.case.op, job.case.feature, job.case.dtype,
            outcome.case or str(job.case), status, message, outcome.seconds, plane,
        )  # fmt: skip
        self.report.results.append(result)
        if self.progress is not None:
            self.progress(result)

    def here(self, subject: Subject, jobs: Iterable[Job]) -> None:
        """Run jobs in this process."""
        costs = Costs.of(self.request.level)
        for job in jobs:
            self.add(job, execute(subject, job, costs))
            if self.enough:
                return

    def apart(self, jobs: Sequence[Job], workers: int, start: Starter) -> None:
        """Run jobs in processes of their own."""
        if not jobs:
            return
        level = self.request.level

        def deliver(job: Job, outcome: Outcome) -> bool:
            if pool.facts is not None and not self.report.facts:
                self.take_facts(pool.facts)
            self.add(job, outcome)
            return self.enough

        pool = Pool(jobs, workers, LOST[level], deliver)
        pool.run(lambda share: start(Work(jobs, level, share)))
        self.report.stopped = pool.stopped

    def take_facts(self, facts: dict[str, Any]) -> None:
        """Note what the backend says about itself."""
        self.report.facts = facts
        self.report.backend = facts.get("name", self.report.backend)
        self.known = facts.get("expected_failures", {})
        for key in self.known:
            _known("expected_failures", key.partition("/")[0], CHECKS)

    def note_not_asked(self) -> None:
        """Add a line for each operation wanted that the backend has no part in."""
        for op in self.report.facts.get("not_asked", ()):
            if not self.request.ops or op in self.request.ops:
                text = f"{op}: {NO_PART}"
                self.report.results.append(Result("supports", op, "not asked", "", op, "n/a", text))


def run(
    backend: Any,
    level: str = "default",
    *,
    seed: int = 0,
    ops: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    checks: Sequence[str] = (),
    case: str = "",
    maxfail: int = 0,
    isolated: bool = True,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Hold a backend to the suite and return the report.

    Parameters
    ----------
    backend:
        An object runs in this process; a name or ``module:object`` runs in a child process.
    level:
        ``quick``, ``default`` or ``full``.
    seed:
        Of all random problems and data.
    ops, dtypes, checks, case:
        Narrow the run; ``case`` is ``"check case..."`` as failures print it.
    maxfail:
        Stop after so many failures; 0 never.
    isolated:
        Whether to run the checks that need a child process of their own.
    jobs:
        Processes that a backend given by its name runs in. The report is the same for any number.

    Raises ParameterError for a name that is none, or where hypothesis is missing, and
    BackendNotFoundError or BackendLoadError.
    """
    require_packages()
    if isinstance(backend, str):
        registry.find(backend)  # first, because drawing the problems takes seconds
    request = Request(level, seed, tuple(ops), tuple(dtypes), tuple(checks), case, maxfail)
    subject = None
    if not isinstance(backend, str):
        registry.load(backend)
        subject = Subject(backend)
    began = time.perf_counter()
    wanted = list(request.jobs(subject.facts()["not_asked"] if subject else ()))
    if not isolated:
        wanted = [j for j in wanted if not CHECKS[j.check].isolated]
    name = backend if isinstance(backend, str) else backend.name
    state = _Run(Report(name, level, seed, origin=name), request, {}, progress)
    if subject is None:
        state.apart(wanted, jobs, lambda work: spawned(backend, work))
    else:
        state.take_facts(subject.facts())
        state.here(subject, [j for j in wanted if not CHECKS[j.check].isolated])
        apart = [j for j in wanted if CHECKS[j.check].isolated]
        if not state.enough:
            state.apart(apart, 1, lambda work: forked(subject, work))
    state.note_not_asked()
    if not case and not state.enough:
        lenient = [name for name, check in CHECKS.items() if not check.strict]
        state.report.results = settle(state.report.results, state.known, lenient)
    state.report.seconds = time.perf_counter() - began
    return state.report


def require_packages() -> None:
    """Raise ParameterError where a package that the checks need is missing."""
    if importlib.util.find_spec("hypothesis") is None:
        raise ParameterError(
            "the conformance suite needs the package hypothesis, which is not installed; "
            "install it with: pip install hypothesis"
        )
