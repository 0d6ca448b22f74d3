"""Layers timed by libraries in processes of their own, which sleep while another one is asked.

`Layers` is what such a process answers, and `Apart` the subject that asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from convkit.bench.check import Checker
from convkit.bench.problems import Arrays, Problem, arrays
from convkit.bench.sides import Process, started
from convkit.bench.subjects import Calls, Ours, Subject, Torch
from convkit.bench.timing import Local

__all__ = ["Apart", "Layers", "apart"]


class Layers:
    """What the process of one side does for each request."""

    def __init__(self, who: str, threads: int) -> None:
        self.subject: Subject = Torch() if who == Torch.name else Ours(who)
        self.subject.set_num_threads(threads)
        self._timer = Local(self.subject)
        self._checkers: dict[tuple[Problem, str], Checker] = {}

    def set_num_threads(self, n: int) -> None:
        """Use ``n`` threads from now on."""
        self.subject.set_num_threads(n)

    def check(self, given: dict[str, Any], dtype: str, seed: int, when: str) -> None:
        """Raise WrongAnswerError where a result is wrong; on the same arrays each time."""
        key = _problem(given), dtype
        if key not in self._checkers:
            self._checkers[key] = Checker(key[0], [self.subject], dtype)
        self._checkers[key].reject_wrong(seed, when)
        if when:
            del self._checkers[key]

    def begin(self, given: dict[str, Any], dtype: str, seed: int) -> None:
        """Make a round's arrays."""
        problem = _problem(given)
        self._timer.begin(problem, dtype, seed, lambda: arrays(problem, dtype, seed=seed))

    def seconds(self, direction: str) -> float:
        """Time a call."""
        return self._timer.seconds(direction)

    def extra(self, direction: str) -> int | None:
        """Return the call's extra memory."""
        return self._timer.extra(direction)


def _problem(given: dict[str, Any]) -> Problem:
    return Problem(**{**given, "x_shape": tuple(given["x_shape"])})


class Apart:
    """A subject in a process of its own. The one it stands for says here what it can."""

    def __init__(self, subject: Subject, process: Process) -> None:
        self.subject, self.process, self.name = subject, process, subject.name

    def why_not(self, problem: Problem, dtype: Any) -> str | None:
        """Return what the subject says."""
        return self.subject.why_not(problem, dtype)

    def set_num_threads(self, n: int) -> None:
        """Set those of the process."""
        self.process.ask("set_num_threads", n)

    def calls(self, problem: Problem, data: Arrays) -> Calls:
        """Return the subject's own calls, in this process."""
        return self.subject.calls(problem, data)

    def check(self, problem: Problem, dtype: str, seed: int, when: str) -> None:
        """Raise WrongAnswerError where a result of the process is wrong."""
        self.process.ask("check", asdict(problem), dtype, seed, when)

    # --- a timer: see convkit.bench.timing ----------------------------------------------------

    def begin(self, problem: Problem, dtype: Any, seed: int, data: Callable[[], Arrays]) -> None:
        """Let the process make a round's arrays."""
        self.process.ask("begin", asdict(problem), str(dtype), seed)

    def seconds(self, direction: str) -> float:
        """Let the process time a call."""
        return float(self.process.ask("seconds", direction))

    def extra(self, direction: str) -> int | None:
        """Return the call's extra memory in the process."""
        found: int | None = self.process.ask("extra", direction)
        return found


@contextmanager
def apart(subjects: Sequence[Subject], threads: int) -> Iterator[list[Subject]]:
    """Yield each subject in a process of its own."""
    with started("layers", [subject.name for subject in subjects], threads) as processes:
        yield [Apart(subject, processes[subject.name]) for subject in subjects]
