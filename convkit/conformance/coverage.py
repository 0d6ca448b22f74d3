"""What share of the space a run asked: combinations of feature values, as a table.

A combination counts where a problem that has it was asked, whatever came of it. What was declined,
or skipped for its cost, does not count, so a backend that takes little shows how little was asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from convkit.conformance.covering import Cover
from convkit.conformance.entries import ENTRIES
from convkit.conformance.problems import chosen
from convkit.conformance.report import Result

ASKED = ("pass", "fail", "expected")
SIZES = {1: "values", 2: "pairs", 3: "triples"}
"""What combinations of so many features are called."""


@dataclass(frozen=True)
class Share:
    """How many combinations of one tuple of features a run asked, of all there are.

    Not every combination exists: some contradict each other, as a wide padding and a single
    result. ``possible`` counts those that a level draws when nothing is declined or skipped.
    """

    op: str
    space: str
    features: tuple[str, ...]
    asked: int
    possible: int
    total: int

    def as_row(self) -> dict[str, object]:
        """Return it as JSON-able values."""
        return asdict(self)


def shares(results: Iterable[Result], level: str, seed: int) -> list[Share]:
    """Return the coverage of a run's results, tuple by tuple of features."""
    asked = {(r.op, r.case) for r in results if r.check == "space" and r.status in ASKED}
    ops = dict.fromkeys(r.op for r in results if r.check == "space")
    found = []
    for op in ops:
        problems = chosen(op, level, seed)
        for space in ENTRIES[op].spaces:
            covered, drawn = Cover(space), Cover(space)
            for name, point, case in problems:
                if name == space.name:
                    seen = space.seen(point)
                    drawn.take(seen)
                    if (op, str(case)) in asked:
                        covered.take(seen)
            for names in space.tuples:
                total = len(set(space.combinations(names)))
                found.append(
                    Share(
                        op,
                        space.name,
                        names,
                        total - len(covered.missing[names]),
                        total - len(drawn.missing[names]),
                        total,
                    )
                )
    return found


def summary(found: Iterable[Share]) -> list[tuple[str, str, str, int, int, int]]:
    """Return (operation, space, one of `SIZES`, asked, possible, total), added up."""
    rows: dict[tuple[str, str, str], list[int]] = {}
    for share in found:
        size = SIZES[len(share.features)]
        row = rows.setdefault((share.op, share.space, size), [0, 0, 0])
        for i, count in enumerate((share.asked, share.possible, share.total)):
            row[i] += count
    return [(*key, *counts) for key, counts in rows.items()]  # type: ignore[misc]


def table(found: Iterable[Share], *, every: bool = False) -> str:
    """Return the coverage as text; with ``every`` a line for each tuple of features."""
    found = list(found)
    if not found:
        return ""
    lines = [f"{'coverage':16}{'space':20}{'of':42}{'asked':>7}{'all':>7}{'share':>8}"]
    rows = [(op, space, size, a, t) for op, space, size, a, _, t in summary(found)]
    if every:
        rows = [(s.op, s.space, " x ".join(s.features), s.asked, s.total) for s in found]
    for op, space, what, asked, total in rows:
        lines.append(f"{op:16}{space:20}{what:42}{asked:7}{total:7}{asked / total:8.1%}")
    return "\n".join(lines)
