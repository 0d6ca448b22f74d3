"""Paired timing: all subjects take turns on the same arrays in one process.

Machines are noisy, so a figure is a median over rounds, and what it is compared with (other
subjects, the peak, a copy) is sampled in the same rounds. Between subjects there is a pause, for
the threads of BLAS and OpenMP go on spinning for a while after their work and would disturb the
next one.
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
    """How long to measure: rounds, and seconds after which a way of a subject gets no more."""

    rounds: int = 7
    seconds: float = 0.5


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
    """Time one call, or as many as fill MIN_SECONDS, after one that does not count."""
    start = perf_counter()
    call()
    calls = max(1, int(MIN_SECONDS / max(perf_counter() - start, 1e-7)))
    start = perf_counter()
    for _ in range(calls):
        call()
    return (perf_counter() - start) / calls


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
    data = arrays(problem, dtype)
    able = [s for s in subjects if s.why_not(problem, dtype) is None]
    calls: dict[str, Calls] = {s.name: s.calls(problem, data) for s in able}
    ways = tuple(way for way in problem.ways if ways is None or way in ways)
    samples = {(name, way): _Samples() for name in calls for way in ways}
    copiers = {way: yardsticks.copier(problem.traffic(way, dtype)) for way in ways}
    peaks: list[float] = []
    copies: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(effort.rounds):
        sleep(PAUSE_SECONDS)
        peaks.append(yardsticks.peak(dtype))
        for way in ways:
            copies[way].append(copiers[way]())
        names = list(calls)
        for name in names[turn % len(names) :] + names[: turn % len(names)] if names else ():
            sleep(PAUSE_SECONDS)
            for way in ways:
                taken = samples[name, way].seconds
                if len(taken) < 3 or sum(taken) < effort.seconds:
                    taken.append(seconds_per_call(calls[name][way]))
    peak = median(peaks)
    return [
        _row(problem, name, way, dtype, threads, found, peak, median(copies[way]), calls)
        for (name, way), found in samples.items()
    ]


def _row(
    problem: Problem,
    name: str,
    way: str,
    dtype: Any,
    threads: int,
    samples: _Samples,
    peak: float,
    copy: float,
    calls: dict[str, Calls],
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
        extra_bytes=extra_bytes(calls[name][way]),
        least_bytes=traffic,
    )
