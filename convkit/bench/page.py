"""The Markdown page of a benchmark run: summary, every row, and plots in a folder of its name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from convkit.bench import network_tables, plots, sections, tables
from convkit.bench.scaling import SUBJECT
from convkit.bench.tables import PEER, geometric_mean, groups, markdown_table, ratio
from convkit.bench.timing import Row
from convkit.bench.training_step import BATCH, DTYPES
from convkit.files import write_text


def threads_summary(rows: Sequence[dict[str, Any]]) -> str:
    """The speed-up of SUBJECT by threads, compared with that of the peak."""
    gains = [row["one"] / row["all"] for row in rows]
    peaks = [row["peak"] for row in rows]
    kept = [gain / peak for gain, peak in zip(gains, peaks, strict=True)]
    return (
        f"Geometric mean {geometric_mean(gains):.2f}, smallest {min(gains):.2f}. The multiply-add "
        f"peak itself, sampled in the same rounds, gained {geometric_mean(peaks):.2f} and, at "
        f"worst, {min(peaks):.2f}; of that gain the kernels kept {geometric_mean(kept):.0%} "
        f"(smallest {min(kept):.0%})."
    )


KINDS = {"convolutions": ("conv", "depthwise"), "pools": ("max", "avg")}
"""What has a mean of its own; that of networks is in their section."""


def _ratios(rows: Sequence[Row], dtype: str, direction: str) -> dict[str, float]:
    found = {
        problem: ratio(by, SUBJECT)
        for (problem, row_dtype, row_direction, _), by in groups(rows).items()
        if (row_dtype, row_direction) == (dtype, direction)
    }
    return {problem: value for problem, value in found.items() if not math.isnan(value)}


def summary(rows: Sequence[Row]) -> str:
    """Geometric mean, median and worst of PyTorch's time divided by the compiled backend's."""
    body = []
    for label, kinds in KINDS.items():
        own = [row for row in rows if row.kind in kinds]
        for dtype in DTYPES:
            for direction in ("forward", "backward"):
                found = _ratios(own, dtype, direction)
                if not found:
                    continue
                worst = min(found, key=lambda name: found[name])
                slower = sum(value < 1 for value in found.values())
                body.append(
                    (
                        label,
                        dtype,
                        direction,
                        f"{geometric_mean(list(found.values())):.2f}",
                        f"{median(found.values()):.2f}",
                        f"{found[worst]:.2f} ({worst})",
                        f"{slower} of {len(found)}",
                    )
                )
    if not body:
        return "PyTorch took no part in this run."
    head = ("", "dtype", "direction", "geometric mean", "median", "worst", "slower than PyTorch")
    return markdown_table(head, body)


LIMITS = (("peak", ("forward", "dx", "dw")), ("copy", ("forward", "backward")))
"""What limits a row, and the directions that are summarised for it."""


def shares(rows: Sequence[Row]) -> str:
    """Shares that SUBJECT reaches: of the peak, or of a copy where memory is the limit."""
    body = []
    for dtype in DTYPES:
        for limit, directions in LIMITS:
            for direction in directions:
                found = {
                    row.problem: row.copy_share if limit == "copy" else row.peak_share
                    for row in rows
                    if (row.subject, row.dtype, row.direction) == (SUBJECT, dtype, direction)
                    and row.memory_bound == (limit == "copy")
                    and (limit == "copy" or row.kind == "conv")
                }
                if found:
                    worst = min(found, key=lambda name: found[name])
                    middle = f"{median(found.values()):.0%}"
                    least = f"{found[worst]:.0%} ({worst})"
                    body.append((dtype, direction, limit, str(len(found)), middle, least))
    return markdown_table(("dtype", "direction", "limit", "rows", "median share", "least"), body)


def _head(facts: dict[str, Any], source: str) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    infos = "; ".join(
        f"{name}: {', '.join(f'{k} {v}' for k, v in info.items() if k != 'dtypes')}"
        for name, info in facts["backends"].items()
    )
    return (
        f"CPU: {facts['cpu']} ({facts['vectors']}), {facts['cores']} cores, {facts['system']}. "
        f"Threads: {facts['threads']}. Rounds: {facts['rounds']}, divided among "
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
                    f"{BATCH / seconds:.0f}",
                    "" if math.isnan(times) else f"{times:.2f}",
                )
            )
    return markdown_table(("dtype", "backend", "time", "images/s", "x torch"), body)


def threads_table(rows: list[dict[str, Any]]) -> str:
    """The rows of :func:`convkit.bench.scaling.thread_rows`."""
    body = [
        (
            *(row[name] for name in ("problem", "direction", "dtype")),
            *(tables.duration(row[name]) for name in ("one", "all")),
            f"{row['one'] / row['all']:.2f}",
            f"{row['peak']:.2f}",
        )
        for row in rows
    ]
    return markdown_table(
        ("problem", "direction", "dtype", "one thread", "all", "x", "peak x"), body
    )


INTRODUCTION = """\
# Benchmarks

Written by `convkit bench --report`; do not edit. All times are medians of runs in which the
backends took turns on the same arrays, NumPy in and NumPy out; where PyTorch takes part, each has a
process of its own, which sleeps while another is asked. *x torch* is
PyTorch's time divided by the backend's: above 1 the backend is faster. *share* is that of the
multiply-add peak sampled in the same rounds, or, where memory is the limit, of the bandwidth of a
plain copy of as many bytes. *extra* is the memory a call needs beyond its inputs and results.
Every result, gradients included, was compared with the reference before it was timed."""


def page(
    facts: dict[str, Any], rows: Sequence[Row], extra: dict[str, Any], folder: str, names: list[str]
) -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION, _head(facts, facts["peak_source"]), "## Summary", summary(rows)]
    parts += [f"What `{SUBJECT}` reaches of the machine:", shares(rows)]
    if extra.get("training"):
        parts += [
            "## A training step",
            f"The three-layer network, {BATCH} images 3x32x32: forward, backward and update.",
            _training_table(extra["training"]),
        ]
    if extra.get("networks"):
        parts += [f"## {network_tables.HEADING}", extra["networks"]]
    if extra.get("threads"):
        parts += [
            "## Threads",
            f"`{SUBJECT}` with one thread and with {facts['threads']}, alternating, where "
            "arithmetic is the limit and one thread takes about 5 ms or more. "
            f"{threads_summary(extra['threads'])}",
            threads_table(extra["threads"]),
        ]
    parts += ["## Plots", *(f"![{name}]({folder}/{name}.png)" for name in names)]
    subjects = list(dict.fromkeys(row.subject for row in rows))
    for dtype in dict.fromkeys(row.dtype for row in rows):
        own = [row for row in rows if row.dtype == dtype]
        parts += [f"## All rows, {dtype}", tables.wide_table(own, subjects)]
    return "\n\n".join(parts) + "\n"


def write(path: Path, facts: dict[str, Any], rows: Sequence[Row], extra: dict[str, Any]) -> None:
    """Write the page to ``path``, and its plots to a folder of the same name beside it.

    What another run has written about networks stays.
    """
    if path.exists():
        kept = sections.body(path.read_text(encoding="utf-8"), network_tables.HEADING)
        extra = {"networks": kept, **extra}
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    figures = plots.figures(rows, extra.get("scaling", []))
    for name, figure in figures.items():
        plots.save(figure, folder / f"{name}.png")
    write_text(path, page(facts, rows, extra, folder.name, list(figures)))
