"""How speed scales: over the batch, the size of images and the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from convkit.bench.machine import Yardsticks
from convkit.bench.problems import SHAPES, Problem, arrays
from convkit.bench.subjects import Subject
from convkit.bench.timing import Effort, Row, measure, seconds_per_call

SUBJECT = "cython"
"""The backend whose gain from threads is measured."""


@dataclass
class Scaling:
    """One curve: GF/s of each subject over the size that varies."""

    title: str
    xlabel: str
    sizes: list[int]
    rates: dict[str, list[float]]


def _curve(
    title: str,
    xlabel: str,
    taking_part: Sequence[Subject],
    cases: dict[int, Problem],
    threads: Callable[[int], int],
    effort: Effort,
) -> Scaling:
    rates: dict[str, list[float]] = {subject.name: [] for subject in taking_part}
    yardsticks = Yardsticks()
    for size, problem in cases.items():
        for subject in taking_part:
            subject.set_num_threads(threads(size))
        rows = measure(
            problem, list(taking_part), "float32", threads(size), effort, yardsticks, ("forward",)
        )
        for row in rows:
            rates[row.subject].append(row.gflops)
    return Scaling(title, xlabel, list(cases), rates)


def scaling(taking_part: Sequence[Subject], threads: int, effort: Effort) -> list[Scaling]:
    """GF/s over the number of images, the image's size and the number of threads."""
    base = SHAPES["cifar_r3"]
    c = base.x_shape[1]
    deep = SHAPES["resnet_2b"]
    found = [
        _curve(
            f"{base.name}: batch", "images", taking_part,
            {n: base.with_(x_shape=(n, *base.x_shape[1:])) for n in (1, 4, 16, 64, 256)},
            lambda _: threads, effort,
        ),
        _curve(
            f"{base.name}: image size", "height and width", taking_part,
            {s: base.with_(x_shape=(16, c, s, s)) for s in (7, 14, 28, 56, 112)},
            lambda _: threads, effort,
        ),
        _curve(
            f"{deep.name}: threads", "threads", taking_part,
            dict.fromkeys(range(1, threads + 1), deep), lambda n: n, effort,
        ),
    ]  # fmt: skip
    for subject in taking_part:
        subject.set_num_threads(threads)
    return found


def thread_rows(
    taking_part: Sequence[Subject], rows: Sequence[Row], threads: int, rounds: int
) -> list[dict[str, Any]]:
    """SUBJECT with one thread and with all, alternating, where arithmetic is the limit.

    Only directions of convolutions that take all threads at least 2.5 ms, so one thread about 5 ms.
    ``peak`` is the speed-up of the multiply-add loop in the same rounds: no kernel gains more, and
    where two CPUs of a virtual machine share a core it is below the number of threads.
    """
    yardsticks = Yardsticks()
    subject = next((s for s in taking_part if s.name == SUBJECT), None)
    found: list[dict[str, Any]] = []
    for row in rows:
        if subject is None or threads < 2 or row.subject != SUBJECT or row.direction == "backward":
            continue
        if row.kind != "conv" or row.memory_bound or row.seconds < 0.0025:
            continue
        problem = SHAPES[row.problem]
        call = subject.calls(problem, arrays(problem, row.dtype))[row.direction]
        samples: dict[int, list[float]] = {1: [], threads: []}
        peaks: dict[int, list[float]] = {1: [], threads: []}
        for _ in range(rounds):
            for count, taken in samples.items():
                subject.set_num_threads(count)
                taken.append(seconds_per_call(call))
                peaks[count].append(yardsticks.peak(row.dtype))
        one, all_ = (median(taken) for taken in samples.values())
        slow, fast = (median(taken) for taken in peaks.values())
        found.append(
            {
                "problem": row.problem,
                "direction": row.direction,
                "dtype": row.dtype,
                "one": one,
                "all": all_,
                "peak": fast / slow,
            }
        )
    return found
