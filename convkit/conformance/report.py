"""The outcome of a run: results, the summary table, JSON and JUnit.

A report counts; it decides nothing but what counts as clean: no failure, and at least one pass.
What was not run (unsupported, skipped for its cost, not applicable) is counted apart and never as
passed.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from convkit.conformance.guard import A_HANG, CRASHES
from convkit.conformance.planes import Plane

STATUSES = ("pass", "fail", "expected", "unsupported", "skipped", "n/a")
SAYING = ("declarations", "supports")
"""Checks of what a backend says; passing them alone proves nothing."""

NOT_RUN = "not run: "
"""Begins the message of a case that came after too many crashes or hangs."""

HEADINGS = ("pass", "FAIL", "expected", "unsupported", "skipped (cost)", "n/a")


@dataclass(frozen=True)
class Result:
    """One check on one case. ``message`` says how it failed or why it was not run."""

    check: str
    op: str
    feature: str
    dtype: str
    case: str
    status: str
    message: str = ""
    seconds: float = 0.0
    plane: Plane | None = None
    """The result around its first wrong element; the first failures of a run have one."""

    def reproduce(self, name: str) -> str:
        """The command that runs this check on this case alone."""
        return f"convkit conformance {name} --case '{self.check} {self.case}'"


@dataclass
class Report:
    """Everything one run found about one backend."""

    backend: str
    level: str
    seed: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    stopped: str = ""
    """Why the run ended early; empty where it did not."""
    seconds: float = 0.0
    origin: str = ""
    """The backend as the run was given it, which a line that reproduces a failure needs."""

    @property
    def failures(self) -> list[Result]:
        """Results that count against the backend."""
        return [r for r in self.results if r.status == "fail"]

    @property
    def counts(self) -> Counter[str]:
        """How many results have each status."""
        return Counter(r.status for r in self.results)

    @property
    def ok(self) -> bool:
        """No failure, and something computed was right: supporting nothing is not enough."""
        return not self.failures and not self.stopped and self.proved

    @property
    def proved(self) -> bool:
        """Whether a check of results passed, where any was to be run."""
        others = [r for r in self.results if r.check not in SAYING] or self.results
        return any(r.status == "pass" for r in others)

    @property
    def hangs(self) -> list[Result]:
        """The failures in which nothing came back in time."""
        return [r for r in self.failures if A_HANG in r.message]

    @property
    def crashes(self) -> list[Result]:
        """The failures that ended a process."""
        return [r for r in self.failures if any(words in r.message for words in CRASHES)]

    @property
    def not_run(self) -> list[Result]:
        """The failures of cases that came after too many crashes or hangs."""
        return [r for r in self.failures if r.message.startswith(NOT_RUN)]

    def failed_checks(self) -> list[str]:
        """The names of the checks that failed, in order."""
        return list(dict.fromkeys(r.check for r in self.failures))

    # --- text -------------------------------------------------------------------------------

    def table(self) -> str:
        """The summary: operation and feature by status, with counts."""
        rows: dict[tuple[str, str], Counter[str]] = {}
        for r in self.results:
            said = r.check in SAYING  # what a backend says is no result
            key = (r.op, "declarations" if said else r.feature.partition(":")[0])
            rows.setdefault(key, Counter())[r.status] += 1
        lines: list[tuple[str, ...]] = [("operation", "feature", *HEADINGS)]
        for (op, feature), counts in sorted(rows.items(), key=lambda item: item[0][0]):
            lines.append((op, feature, *(str(counts[s] or ".") for s in STATUSES)))
        saying = Counter(r.status for r in self.results if r.check in SAYING)
        results = self.counts - saying
        lines.append(("total", "declarations", *(str(saying[s]) for s in STATUSES)))
        lines.append(("total", "results", *(str(results[s]) for s in STATUSES)))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def remarks(self) -> list[tuple[str, str, str, int]]:
        """Why cases were unsupported, expected to fail or not applicable; and remarks.

        Each is (kind, check or operation, text, how often).
        """
        words = {"pass": "remark"}
        found = Counter(
            (words.get(r.status, r.status), r.check if r.status != "unsupported" else r.op,
             r.message)
            for r in self.results
            if r.status in ("unsupported", "expected", "n/a") or (r.status == "pass" and r.message)
        )  # fmt: skip
        return [(*key, count) for key, count in found.items()]

    def reasons(self) -> str:
        """`remarks` as text."""
        return "\n".join(
            f"{kind}: {what}: {why} ({count})" for kind, what, why, count in self.remarks()
        )

    def failure_text(self, name: str, limit: int = 20) -> str:
        """The first failures, each with its case and the command that reproduces it."""
        shown = [
            f"FAIL {r.check}: {r.message}\n     {r.reproduce(name)}" for r in self.failures[:limit]
        ]
        left = len(self.failures) - len(shown)
        return "\n".join([*shown, *([f"... and {left} more failures"] if left > 0 else [])])

    def verdict(self) -> str:
        """The last line."""
        facts = ""
        if not self.facts.get("exact", True):
            factor = self.facts.get("error_factor", 1)
            facts = f" (exact = False: held to {factor:g} times the norm-wise bound)"
        if self.ok:
            word = "clean"
        elif self.failures:
            word = f"{len(self.failures)} failed in {', '.join(self.failed_checks())}"
            word += f", {len(self.hangs)} of them by a hang" if self.hangs else ""
            word += f"; stopped: {self.stopped}" if self.stopped else ""
        elif self.stopped:
            word = self.stopped
        else:
            word = "not clean: nothing passed"
        space = [
            r.status in ("pass", "fail", "expected") for r in self.results if r.check == "space"
        ]
        if space and not all(space):
            word += f"; asked {sum(space)} of {len(space)} problems of the space"
        head = f"{self.backend}{facts}, {self.level}, seed {self.seed}"
        return f"{head}: {word}; {self.seconds:.1f} s"

    def text(self, name: str) -> str:
        """All of it."""
        parts = [self.table(), self.reasons(), self.failure_text(name), self.verdict()]
        return "\n\n".join(p for p in parts if p)

    # --- files ------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(
            {
                "backend": self.backend,
                "facts": dict(self.facts),
                "level": self.level,
                "seed": self.seed,
                "ok": self.ok,
                "stopped": self.stopped,
                "seconds": round(self.seconds, 3),
                "counts": {s: self.counts[s] for s in STATUSES},
                "results": [_row(r) for r in self.results],
            },
            indent=1,
        )

    def to_junit(self) -> str:
        """The report as JUnit XML: a suite per operation, a test per check."""
        root = ET.Element("testsuites", name=f"convkit conformance {self.backend}")
        for op in dict.fromkeys(r.op for r in self.results):
            mine = [r for r in self.results if r.op == op]
            suite = ET.SubElement(root, "testsuite", name=op)
            names = list(dict.fromkeys(r.check for r in mine))
            bad = {r.check for r in mine if r.status == "fail"}
            suite.set("tests", str(len(names)))
            suite.set("failures", str(len(bad)))
            for name in names:
                self._junit_test(suite, op, name, [r for r in mine if r.check == name])
        return ET.tostring(root, encoding="unicode", xml_declaration=True)

    def _junit_test(self, suite: ET.Element, op: str, name: str, found: list[Result]) -> None:
        seconds = sum(r.seconds for r in found)
        test = ET.SubElement(suite, "testcase", classname=f"{self.backend}.{op}", name=name)
        test.set("time", f"{seconds:.3f}")
        failed = [r for r in found if r.status == "fail"]
        for r in failed[:10]:
            failure = ET.SubElement(test, "failure", message=r.message)
            failure.text = r.reproduce(self.origin or self.backend)
        if not failed and not any(r.status == "pass" for r in found):
            ET.SubElement(test, "skipped", message=f"{found[0].status}: {found[0].message}")


def _row(result: Result) -> dict[str, Any]:
    """Return a result as JSON-able values, without a plane where it has none."""
    row = asdict(result)
    if row["plane"] is None:
        del row["plane"]
    return row


def settle(
    results: Iterable[Result], known: Mapping[str, str], lenient: Iterable[str] = ()
) -> list[Result]:
    """Add a failure for every known failure that did not happen: expectations are strict.

    But for the checks that ``lenient`` names.
    """
    found = list(results)
    strict = {k: why for k, why in known.items() if k.partition("/")[0] not in set(lenient)}
    for key, reason in strict.items():
        mine = [r for r in found if key in (r.check, f"{r.check}/{r.op}")]
        if any(r.status == "expected" for r in mine):
            continue
        if any(r.status == "pass" for r in mine):
            text = f"expected to fail ({reason}), but every case passed; it is no known failure"
            r = mine[0]
            found.append(Result(r.check, r.op, "expected failures", r.dtype, r.case, "fail", text))
    return found
