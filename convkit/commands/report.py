"""``convkit report``: render a finished run's report again, or compare runs on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from convkit.commands._types import check_writable
from convkit.report.comparison import Words, trainings_of, write_comparison
from convkit.report.page import REPORT_FILE, write_report
from convkit.report.record import load_record

COMPARISON_FILE = "comparison.html"


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help=f"The page that compares several runs; otherwise {COMPARISON_FILE} here.",
)
def report(runs: Sequence[Path], out: Path | None) -> None:
    """Render the report and pictures of the folder RUN again from what it holds.

    Of several runs write one page: a curve and a line of results for each, the settings in which
    they differ, and which has the best validation accuracy.
    """
    if len(runs) > 1:
        _compare(runs, out or Path(COMPARISON_FILE))
        return
    if out is not None:
        raise click.UsageError("--out is for the page that compares several runs; leave it out")
    (run,) = runs
    for problem in write_report(load_record(run), run):
        click.echo(f"A picture could not be drawn: {problem}", err=True)
    click.echo(f"Report: {run / REPORT_FILE}")


def _compare(runs: Sequence[Path], out: Path) -> None:
    """Write the page of several runs."""
    check_writable("--out", out)
    records = [load_record(run) for run in runs]
    labels = [record.name for record in records]
    if len(set(labels)) < len(labels):
        labels = [str(run) for run in runs]
    if len(set(labels)) < len(labels):
        raise click.UsageError("each RUN must be given once")
    words = Words(
        kind="convkit comparison",
        title=f"{len(runs)} training runs",
        over="run",
        footer="Render it again with convkit report and the folders' paths.",
    )
    for picture in write_comparison(out, words, trainings_of(records, labels)):
        if picture.problem:
            click.echo(f"A picture could not be drawn: {picture.problem}", err=True)
    click.echo(f"Comparison: {out}")
