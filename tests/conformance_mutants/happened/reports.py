"""The table of the reports, read from the mutants' docstrings."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from conformance_mutants.registry import SETS, Mutant

FORM = re.compile(
    r"(?P<trigger>.+?): (?P<effect>.+[.]) (?P<library>[^,]+), (?P<thread>[\w.-]+/[\w.-]+#\d+)[.]"
)

HEAD = """# Bugs that happened

Written by `python -m conformance_mutants.happened` (with `tests` on `PYTHONPATH`); do not edit.
Convolutions and pools of published libraries that gave wrong values, crashed or hung, as their
public reports tell, each rebuilt as a mutant (`tests/conformance_mutants/happened`): a correct
backend with that one bug. "Rebuilt" says what was put in the place of values that a report calls
wrong and does not show. Where a report gives sizes at which the bug appears and sizes at which it
does not, the limit between them is chosen here.
"""


@dataclass(frozen=True)
class Report:
    """One report, and the mutant that was made of it."""

    mutant: str
    kind: str
    trigger: str
    effect: str
    library: str
    thread: str
    source: str


def report(mutant: Mutant) -> Report:
    """Read a mutant's docstring; a ValueError where it lacks a part or names another thread."""
    match = FORM.fullmatch(mutant.bug)
    source = mutant.options.get("source", "")
    if match is None:
        raise ValueError(f"{mutant.name} must read 'trigger: effect. library, owner/repo#number.'")
    address = re.fullmatch(r"https://github.com/(.+)/(?:issues|pull)/(\d+)", source)
    if address is None or "#".join(address.groups()) != match["thread"]:
        raise ValueError(f"{mutant.name}: {source!r} is not the address of {match['thread']}")
    return Report(mutant.name, mutant.kind, **match.groupdict(), source=source)


def reports() -> list[Report]:
    """Return every report, in the mutants' order."""
    return [report(mutant) for mutant in SETS["happened"].values()]


def markdown() -> str:
    """Return the page."""
    rows = reports()
    owners = Counter(r.thread.split("#")[0] for r in rows)
    lines = [HEAD, f"{len(rows)} reports from {len(owners)} repositories."]
    for kind in dict.fromkeys(r.kind for r in rows):
        lines += ["", f"## {kind}", "", "| library | report | trigger | effect | mutant |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for r in rows:
            if r.kind == kind:
                link = f"[{r.thread}]({r.source})"
                lines.append(f"| {r.library} | {link} | {r.trigger} | {r.effect} | `{r.mutant}` |")
    return "\n".join(lines) + "\n"
