"""Paired timing: all subjects take turns on the same arrays in one process.

Machines are noisy, so a figure is a median over rounds, and what it is compared with (other
subjects, the peak, a copy) is sampled in the same rounds. Between subjects there is a pause, for
the threads of BLAS and OpenMP go on spinning for a while after their work and would disturb the
next one. A virtual machine may be slow for a minute: a run can go through its problems several
times, and share out the rounds of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np

from convkit.bench.machine import Yardsticks
from convkit.bench.memory import extra_bytes
from convkit.bench.problems import Problem, arrays
from convkit.bench.subjects import Calls, Subject

MIN_SECONDS = 0.004
PAUSE_SECONDS = 0.03


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    ``rounds`` in all, ``seconds`` after which a way of a subject gets no more, and ``sweeps``, the
    times that a run goes through all problems, with a part of the rounds each time.
    """

    rounds: int = 7
    seconds: float = 0.5
    sweeps: int = 1

    def turns(self, sweep: int) -> range:
        """The numbers of the rounds of one sweep."""
        return range(sweep * self.rounds // self.sweeps, (sweep + 1) * self.rounds // self.sweeps)


@dataclass
class Row:
    """One subject, one problem, one way."""

    problem: str
    kind: str
    dtype: str
    threads: int
    subject: str
    way: str
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
        """For JSON."""
        return asdict(self)


@dataclass
class _Samples:
    seconds: list[float] = field(default_factory=list)

    def summary(self) -> tuple[float, float]:
        middle = median(self.seconds)
        low, high = np.percentile(self.seconds, [25, 75])
        return middle, float(high - low) / 2 / middle


def seconds_per_call(call: Callable[[], Any]) -> float:
    """Time one call, or as many as fill MIN_SECONDS, after one or two that do not count.

    The first finds threads asleep and memory cold. A short call would seem longer by that, and be
    timed too few times, so a second one tells how many there shall be.
    """
    took = _seconds(call, 1)
    if took < 2 * MIN_SECONDS:
        took = _seconds(call, 1)
    calls = max(1, int(MIN_SECONDS / max(took, 1e-7)))
    return _seconds(call, calls) / calls


def _seconds(call: Callable[[], Any], times: int) -> float:
    start = perf_counter()
    for _ in range(times):
        call()
    return perf_counter() - start


class Measurement:
    """Every way of every subject on one problem, timed in turns. Threads must be set already."""

    def __init__(
        self,
        problem: Problem,
        subjects: list[Subject],
        dtype: Any,
        threads: int,
        yardsticks: Yardsticks,
        ways: tuple[str, ...] | None = None,
    ) -> None:
        self.problem, self.dtype, self.threads = problem, dtype, threads
        self.subjects = [s for s in subjects if s.why_not(problem, dtype) is None]
        self.ways = tuple(way for way in problem.ways if ways is None or way in ways)
        self._yardsticks = yardsticks
        self._samples = {(s.name, way): _Samples() for s in self.subjects for way in self.ways}
        self._peaks: list[float] = []
        self._copies: dict[str, list[float]] = {way: [] for way in self.ways}
        self._extra: dict[tuple[str, str], int | None] = {}

    def take(self, turns: range, seconds: float) -> None:
        """Take samples in these rounds, on arrays that are given back afterwards."""
        problem, dtype = self.problem, self.dtype
        data = arrays(problem, dtype)
        calls: dict[str, Calls] = {s.name: s.calls(problem, data) for s in self.subjects}
        names = list(calls)
        copiers = {way: self._yardsticks.copier(problem.traffic(way, dtype)) for way in self.ways}
        for turn in turns:
            sleep(PAUSE_SECONDS)
            self._peaks.append(self._yardsticks.peak(dtype))
            for way in self.ways:
                self._copies[way].append(copiers[way]())
            first = turn % len(names) if names else 0
            for name in names[first:] + names[:first]:
                sleep(PAUSE_SECONDS)
                for way in self.ways:
                    taken = self._samples[name, way].seconds
                    if len(taken) < 3 or sum(taken) < seconds:
                        taken.append(seconds_per_call(calls[name][way]))
        for name, way in self._samples:
            if (name, way) not in self._extra:
                self._extra[name, way] = extra_bytes(calls[name][way])

    def rows(self) -> list[Row]:
        """What the samples say."""
        peak = median(self._peaks)
        return [
            _row(
                self.problem, name, way, self.dtype, self.threads, found,
                peak, median(self._copies[way]), self._extra[name, way],
            )
            for (name, way), found in self._samples.items()
        ]  # fmt: skip


def measure(
    problem: Problem,
    subjects: list[Subject],
    dtype: Any,
    threads: int,
    effort: Effort,
    yardsticks: Yardsticks,
    ways: tuple[str, ...] | None = None,
) -> list[Row]:
    """Time every way of every subject, and its extra memory. Threads must be set already."""
    measurement = Measurement(problem, subjects, dtype, threads, yardsticks, ways)
    measurement.take(range(effort.rounds), effort.seconds)
    return measurement.rows()


def _row(
    problem: Problem,
    name: str,
    way: str,
    dtype: Any,
    threads: int,
    samples: _Samples,
    peak: float,
    copy: float,
    extra: int | None,
) -> Row:
    seconds, spread = samples.summary()
    operations, traffic = problem.operations(way), problem.traffic(way, dtype)
    return Row(
        problem=problem.name,
        kind="depthwise" if problem.depthwise else problem.kind,
        dtype=str(np.dtype(dtype)),
        threads=threads,
        subject=name,
        way=way,
        seconds=seconds,
        spread=spread,
        gflops=operations / seconds / 1e9,
        peak_share=operations / seconds / peak,
        copy_share=traffic / seconds / copy,
        memory_bound=operations / peak < traffic / copy,
        extra_bytes=extra,
        least_bytes=traffic,
    )
