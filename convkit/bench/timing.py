"""Paired timing: all subjects take turns on the same arrays, fresh ones each round.

This is the only timer of the package. Machines are noisy, so a figure is a median over rounds, and
what it is compared with (other subjects, the peak, a copy) is sampled in the same rounds. There is
a pause between subjects, because the threads of BLAS and OpenMP spin for a while after their work
and would disturb the next one. A virtual machine may be slow for a minute, so a run can go through
its problems several times and divide the rounds of each among these sweeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from statistics import median
from time import perf_counter, sleep
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from convkit.bench.machine import Yardsticks
from convkit.bench.memory import extra_bytes
from convkit.bench.problems import Arrays, Problem, arrays
from convkit.bench.subjects import Calls, Subject

T = TypeVar("T")

MIN_SECONDS = 0.004
PAUSE_SECONDS = 0.03


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    ``rounds`` in all; ``seconds`` after which a direction of a subject gets no more of them; and
    ``sweeps``, how often a run goes through all problems, with a part of the rounds each time.
    """

    rounds: int = 7
    seconds: float = 0.5
    sweeps: int = 1

    def turns(self, sweep: int) -> range:
        """The numbers of the rounds of one sweep."""
        return range(sweep * self.rounds // self.sweeps, (sweep + 1) * self.rounds // self.sweeps)


@dataclass
class Row:
    """One subject, one problem, one direction."""

    problem: str
    kind: str
    dtype: str
    threads: int
    subject: str
    direction: str
    seconds: float
    spread: float
    """Half the distance between the quartiles, as a share of the median."""
    gflops: float
    peak_share: float
    """Of the multiply-add peak sampled in the same rounds."""
    copy_share: float
    """Least bytes to move per second, of the copy bandwidth sampled in the same rounds."""
    memory_bound: bool
    extra_bytes: int | None
    least_bytes: float

    @property
    def allowed_bytes(self) -> float:
        """A tenth of inputs and outputs, and 4 MiB."""
        return 0.1 * self.least_bytes + 4 * 2**20

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the direction also under "way", its key in earlier versions."""
        return asdict(self) | {"way": self.direction}


def summary(seconds: Sequence[float]) -> tuple[float, float]:
    """Return the median, and half the distance between the quartiles as a share of it."""
    middle = median(seconds)
    low, high = np.percentile(seconds, [25, 75])
    return middle, float(high - low) / 2 / middle


def seconds_per_call(call: Callable[[], Any], *, warm: bool = False) -> float:
    """Time one call, or as many as fill MIN_SECONDS, after one or two that are not counted.

    The first call finds threads asleep and memory cold. Where it is short, this would distort how
    often the call has to be repeated, so a second one decides. ``warm`` says that the call, or a
    smaller one like it, has been made before: then a long call is timed at once.
    """
    took = _seconds(call, 1)
    if took < 2 * MIN_SECONDS:
        took = _seconds(call, 1)
    elif warm:
        return took
    calls = max(1, int(MIN_SECONDS / max(took, 1e-7)))
    return _seconds(call, calls) / calls


def rotated(items: Sequence[T], number: int) -> list[T]:
    """Return the items beginning with another one each round.

    The first one in a round finds caches in the state that other work left.
    """
    first = number % len(items) if items else 0
    return [*items[first:], *items[:first]]


def _seconds(call: Callable[[], Any], times: int) -> float:
    start = perf_counter()
    for _ in range(times):
        call()
    return perf_counter() - start


class Timer(Protocol):
    """What times a subject's calls; one whose calls are made elsewhere is its own."""

    def begin(self, problem: Problem, dtype: Any, seed: int, data: Callable[[], Arrays]) -> None:
        """Make the calls of a round. ``data()`` are the arrays of ``seed``."""

    def seconds(self, direction: str) -> float:
        """Time the call of a direction."""

    def extra(self, direction: str) -> int | None:
        """Return its extra memory; None where unknown."""


class Local:
    """Times a subject's calls in this process."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._calls: Calls = {}

    def begin(self, problem: Problem, dtype: Any, seed: int, data: Callable[[], Arrays]) -> None:
        """Make the calls of a round."""
        self._calls = self.subject.calls(problem, data())

    def seconds(self, direction: str) -> float:
        """Time the call of a direction."""
        return seconds_per_call(self._calls[direction])

    def extra(self, direction: str) -> int | None:
        """Return its extra memory."""
        return extra_bytes(self._calls[direction])


class Measurement:
    """All directions of all subjects on one problem, alternating; threads must be set before."""

    def __init__(
        self,
        problem: Problem,
        subjects: list[Subject],
        dtype: Any,
        threads: int,
        yardsticks: Yardsticks,
        directions: tuple[str, ...] | None = None,
    ) -> None:
        self.problem, self.dtype, self.threads = problem, dtype, threads
        self.subjects = [s for s in subjects if s.why_not(problem, dtype) is None]
        self.directions = tuple(
            d for d in problem.directions if directions is None or d in directions
        )
        self._yardsticks = yardsticks
        self._samples: dict[tuple[str, str], list[float]] = {
            (s.name, d): [] for s in self.subjects for d in self.directions
        }
        self._peaks: list[float] = []
        self._copies: dict[str, list[float]] = {direction: [] for direction in self.directions}
        self._extra: dict[tuple[str, str], int | None] = {}

    def take(self, turns: range, seconds: float) -> None:
        """Take samples in these rounds, on arrays that are new in each and freed afterwards."""
        problem, dtype = self.problem, self.dtype
        timers: dict[str, Timer] = {
            s.name: cast(Timer, s) if hasattr(s, "begin") else Local(s) for s in self.subjects
        }
        copiers = {d: self._yardsticks.copier(problem.traffic(d, dtype)) for d in self.directions}
        for turn in turns:
            data = cache(partial(arrays, problem, dtype, seed=turn))
            for timer in timers.values():
                timer.begin(problem, dtype, turn, data)
            sleep(PAUSE_SECONDS)
            self._peaks.append(self._yardsticks.peak(dtype))
            for direction in self.directions:
                self._copies[direction].append(copiers[direction]())
            for name in rotated(list(timers), turn):
                sleep(PAUSE_SECONDS)
                for direction in self.directions:
                    taken = self._samples[name, direction]
                    if len(taken) < 3 or sum(taken) < seconds:
                        taken.append(timers[name].seconds(direction))
        for name, direction in self._samples:
            if turns and (name, direction) not in self._extra:
                self._extra[name, direction] = timers[name].extra(direction)

    def rows(self) -> list[Row]:
        """One row for each subject and direction, from the samples."""
        peak = median(self._peaks)
        return [
            _row(
                self.problem, name, direction, self.dtype, self.threads, found,
                peak, median(self._copies[direction]), self._extra[name, direction],
            )
            for (name, direction), found in self._samples.items()
        ]  # fmt: skip


def measure(
    problem: Problem,
    subjects: list[Subject],
    dtype: Any,
    threads: int,
    effort: Effort,
    yardsticks: Yardsticks,
    directions: tuple[str, ...] | None = None,
) -> list[Row]:
    """Time all directions of all subjects, and their extra memory; threads must be set before."""
    measurement = Measurement(problem, subjects, dtype, threads, yardsticks, directions)
    measurement.take(range(effort.rounds), effort.seconds)
    return measurement.rows()


def _row(
    problem: Problem,
    name: str,
    direction: str,
    dtype: Any,
    threads: int,
    samples: Sequence[float],
    peak: float,
    copy: float,
    extra: int | None,
) -> Row:
    seconds, spread = summary(samples)
    operations, traffic = problem.operations(direction), problem.traffic(direction, dtype)
    return Row(
        problem=problem.name,
        kind="depthwise" if problem.depthwise else problem.kind,
        dtype=str(np.dtype(dtype)),
        threads=threads,
        subject=name,
        direction=direction,
        seconds=seconds,
        spread=spread,
        gflops=operations / seconds / 1e9,
        peak_share=operations / seconds / peak,
        copy_share=traffic / seconds / copy,
        memory_bound=operations / peak < traffic / copy,
        extra_bytes=extra,
        least_bytes=traffic,
    )
