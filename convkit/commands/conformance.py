"""``convkit conformance NAME``: run the conformance suite on a backend."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convkit.commands._types import check_writable
from convkit.errors import BackendNotFoundError, ParameterError
from convkit.files import write_text
from convkit.report import rendering

if TYPE_CHECKING:
    from convkit.conformance import Report, Result


MOST_JOBS = 8
"""As many processes as a run has unless told otherwise; each holds NumPy and a backend."""


@click.command()
@click.argument("name", required=False)
@click.option("--quick", "level", flag_value="quick", help="About a minute.")
@click.option("--default", "level", flag_value="default", default=True, help="Under 3 minutes.")
@click.option("--full", "level", flag_value="full", help="Everything; may take hours.")
@click.option("--op", "ops", multiple=True, help="Only this operation; may be repeated.")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(["float32", "float64"]))
@click.option("--check", "checks", multiple=True, help="Only this check; may be repeated.")
@click.option("--case", default="", help="One check on one case, as a failure prints it.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option(
    "--maxfail", default=0, metavar="N", type=click.IntRange(min=0), help="Stop after N failures."
)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--junit", "junit_path", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--html",
    "html_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a page that shows the failures here.",
)
@click.option("--coverage", is_flag=True, help="Print what share of the space was asked.")
@click.option("--for", "duration", default="", metavar="TIME", help="Search so long: 90s, 10m, 2h.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --for: note the search here, and go on from there.",
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="Processes that share the work; otherwise one per core, at most 8.",
)
@click.option("--list", "listing", is_flag=True, help="List the checks and what each asks.")
def command(
    name: str | None,
    level: str,
    ops: tuple[str, ...],
    dtypes: tuple[str, ...],
    checks: tuple[str, ...],
    case: str,
    seed: int,
    maxfail: int,
    json_path: Path | None,
    junit_path: Path | None,
    html_path: Path | None,
    coverage: bool,
    duration: str,
    state: Path | None,
    jobs: int | None,
    listing: bool,
) -> int:
    """Run the conformance suite on the backend NAME (or module:object).

    Exit status 0: clean; 1: a check failed, or the backend cannot be loaded, raises or crashes;
    2: the command line is wrong or a package that the suite needs is missing.
    """
    from convkit import conformance

    if listing:
        for found in conformance.CHECKS.values():
            click.echo(f"{found.name:22}{found.summary}")
        return 0
    if name is None:
        raise click.UsageError("Missing argument 'NAME'")
    files = {"--json": json_path, "--junit": junit_path, "--html": html_path, "--state": state}
    for option, path in files.items():
        check_writable(option, path)
    jobs = jobs or _one_per_core()
    if duration and html_path is not None:
        raise click.UsageError("--html is of a run of the suite, not of a search (--for)")
    if html_path is not None:
        rendering.engine()  # a missing package is noticed before the run
    if duration:
        return _search(name, duration, seed=seed, ops=ops, state=state, jobs=jobs, maxfail=maxfail)
    if state is not None:
        raise click.UsageError("--state is for a search; give --for TIME")
    narrowed = {"ops": ops, "dtypes": dtypes, "checks": checks, "case": case, "maxfail": maxfail}
    shown = _progress if sys.stderr.isatty() else None
    try:
        report = conformance.run(name, level, seed=seed, jobs=jobs, progress=shown, **narrowed)  # type: ignore[arg-type]
    except (BackendNotFoundError, ParameterError) as error:
        raise click.UsageError(str(error)) from error
    if coverage:
        from convkit.conformance.coverage import shares, table

        click.echo(table(shares(report.results, level, seed), every=True) + "\n")
    click.echo(report.text(name))
    if json_path is not None:
        write_text(json_path, report.to_json())
    if junit_path is not None:
        write_text(junit_path, report.to_junit())
    if html_path is not None:
        _write_page(report, name, html_path)
    return 0 if report.ok else 1


def _one_per_core() -> int:
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return min(len(usable) or os.cpu_count() or 1, MOST_JOBS)


def _search(name: str, duration: str, **options: Any) -> int:
    from convkit.conformance import search

    try:
        found = search.search(name, search.seconds_of(duration), **options)
    except (BackendNotFoundError, ParameterError) as error:
        raise click.UsageError(str(error)) from error
    click.echo(found.text())
    return 1 if found.failures or not found.counts["pass"] else 0


def _progress(result: Result) -> None:
    click.echo(f"\r{result.check:22}{result.op:16}", nl=False, err=True)


def _write_page(report: Report, name: str, path: Path) -> None:
    from convkit.bench import machine
    from convkit.report import conformance_page

    conformance_page.write(report, name, machine.describe(), path)
