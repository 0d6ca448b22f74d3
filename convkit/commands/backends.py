"""``convkit backends``: what is advertised, loaded, broken or blocked."""

from __future__ import annotations

import json

import click

from convkit import registry, state
from convkit.commands._tables import text_table
from convkit.errors import ConvkitError
from convkit.selection.overview import backend_rows, load_quietly
from convkit.selection.request import check_exists, parse

COLUMNS = (
    "name",
    "state",
    "version",
    "dtypes",
    "operations",
    "instruction_set",
    "threads",
    "distribution",
    "problem",
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--load/--no-load",
    default=True,
    show_default=True,
    help="Load the backends that come with convkit, to see whether they work.",
)
def backends(as_json: bool, load: bool) -> None:
    """List the backends and their state.

    A backend of another package is loaded only when it is used by its name.
    """
    if load:
        load_quietly(record.name for record in registry.backends() if record.bundled)
    _remark_on_choice()
    rows = backend_rows()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    cells = [[_cell(row[column]) for column in COLUMNS] for row in rows]
    click.echo(text_table(COLUMNS, cells))


def _remark_on_choice() -> None:
    """Say on standard error where CONVKIT_BACKEND names no backend: every call would fail."""
    try:
        check_exists(parse(state.variable("CONVKIT_BACKEND"), "CONVKIT_BACKEND"))
    except ConvkitError as error:
        text = str(error)
        named = text if "CONVKIT_BACKEND" in text else f"CONVKIT_BACKEND: {text}"
        click.echo(f"convkit: warning: {' '.join(named.split())}", err=True)


def _cell(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
    return " ".join(text.split()) or "-"
