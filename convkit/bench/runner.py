"""A whole run: check every subject, time every problem, yield the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from convkit.bench.apart import Apart
from convkit.bench.check import Checker
from convkit.bench.machine import Yardsticks
from convkit.bench.problems import Problem
from convkit.bench.subjects import Subject
from convkit.bench.timing import Effort, Measurement, Row


def run(
    problems: Sequence[Problem],
    subjects: list[Subject],
    dtypes: Sequence[str],
    threads: int,
    effort: Effort = Effort(),  # noqa: B008 - frozen
    directions: tuple[str, ...] | None = None,
    on_step: Callable[[Problem, str], None] | None = None,
) -> Iterator[list[Row]]:
    """Yield the rows of one problem and dtype at a time, in the last sweep.

    ``on_step`` is called after every problem and dtype of every sweep. Raises WrongAnswerError
    where a subject gets a problem wrong, before it is timed or afterwards, on other data.
    """
    yardsticks = Yardsticks()
    for subject in subjects:
        subject.set_num_threads(threads)
    measurements: dict[tuple[str, str], Measurement] = {}
    checkers: dict[tuple[str, str], Checker] = {}
    for sweep in range(effort.sweeps):
        for dtype in dtypes:
            for problem in problems:
                key = problem.name, dtype
                if key not in measurements:
                    new = Measurement(problem, subjects, dtype, threads, yardsticks, directions)
                    here = [s for s in new.subjects if not isinstance(s, Apart)]
                    checkers[key] = Checker(problem, here, dtype)
                    _check(checkers[key], new.subjects)
                    measurements[key] = new
                measurements[key].take(effort.turns(sweep), effort.seconds)
                if on_step:
                    on_step(problem, dtype)
                if sweep == effort.sweeps - 1:
                    _check(checkers.pop(key), measurements[key].subjects, 2, " after it was timed")
                    yield measurements[key].rows()


def _check(checker: Checker, subjects: Sequence[Subject], seed: int = 1, when: str = "") -> None:
    """Check the subjects here, and let those elsewhere check themselves."""
    checker.reject_wrong(seed, when)
    for subject in subjects:
        if isinstance(subject, Apart):
            subject.check(checker.problem, checker.dtype, seed, when)
