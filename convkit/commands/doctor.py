"""``convkit doctor``: checks of plug-ins, environment and machine, with a fix for each finding."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from convkit.diagnosis.findings import (
    Finding,
    backend_facts,
    backend_findings,
    machine_facts,
    variable_findings,
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Check every plug-in, the environment and the machine; exit 1 where something is wrong.

    Each plug-in is loaded in a process of its own, so one that crashes is reported too.
    """
    facts = backend_facts()
    seen = {n: v for n, v in sorted(os.environ.items()) if n.startswith("CONVKIT_")}
    findings = backend_findings(facts) + variable_findings(seen)
    own = machine_facts()
    if as_json:
        report = {"backends": facts, "environment": seen, "machine": own}
        click.echo(json.dumps(report | {"findings": [f._asdict() for f in findings]}, indent=2))
    else:
        click.echo("\n".join(_lines(facts, seen, own, findings)))
    ctx.exit(1 if findings else 0)


def _value(value: Any) -> str:
    """Return a fact of a backend as text."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(one)}" for key, one in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _lines(
    facts: list[dict[str, Any]],
    seen: dict[str, str],
    own: dict[str, Any],
    findings: list[Finding],
) -> list[str]:
    lines = ["machine"]
    lines += [f"  {k}: {' '.join(v) if isinstance(v, list) else v}" for k, v in own.items()]
    lines += ["environment"]
    lines += [f"  {k}={v}" for k, v in seen.items()] or ["  no CONVKIT_ variable is set"]
    lines += ["backends"]
    for entry in facts:
        lines.append(f"  {entry['name']} ({entry['distribution']}): {entry['state']}")
        lines += [f"    {key}: {_value(value)}" for key, value in entry["info"].items()]
        lines += [f"    | {line}" for line in entry["traceback"].splitlines()]
    if not findings:
        return [*lines, "nothing is wrong"]
    lines.append("what is wrong")
    for finding in findings:
        lines += [f"  {finding.what}", f"    fix: {finding.fix}"]
    return lines
