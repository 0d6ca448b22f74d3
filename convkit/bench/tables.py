"""Rows as text and as Markdown: every row, also where a backend is slower than its peer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from convkit.bench.timing import Row

PEER = "torch"


def duration(seconds: float) -> str:
    """Three digits with a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{seconds / size:.3g} {unit}"
    raise AssertionError


def share(row: Row) -> str:
    """Of the peak, or of the copy bandwidth where memory is the limit."""
    if row.memory_bound:
        return f"{row.copy_share:.0%} copy"
    return f"{row.peak_share:.0%} peak"


def groups(rows: Iterable[Row]) -> dict[tuple[str, str, str, int], dict[str, Row]]:
    """{(problem, dtype, direction, threads): {subject: row}}, in order."""
    found: dict[tuple[str, str, str, int], dict[str, Row]] = {}
    for row in rows:
        key = (row.problem, row.dtype, row.direction, row.threads)
        found.setdefault(key, {})[row.subject] = row
    return found


def ratio(by_subject: dict[str, Row], subject: str, peer: str = PEER) -> float:
    """The peer's time divided by the subject's; NaN where one is missing."""
    if subject not in by_subject or peer not in by_subject:
        return math.nan
    return by_subject[peer].seconds / by_subject[subject].seconds


def geometric_mean(values: Sequence[float]) -> float:
    """Of those that are numbers; NaN where there are none."""
    logs = [math.log(v) for v in values if v > 0]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


HEAD = (
    "problem",
    "direction",
    "backend",
    "time",
    "spread",
    "GF/s",
    "share",
    "extra memory",
    "x torch",
)


def cells(row: Row, by_subject: dict[str, Row]) -> tuple[str, ...]:
    """One line of a table."""
    times = ratio(by_subject, row.subject)
    extra = "" if row.extra_bytes is None else f"{row.extra_bytes / 2**20:.1f} MiB"
    return (
        row.problem,
        row.direction,
        row.subject,
        duration(row.seconds),
        f"±{row.spread:.0%}",
        f"{row.gflops:.1f}",
        share(row),
        extra,
        "" if math.isnan(times) or row.subject == PEER else f"{times:.2f}",
    )


def text(rows: Sequence[Row]) -> str:
    """A table for a terminal, one block per dtype and number of threads."""
    blocks = []
    for dtype, threads in dict.fromkeys((row.dtype, row.threads) for row in rows):
        own = [row for row in rows if (row.dtype, row.threads) == (dtype, threads)]
        lines = [HEAD, *(cells(row, by) for by in groups(own).values() for row in by.values())]
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
        body = "\n".join(
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )
        blocks.append(f"{dtype}, {threads} thread{'s' if threads > 1 else ''}\n{body}")
    return "\n\n".join(blocks)


def _line(values: Iterable[Any]) -> str:
    return "| " + " | ".join(map(str, values)) + " |"


def markdown_table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join([_line(head), _line("---" for _ in head), *map(_line, body)])


def wide_table(rows: Sequence[Row], subjects: Sequence[str]) -> str:
    """One line per problem and direction, the subjects side by side."""
    head = ["problem", "direction"]
    for name in subjects:
        head += [name] if name == PEER else [name, "GF/s", "share", "extra"]
        if name != PEER and PEER in subjects:
            head.append("x torch")
    body = []
    for (problem, _, direction, _), by in groups(rows).items():
        line = [problem, direction]
        for name in subjects:
            width = 1 if name == PEER else 5 if PEER in subjects else 4
            if name not in by:
                line += [""] * width
                continue
            _, _, _, time, spread, gflops, part, extra, times = cells(by[name], by)
            line += [f"{time} {spread}", gflops, part, extra, times][:width]
        body.append(line)
    return markdown_table(head, body)
