"""``convkit report``: render a finished run's report again, without training."""

from __future__ import annotations

from pathlib import Path

import click

from convkit.report.page import REPORT_FILE, write_report
from convkit.report.record import load_record


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def report(run: Path) -> None:
    """Render the report and pictures of the folder RUN again from what it holds."""
    for problem in write_report(load_record(run), run):
        click.echo(f"A picture could not be drawn: {problem}", err=True)
    click.echo(f"Report: {run / REPORT_FILE}")
