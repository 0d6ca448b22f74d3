"""The rows of networks as text, and as a section of the page of benchmarks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from convkit.bench.network_runs import PEER, Row
from convkit.bench.networks import NETWORKS
from convkit.bench.sections import replaced
from convkit.bench.tables import duration, geometric_mean, markdown_table
from convkit.bench.worker import PEERS
from convkit.files import write_text

HEADING = "Networks"
COMPARED = {"fused": "inference"}
"""Which direction of the other side a direction is compared with, where it is not the same."""


class Ratios:
    """The time of one side divided by another's.

    ``peer`` is PyTorch or, where it took no part, the last side; None where there is but one.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        names = list(dict.fromkeys(row.subject for row in rows))
        self.peer = PEER if PEER in names else names[-1] if len(names) > 1 else None
        self.best = len([name for name in names if name in PEERS]) > 1
        """Whether there is more than one of PyTorch's sides, the fastest of which is a peer too."""
        self._seconds = {(r.network, r.dtype, r.subject, r.direction): r.seconds for r in rows}

    def of(self, row: Row) -> float:
        """By the peer; NaN where there is none, and for the peer's own rows."""
        return math.nan if self.peer is None else self._by(row, [self.peer])

    def of_best(self, row: Row) -> float:
        """By the fastest of PyTorch's sides."""
        return self._by(row, PEERS)

    def _by(self, row: Row, peers: Sequence[str]) -> float:
        direction = COMPARED.get(row.direction, row.direction)
        keys = [(row.network, row.dtype, peer, direction) for peer in peers]
        times = [self._seconds[key] for key in keys if key in self._seconds]
        if not times or (row.subject in peers and direction == row.direction):
            return math.nan
        return min(times) / row.seconds


def text(rows: Sequence[Row], left_out: Sequence[str] = ()) -> str:
    """Return a table for a terminal, every row of it, and the means below."""
    head, body = _table(rows)
    lines = [head, *body]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    shown = [
        "  ".join(
            cell.ljust(width) if i < 4 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    means = [
        f"{dtype}, {direction}, {subject}: {mean}x {peer} ({slower})"
        for dtype, direction, subject, peer, mean, _, _, slower in means_of(rows)
    ]
    remarks = [f"left out: {reason}" for reason in left_out]
    return "\n".join([*shown, *([""] if means else []), *means, *remarks])


def _table(rows: Sequence[Row]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    ratios = Ratios(rows)
    head = ["network", "dtype", "direction", "backend", "time", "spread"]
    head += [] if ratios.peer is None else [f"x {ratios.peer}"]
    head += ["x best of torch"] if ratios.best else []
    places = {network.name: place for place, network in enumerate(NETWORKS)}
    directions = list(dict.fromkeys(row.direction for row in rows))
    ordered = sorted(
        rows,
        key=lambda r: (r.dtype, places.get(r.network, len(places)), directions.index(r.direction)),
    )
    body = []
    for row in ordered:
        line = [row.network, row.dtype, row.direction, row.subject, duration(row.seconds)]
        line.append(f"±{row.spread:.0%}")
        line += [] if ratios.peer is None else [_number(ratios.of(row))]
        line += [_number(ratios.of_best(row))] if ratios.best else []
        body.append(tuple(line))
    return tuple(head), body


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def means_of(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return dtype, direction, backend, peer, geometric mean, median, worst, and rows slower."""
    ratios = Ratios(rows)
    if ratios.peer is None:
        return []
    groups: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in rows:
        value = ratios.of(row)
        if not math.isnan(value):
            groups.setdefault((row.dtype, row.direction, row.subject), {})[row.network] = value
    found: list[tuple[str, ...]] = []
    for (dtype, direction, subject), values in sorted(groups.items(), key=lambda item: item[0][0]):
        numbers = list(values.values())
        worst = min(values, key=lambda name: values[name])
        slower = sum(value < 1 for value in numbers)
        found.append(
            (
                dtype, direction, subject, ratios.peer, f"{geometric_mean(numbers):.2f}",
                f"{median(numbers):.2f}", f"{values[worst]:.2f} ({worst})",
                f"{slower} of {len(numbers)} slower",
            )
        )  # fmt: skip
    return found


METHOD = """\
Written by `convkit bench --networks --report`; do not edit. Each library runs in a process of its
own, which sleeps while another is asked, because the threads of two libraries in one process
disturb each other. The sides take turns, beginning with another one each round; a time is a median
over rounds, each of as many calls as fill a tenth of a second, after one that does not count, and
*spread* is half the distance between the quartiles. *step* is a training step: loss, gradients,
and the update by momentum of every parameter. *inference* is that of the network as it is trained,
*fused* that of `fused()`, compared with the other's inference. All sides begin with the same
parameters and images, and have the same scores, first two losses and progress before they are
timed. A mean over networks says nothing about convolutions or pools, whose means are their own."""


def section(facts: Mapping[str, Any], rows: Sequence[Row], left_out: Sequence[str] = ()) -> str:
    """Return the section of the page, without its heading."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    used = {row.network for row in rows}
    described = [(n.name, str(n.batch), n.about) for n in NETWORKS if n.name in used]
    head, body = _table(rows)
    mean_head = ("dtype", "direction", "backend", "x", "geometric mean", "median", "worst", "rows")
    parts = [
        METHOD,
        f"CPU: {facts['cpu']} ({facts['vectors']}), {facts['cores']} cores, {facts['system']}. "
        f"Threads: {facts['threads']}. Rounds: {facts['rounds']}. Versions: {versions}. Date: "
        f"{facts['date']}. Load average at the end: {facts['load']}.",
        markdown_table(("network", "batch", "what"), described),
        *([markdown_table(mean_head, means_of(rows))] if means_of(rows) else []),
        markdown_table(head, body),
        *(f"Left out: {reason}." for reason in left_out),
    ]
    return "\n\n".join(parts)


def write(
    path: Path, facts: Mapping[str, Any], rows: Sequence[Row], left_out: Sequence[str] = ()
) -> None:
    """Write the section to a page, whole or not at all; the page's other sections stay."""
    before = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    write_text(path, replaced(before, HEADING, section(facts, rows, left_out)))
