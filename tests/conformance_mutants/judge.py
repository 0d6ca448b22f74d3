"""Hold mutants to the suite: which checks find each.

``python -m conformance_mutants.judge`` (with ``tests`` on PYTHONPATH) runs every check on every
mutant, and writes the table of docs/conformance-mutants.md; see ``--help``.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from conformance_mutants import CORRECT, MUTANTS
from conformance_mutants.registry import Mutant
from convkit import registry
from convkit.conformance import CHECKS, run
from convkit.errors import ConvkitError

LOADING = "(loading)"
"""Stands for a check where the registry itself refuses the backend."""


@dataclass(frozen=True)
class Verdict:
    """The checks that found a mutant, the first words of the first failure, and the time."""

    name: str
    found_by: tuple[str, ...]
    words: str
    seconds: float
    ran: int

    @property
    def killed(self) -> bool:
        """Whether any check found it."""
        return bool(self.found_by)


def judge(name: str, level: str, **options) -> Verdict:
    """Run the suite on a mutant, or on one of the correct backends."""
    mutant = MUTANTS.get(name) or Mutant(name, "correct", "none", CORRECT[name])
    origin = f"conformance_mutants:{name}"
    registry.reload()
    with mutant.active(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            backend = registry.load(origin).backend
            report = run(origin if mutant.child else backend, level, **options)
        except ConvkitError as error:
            return Verdict(name, (LOADING,), f"{type(error).__name__}: {error}", 0.0, 0)
        finally:
            registry.reload()
    ran = len(report.results)
    # A narrowed run in which nothing was asked says nothing about the mutant.
    if report.ok or (options.get("checks") and not report.failures and not report.stopped):
        return Verdict(name, (), "", report.seconds, ran)
    first = next((r.message for r in report.failures), report.stopped or report.verdict())
    found = tuple(report.failed_checks()) or ("(verdict)",)
    return Verdict(name, found, first, report.seconds, ran)


# --- the table ------------------------------------------------------------------------------

KEPT = {
    "denormal": "flushing subnormals is allowed, so only a kernel that is far off fails; it guards "
    "the bound itself at the smallest numbers",
}
"""Checks that need find no mutant, and why they are there all the same."""


def everything(name: str, level: str) -> tuple[str, ...]:
    """Return all checks of a level that find a mutant, each stopped at its first failure."""
    found: list[str] = []
    for check in CHECKS:
        verdict = judge(name, level, checks=[check], maxfail=1)
        found += [f for f in verdict.found_by if f not in found and f != "(verdict)"]
        if LOADING in verdict.found_by:
            break
    return tuple(found)


def row(name: str, every_check: bool) -> tuple[str, str, tuple[str, ...]]:
    """Return a mutant's level and checks: of the quick run, or of the default where it lives."""
    if MUTANTS[name].needs_full:
        return name, "full", ()
    for level in ("quick", "default"):
        first = judge(name, level, maxfail=1).found_by
        if first:
            return name, level, everything(name, level) or first if every_check else first
    return name, "alive", ()


def witness(check: str) -> str:
    """Return a mutant that a check finds when it runs alone; empty where it is kept without."""
    candidates = WITNESSES.get(check, ()) or [n for n, m in MUTANTS.items() if not m.child]
    for name in candidates:
        if judge(name, "quick", checks=[check], maxfail=1).killed:
            return name
    return ""


WITNESSES = {
    "real": ("WinogradSaysExact",),
    "repeat-real": ("BitsDifferOnRepeat",),
    "denormal": ("float64_computed_in_float32", "WeightsInHalf"),
    "gradient": ("DxKernelFlipped",),
    "adjoint": ("dw_swaps_strides",),
    "repeat": ("DwAccumulates",),
    "out-overwritten": ("SavedSharesOutput", "OutputReused"),
    "poisoned-memory": ("dx_leftover_rows_uninitialised", "max_dx_losers_uninitialised"),
    "fork": ("WrongAfterFork",),
    "linearity": ("FirstBiasForAll", "float64_computed_in_float32", "AverageTruncates"),
    "translation": ("out_skips_last_columns_of_4", "EndPadReplicatesEdge"),
    "batch-independence": ("groups_right_in_first_image_only", "single_image_unbatched"),
    "channel-permutation": ("FirstBiasForAll", "GroupsOffByOne"),
    "groups-are-blocks": ("GroupsInterleaved",),
    "dilation-is-stuffing": ("dilation0_twice",),
    "stride-is-subsampling": ("strides_swapped",),
    "max-is-idempotent": ("MaxStartsAtSmallestPositive",),
    "average-of-constant": ("AverageDividesBySquare",),
}
"""Mutants to try first for a check that is seldom the first to find one."""

HEAD = """# What the conformance suite finds

Written by `make mutants`; do not edit. Each row is a correct backend with one bug planted in it
(`tests/conformance_mutants`), the level that finds it, and checks that do: the first one to fail,
and others that were seen to find it when they ran alone.
"""


def table(rows: dict[str, tuple[str, tuple[str, ...]]]) -> str:
    """Return the report as Markdown."""
    counts = Counter(level for level, _ in rows.values())
    by_check = Counter(c for _, found in rows.values() for c in found)
    lines = [
        HEAD,
        f"{len(rows)} mutants: " + ", ".join(f"{n} {k}" for k, n in counts.items()) + ".",
    ]
    lines += ["", "| check | mutants it finds |", "| --- | ---: |"]
    for check in (LOADING, *CHECKS):
        reason = f" ({KEPT[check]})" if check in KEPT else ""
        lines.append(f"| {check}{reason} | {by_check[check]} |")
    for kind in dict.fromkeys(m.kind for m in MUTANTS.values()):
        lines += ["", f"## {kind}", "", "| mutant | the bug | level | found by |"]
        lines += ["| --- | --- | --- | --- |"]
        for name, mutant in MUTANTS.items():
            if mutant.kind == kind and name in rows:
                level, found = rows[name]
                bug = mutant.bug.replace("|", "\\|")
                lines.append(f"| `{name}` | {bug} | {level} | {', '.join(found)} |")
    return "\n".join(lines) + "\n"


def read_table(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the checks that find each mutant, from the written report."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            cells = [c.strip() for c in line.replace("\\|", "").strip("|").split("|")]
            found[cells[0].strip("`")] = tuple(c.strip() for c in cells[3].split(",") if c.strip())
    return found


def add_witnesses(rows: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    """Find a mutant for every check that found none first."""
    for check in CHECKS:
        if not any(check in found for _, found in rows.values()):
            name = witness(check)
            if name:
                level, found = rows[name]
                rows[name] = (level, (*found, check))


def main() -> None:
    """Judge every mutant and write the report."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("path", type=Path, help="the Markdown file to write")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every-check", action="store_true", help="not the first alone; hours")
    options = parser.parse_args()
    rows: dict[str, tuple[str, tuple[str, ...]]] = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        for done in as_completed([pool.submit(row, name, options.every_check) for name in MUTANTS]):
            name, level, found = done.result()
            rows[name] = (level, found)
            print(f"{len(rows)}/{len(MUTANTS)} {name}: {level}: {', '.join(found)}", flush=True)
    add_witnesses(rows)
    options.path.write_text(table(rows), encoding="utf-8")
    alive = [name for name, (level, _) in rows.items() if level == "alive"]
    if alive:
        sys.exit(f"alive: {', '.join(alive)}")


if __name__ == "__main__":
    main()
