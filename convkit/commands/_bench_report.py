"""The page of a benchmark run: every row, what was expected of it, and the plots beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

from convkit.bench import tables
from convkit.bench.machine import Yardsticks
from convkit.bench.problems import SHAPES, Problem, arrays
from convkit.bench.subjects import Subject
from convkit.bench.tables import PEER, geometric_mean, groups, markdown_table, ratio
from convkit.bench.timing import PAUSE_SECONDS, Effort, Row, measure, seconds_per_call
from convkit.commands import _bench_plots
from convkit.commands._training_step import steps

SUBJECT = "cython"
DTYPES = ("float32", "float64")


@dataclass
class Scaling:
    """One curve: images per second of each subject over the size that changes."""

    title: str
    xlabel: str
    sizes: list[int]
    rates: dict[str, list[float]]


def training_rows(taking_part: Sequence[Subject], rounds: int) -> list[dict[str, Any]]:
    """Seconds of a training step per dtype and subject, taken in turns."""
    rows = []
    for dtype in DTYPES:
        calls = steps(list(taking_part), dtype)
        samples: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                sleep(PAUSE_SECONDS)
                samples[name].append(seconds_per_call(call))
        rows += [
            {"dtype": dtype, "subject": name, "seconds": median(taken)}
            for name, taken in samples.items()
        ]
    return rows


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
    """What the threads bring SUBJECT where arithmetic is the limit, one thread and all in turns.

    Ways of a convolution that take all threads 2.5 ms or more: 5 ms or so of one. Beside it, as
    ``peak``, what they bring the multiply-add loop in the same rounds: no kernel gains more, and a
    virtual machine whose CPUs share one core gains less.
    """
    yardsticks = Yardsticks()
    subject = next((s for s in taking_part if s.name == SUBJECT), None)
    found: list[dict[str, Any]] = []
    for row in rows:
        if subject is None or threads < 2 or row.subject != SUBJECT or row.way == "backward":
            continue
        if row.kind != "conv" or row.memory_bound or row.seconds < 0.0025:
            continue
        problem = SHAPES[row.problem]
        call = subject.calls(problem, arrays(problem, row.dtype))[row.way]
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
                "way": row.way,
                "dtype": row.dtype,
                "one": one,
                "all": all_,
                "peak": fast / slow,
            }
        )
    return found


def _threads_summary(rows: Sequence[dict[str, Any]]) -> str:
    gains = [row["one"] / row["all"] for row in rows]
    peaks = [row["peak"] for row in rows]
    kept = [gain / peak for gain, peak in zip(gains, peaks, strict=True)]
    return (
        f"Geometric mean {geometric_mean(gains):.2f}, smallest {min(gains):.2f}. The multiply-add "
        f"peak itself, sampled in the same rounds, gained {geometric_mean(peaks):.2f} and, at "
        f"worst, {min(peaks):.2f}; of that gain the kernels kept {geometric_mean(kept):.0%} "
        f"(smallest {min(kept):.0%})."
    )


# --- the page ---------------------------------------------------------------------------------


def _ratios(rows: Sequence[Row], dtype: str, way: str) -> dict[str, float]:
    found = {
        problem: ratio(by, SUBJECT)
        for (problem, row_dtype, row_way, _), by in groups(rows).items()
        if (row_dtype, row_way) == (dtype, way)
    }
    return {problem: value for problem, value in found.items() if not math.isnan(value)}


def summary(rows: Sequence[Row]) -> str:
    """Geometric mean, median and worst of PyTorch's time divided by the compiled backend's."""
    body = []
    for dtype in DTYPES:
        for way in ("forward", "backward"):
            found = _ratios(rows, dtype, way)
            if not found:
                continue
            worst = min(found, key=lambda name: found[name])
            slower = sum(value < 1 for value in found.values())
            body.append(
                (
                    dtype,
                    way,
                    f"{geometric_mean(list(found.values())):.2f}",
                    f"{median(found.values()):.2f}",
                    f"{found[worst]:.2f} ({worst})",
                    f"{slower} of {len(found)}",
                )
            )
    if not body:
        return "PyTorch took no part in this run."
    head = ("dtype", "way", "geometric mean", "median", "worst", "rows slower than PyTorch")
    return markdown_table(head, body)


def shares(rows: Sequence[Row]) -> str:
    """What SUBJECT reaches of the machine: of its peak, or of a copy where memory is the limit."""
    body = []
    for dtype in DTYPES:
        for limit, ways in (("peak", ("forward", "dx", "dw")), ("copy", ("forward", "backward"))):
            for way in ways:
                found = {
                    row.problem: row.copy_share if limit == "copy" else row.peak_share
                    for row in rows
                    if (row.subject, row.dtype, row.way) == (SUBJECT, dtype, way)
                    and row.memory_bound == (limit == "copy")
                    and (limit == "copy" or row.kind == "conv")
                }
                if found:
                    worst = min(found, key=lambda name: found[name])
                    middle = f"{median(found.values()):.0%}"
                    least = f"{found[worst]:.0%} ({worst})"
                    body.append((dtype, way, limit, str(len(found)), middle, least))
    return markdown_table(("dtype", "way", "limit", "rows", "median share", "least"), body)


def _head(facts: dict[str, Any], source: str) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    infos = "; ".join(
        f"{name}: {', '.join(f'{k} {v}' for k, v in info.items() if k != 'dtypes')}"
        for name, info in facts["backends"].items()
    )
    return (
        f"CPU: {facts['cpu']} ({facts['vectors']}), {facts['cores']} cores, {facts['system']}. "
        f"Threads: {facts['threads']}. Rounds: {facts['rounds']}, shared out among "
        f"{facts['sweeps']} sweeps of all problems. Versions: {versions}. Date: {facts['date']}. "
        f"Backends: {infos}. Peak: {source}. Load average at the end: {facts['load']}; above the "
        "number of threads, other work shared the CPUs and the figures are only indicative."
    )


def _training_table(rows: list[dict[str, Any]]) -> str:
    body = []
    for dtype in dict.fromkeys(row["dtype"] for row in rows):
        own = {row["subject"]: row["seconds"] for row in rows if row["dtype"] == dtype}
        for name, seconds in own.items():
            times = own[PEER] / seconds if PEER in own and name != PEER else math.nan
            body.append(
                (
                    dtype,
                    name,
                    tables.duration(seconds),
                    f"{200 / seconds:.0f}",
                    "" if math.isnan(times) else f"{times:.2f}",
                )
            )
    return markdown_table(("dtype", "backend", "time", "images/s", "x torch"), body)


def _threads_table(rows: list[dict[str, Any]]) -> str:
    body = [
        (
            *(row[name] for name in ("problem", "way", "dtype")),
            *(tables.duration(row[name]) for name in ("one", "all")),
            f"{row['one'] / row['all']:.2f}",
            f"{row['peak']:.2f}",
        )
        for row in rows
    ]
    return markdown_table(("problem", "way", "dtype", "one thread", "all", "x", "peak x"), body)


INTRODUCTION = """\
# Benchmarks

Written by `convkit bench --report`; do not edit. All times are medians of runs in which the
backends took turns on the same arrays in one process, NumPy in and NumPy out. *x torch* is
PyTorch's time divided by the backend's: above 1 the backend is faster. *share* is that of the
multiply-add peak sampled in the same rounds, or, where memory is the limit, of the bandwidth of a
plain copy of as many bytes. *extra* is the memory a call needs beyond its inputs and results.
Every result, gradients included, was compared with the reference before it was timed."""


def page(
    facts: dict[str, Any], rows: Sequence[Row], extra: dict[str, Any], folder: str, plots: list[str]
) -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION, _head(facts, facts["peak_source"]), "## Summary", summary(rows)]
    parts += [f"What `{SUBJECT}` reaches of the machine:", shares(rows)]
    if extra.get("training"):
        parts += [
            "## A training step",
            "The three-layer network, 200 images 3x32x32: forward, backward and update.",
            _training_table(extra["training"]),
        ]
    if extra.get("threads"):
        parts += [
            "## Threads",
            f"`{SUBJECT}` with one thread and with {facts['threads']}, in turns, where arithmetic "
            "is the limit and one thread takes about 5 ms or more. "
            f"{_threads_summary(extra['threads'])}",
            _threads_table(extra["threads"]),
        ]
    parts += ["## Plots", *(f"![{name}]({folder}/{name}.png)" for name in plots)]
    subjects = list(dict.fromkeys(row.subject for row in rows))
    for dtype in dict.fromkeys(row.dtype for row in rows):
        own = [row for row in rows if row.dtype == dtype]
        parts += [f"## All rows, {dtype}", tables.wide_table(own, subjects)]
    return "\n\n".join(parts) + "\n"


def write(path: Path, facts: dict[str, Any], rows: Sequence[Row], extra: dict[str, Any]) -> None:
    """Write the page to ``path`` and its plots to a folder beside it, of its name."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    figures = _bench_plots.figures(rows, extra.get("scaling", []))
    for name, figure in figures.items():
        _bench_plots.save(figure, folder / f"{name}.png")
    path.write_text(page(facts, rows, extra, folder.name, list(figures)), encoding="utf-8")
