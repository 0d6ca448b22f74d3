"""The page of a conformance run: the verdict, what was asked, and each failure drawn.

It decides nothing; `convkit.conformance.report` counts. The page is one file without scripts or
network access, as the report of a training run is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convkit.conformance.coverage import shares, summary
from convkit.conformance.planes import DRAWN
from convkit.conformance.report import SAYING, Report, Result
from convkit.files import write_text
from convkit.report.heat_map import HeatMap, heat_map
from convkit.report.rendering import fill

LISTED = 500
"""How many failures are listed beyond those drawn; the JSON has all."""
COUNTED = {
    "pass": "passed",
    "fail": "failed",
    "expected": "as declared",
    "unsupported": "declined",
    "skipped": "skipped",
    "n/a": "n/a",
}
"""The page's words for the statuses."""
ALWAYS = ("pass", "fail")
"""The statuses that have a column also where there is none of them."""


@dataclass(frozen=True)
class Failure:
    """A failure as the page shows it."""

    check: str
    op: str
    message: str
    line: str
    """The command that reproduces it."""
    drawing: HeatMap | None


@dataclass(frozen=True)
class Row:
    """How many results of a check have each status."""

    check: str
    counts: Counter[str]

    @property
    def failed(self) -> bool:
        """Whether any of them is a failure."""
        return self.counts["fail"] > 0


def headline(report: Report) -> str:
    """Return the verdict in a few words."""
    if report.ok:
        return "Clean"
    if report.failures:
        checks = len(report.failed_checks())
        return f"{len(report.failures)} failed in {checks} check{'s' * (checks > 1)}"
    return "Stopped early" if report.stopped else "Nothing passed"


def numbers(report: Report) -> list[tuple[str, int]]:
    """Return the counts at the top; those after the first four only where they are not 0."""
    counts = Counter(r.status for r in report.results if r.check not in SAYING)
    found = [
        ("failed", len(report.failures)),
        ("passed", counts["pass"]),
        ("crashed", len(report.crashes)),
        ("hung", len(report.hangs)),
    ]
    others = [
        ("not run after crashes or hangs", len(report.not_run)),
        ("failed as declared", counts["expected"]),
        ("declined", counts["unsupported"]),
        ("skipped for cost", counts["skipped"]),
    ]
    return found + [pair for pair in others if pair[1]]


def rows(report: Report) -> list[Row]:
    """Return the counts of each check, those that failed first."""
    by: dict[str, Counter[str]] = {}
    for r in report.results:
        by.setdefault(r.check, Counter())[r.status] += 1
    return sorted((Row(*item) for item in by.items()), key=lambda row: not row.failed)


def failures(report: Report, name: str) -> list[Failure]:
    """Return the failures in order, but for the cases that were not run; the first are drawn."""
    left_out = set(map(id, report.not_run))
    wanted: list[Result] = [r for r in report.failures if id(r) not in left_out]
    return [
        Failure(
            r.check,
            r.op,
            r.message,
            r.reproduce(name),
            heat_map(r.plane) if r.plane is not None and i < DRAWN else None,
        )
        for i, r in enumerate(wanted)
    ]


def remarks(report: Report) -> list[tuple[str, str, str, int]]:
    """Return (kind, check or operation, text, how often), the cases that were not run first."""
    left_out = Counter((r.check, r.message) for r in report.not_run)
    return [("fail", *key, count) for key, count in left_out.items()] + report.remarks()


def render(report: Report, name: str, environment: Mapping[str, Any]) -> str:
    """Return the page.

    ``name`` is the backend as the command line names it, and ``environment`` what
    `convkit.bench.machine.describe` says of the machine.
    """
    found = failures(report, name)
    return fill(
        "conformance.html.j2",
        report=report,
        name=name,
        headline=headline(report),
        numbers=numbers(report),
        coverage=summary(shares(report.results, report.level, report.seed)),
        counted={s: word for s, word in COUNTED.items() if report.counts[s] or s in ALWAYS},
        rows=rows(report),
        drawn=found[:DRAWN],
        listed=found[DRAWN : DRAWN + LISTED],
        unlisted=max(0, len(found) - DRAWN - LISTED),
        remarks=remarks(report),
        facts=_facts(report),
        environment=_environment(environment),
    )


def _facts(report: Report) -> dict[str, Any]:
    """Return what the backend says of itself, and what was asked of it."""
    said = {key: report.facts[key] for key in ("exact", "error_factor", "reproducible")
            if key in report.facts}  # fmt: skip
    not_asked = ", ".join(report.facts.get("not_asked", ())) or None
    return {"level": report.level, "seed": report.seed, **said, "operations not asked": not_asked}


def _environment(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the machine's facts with the versions beside them."""
    return {**{k: v for k, v in found.items() if k != "versions"}, **found.get("versions", {})}


def write(report: Report, name: str, environment: Mapping[str, Any], path: Path) -> None:
    """Write the page, whole or not at all."""
    write_text(path, render(report, name, environment))
