"""``convkit compare``: times of backends on the course's workloads.

The workloads and the printed lines are those of CS231n's ConvolutionalNetworks notebook: a
convolution of 100 images 3x31x31 with 25 filters 3x3, stride 2, pad 1, and 2x2 max pooling of 100
images 3x32x32, in float64.
"""

from __future__ import annotations

import json
from typing import Any

import click

from convkit import registry
from convkit.bench.comparison import (
    REFERENCE,
    WORKLOADS,
    comparison_row,
    course_problem,
    measure,
)
from convkit.selection.overview import load_quietly

DTYPE = "float64"


def block(row: dict[str, Any]) -> str:
    """The lines that the course prints for a block."""
    lines = [
        f"Testing {row['workload']}_{row['direction']}_fast:",
        f"{row['reference'].capitalize()}: {row['reference_seconds']:f}s",
        f"Fast: {row['seconds']:f}s",
        f"Speedup: {row['speedup']:f}x",
    ]
    for name, value in row["difference"].items():
        label = "Difference" if name == "out" else f"{name} difference"
        lines.append(f"{label}: {value}")
    return "\n".join(lines)


@click.command()
@click.option(
    "--backend",
    "names",
    help="The backends to time, a comma list; otherwise every built-in one that loads.",
)
@click.option(
    "--reference", default=REFERENCE, show_default=True, help="What they are timed against."
)
@click.option(
    "--workload", type=click.Choice([*WORKLOADS, "all"]), default="all", show_default=True
)
@click.option("--images", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the course's lines.")
def compare(
    names: str | None, reference: str, workload: str, images: int, rounds: int, as_json: bool
) -> None:
    """Time backends on the course's convolution and pooling.

    Times are medians; the backends take turns, so that a busy machine slows all of them alike.
    """
    others = _others(names, reference)
    rows = []
    for kind in WORKLOADS if workload == "all" else (workload,):
        timings = measure(course_problem(kind, images), [reference, *others], DTYPE, rounds)
        for other in others:
            if not as_json:
                click.echo(f"--- {kind}: {other} against {reference} ---")
            for direction, by_name in timings.items():
                row = comparison_row(
                    kind, direction, (reference, by_name[reference]), (other, by_name[other])
                )
                rows.append(row)
                if not as_json:
                    click.echo(block(row) + "\n")
    if as_json:
        click.echo(json.dumps(rows, indent=2))


def _others(names: str | None, reference: str) -> list[str]:
    """The backends to time; one that the user named must load."""
    registry.load(reference)
    if names is None:
        builtin = [record.name for record in registry.backends() if record.builtin]
        return [name for name in load_quietly(builtin) if name != reference]
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise click.UsageError("--backend needs a name")
    return [registry.load(name).name for name in dict.fromkeys(wanted)]
