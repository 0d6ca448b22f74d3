"""The report of the planted bugs: written as Markdown, and read back by the tests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from conformance_mutants import MUTANTS
from conformance_mutants.judge import ALIVE, LOADING, Row
from convkit.conformance import CHECKS

HEAD = """# What the conformance suite finds

Written by `make mutants`; do not edit. Each row is a correct backend with one bug planted in it
(`tests/conformance_mutants`), the level that finds it, and the checks that do.

Every mutant was run at the quick level up to the first failure, and where that found nothing at
the default level. Then each check of the quick level from there on was run alone, up to its first
failure, so that a row names every check that finds the bug by itself. A row that ends in `...` is
open: it names checks that find the bug, and not every other one was asked. Open are the rows of
the level *default*, where that takes hours, the mutants that end or hang their process, and rows
that were written before a check was added (`space`, `large` and `nonfinite-padding` so far, and for
the kinds `pad_modes` and `indices` all checks after the first that finds the bug), and the kinds
`norm_*`, `transposed*`, `conv_relu` and `conv_bn_*`, which were asked of that operation alone and
by some checks. The
level *full* was not run: it needs 11 GB of memory; a test holds its check, index-width, to the same
bug at a smaller size.
"""

BEGIN, END = "<!-- mutants:begin -->", "<!-- mutants:end -->"


def summary(rows: Mapping[str, Row]) -> str:
    """Return one sentence: how many mutants, and which level finds how many."""
    levels = Counter(r.level for r in rows.values())
    quick, default, full = levels["quick"], levels["default"], levels["full"]
    text = (
        f"{len(rows)} planted bugs: the quick run finds {quick} ({quick / len(rows):.1%}), the "
        f"default run {quick + default}"
    )
    if full:
        text += f", --full is for {full} more (flat indices beyond 2**31)"
    return f"{text}; {levels[ALIVE] or 'none'} left alive."


def counts(rows: Mapping[str, Row]) -> list[str]:
    """Return a table of how many mutants each check finds, and how many no other one finds."""
    finds = Counter(c for r in rows.values() for c in r.found_by)
    alone = Counter(r.found_by[0] for r in rows.values() if r.complete and len(r.found_by) == 1)
    lines = ["| check | mutants it finds | alone |", "| --- | ---: | ---: |"]
    for check in (LOADING, *CHECKS):
        lines.append(f"| {check} | {finds[check]} | {alone[check]} |")
    return lines


def markdown(rows: Mapping[str, Row]) -> str:
    """Return the report."""
    lines = [HEAD, summary(rows), "", *counts(rows)]
    for kind in dict.fromkeys(m.kind for m in MUTANTS.values()):
        lines += ["", f"## {kind}", "", "| mutant | the bug | level | found by |"]
        lines += ["| --- | --- | --- | --- |"]
        for name, mutant in MUTANTS.items():
            if mutant.kind == kind and name in rows:
                bug = mutant.bug.replace("|", "\\|")
                r = rows[name]
                found = ", ".join((*r.found_by, *(() if r.complete else ("...",))))
                lines.append(f"| `{name}` | {bug} | {r.level} | {found} |")
    return "\n".join(lines) + "\n"


def read(path: Path) -> dict[str, Row]:
    """Return the rows of a written report."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            cells = [c.strip() for c in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            name, _, level, checks = cells
            names = [c.strip() for c in checks.split(",") if c.strip()]
            by = tuple(c for c in names if c != "...")
            found[name.strip("`")] = Row(name.strip("`"), level, by, "..." not in names)
    return found


def put_between(text: str, inside: str) -> str:
    """Return a page with what stands between its markers replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{inside}\n{END}{after}"


def guide_part(rows: Mapping[str, Row]) -> str:
    """Return what the user's guide says of the report."""
    return "\n".join([summary(rows), "", *counts(rows)])
