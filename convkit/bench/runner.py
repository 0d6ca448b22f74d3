"""A whole run: check every subject, time every problem, hand back the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convkit.bench.check import reject_wrong
from convkit.bench.machine import Yardsticks
from convkit.bench.problems import Problem
from convkit.bench.subjects import Subject
from convkit.bench.timing import Effort, Row, measure


def run(
    problems: Sequence[Problem],
    subjects: list[Subject],
    dtypes: Sequence[str],
    threads: int,
    effort: Effort = Effort(),  # noqa: B008 - frozen
    ways: tuple[str, ...] | None = None,
) -> Iterator[list[Row]]:
    """Yield the rows of one problem and dtype at a time.

    Raises WrongAnswerError before anything is timed on a problem that a subject gets wrong.
    """
    yardsticks = Yardsticks()
    for subject in subjects:
        subject.set_num_threads(threads)
    for dtype in dtypes:
        for problem in problems:
            able = [s for s in subjects if s.why_not(problem, dtype) is None]
            reject_wrong(problem, able, dtype)
            yield measure(problem, able, dtype, threads, effort, yardsticks, ways)
