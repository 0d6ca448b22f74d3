"""``convkit bench``: times of backends, compared with each other, a peer and the machine's peak."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from convkit import registry
from convkit.bench import machine, problems, tables
from convkit.bench.apart import apart
from convkit.bench.problems import Problem
from convkit.bench.runner import run
from convkit.bench.subjects import Ours, subjects
from convkit.bench.timing import Effort, Row
from convkit.commands._types import check_writable
from convkit.errors import ParameterError
from convkit.selection.overview import load_quietly

DTYPES = ("float32", "float64")


def _default_threads() -> int:
    return len(machine.usable_cpus())


@click.command()
@click.argument("backends", nargs=-1)
@click.option(
    "--set",
    "chosen",
    default="quick",
    show_default=True,
    help="A set (course, quick, full, axes) or a shape, or several with commas.",
)
@click.option(
    "--networks",
    "whole",
    is_flag=True,
    help="Instead: whole networks, a training step and inference, each library in a process of its "
    "own, beside PyTorch where it is installed. --set names networks; otherwise all.",
)
@click.option(
    "--variants",
    is_flag=True,
    help="With --networks: PyTorch with channels_last and compiled by torch.compile, too.",
)
@click.option(
    "--others",
    is_flag=True,
    help="Instead: the operations beyond convolution and pooling, one backend against PyTorch.",
)
@click.option("--vs", type=click.Choice(["torch"]), help="A peer to time beside the backends.")
@click.option("--dtype", type=click.Choice([*DTYPES, "both"]), default="both", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads; otherwise one per core.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True)
@click.option(
    "--sweeps",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Go through all problems this many times and divide the rounds among the sweeps: for "
    "machines that are slow for a minute now and then.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Also write a Markdown page with plots here (a .md file); with --networks, a section of "
    "such a page.",
)
@click.option(
    "--scaling/--no-scaling",
    default=True,
    show_default=True,
    help="With --report: also time a training step, and how speed scales.",
)
def bench(
    backends: tuple[str, ...],
    chosen: str,
    whole: bool,
    variants: bool,
    others: bool,
    vs: str | None,
    dtype: str,
    threads: int | None,
    rounds: int,
    sweeps: int,
    as_json: bool,
    report: Path | None,
    scaling: bool,
) -> None:
    """Time BACKENDS (otherwise cython and im2col_numpy) on the layers of well-known networks.

    They take turns on the same arrays, new ones each round. A backend that gives a wrong result, a
    gradient included, before or after it was timed, is named and gets no figures. x torch is
    PyTorch's time divided by the backend's.

    With --vs and with --networks each library has a process of its own, which sleeps while another
    is asked, because the threads of two in one process disturb each other.
    """
    if whole and others:
        raise click.UsageError("--networks and --others are two runs: choose one")
    if variants and not whole:
        raise click.UsageError("--variants goes with --networks")
    if others:
        _others(backends, dtype, threads, rounds, as_json)
        return
    if sweeps > rounds:
        raise click.UsageError(f"--sweeps (={sweeps}) must not be above --rounds (={rounds})")
    if report is not None:
        _check_report(report)
    if whole:
        source = click.get_current_context().get_parameter_source("chosen")
        given = None if source is ParameterSource.DEFAULT else chosen
        effort = Effort(rounds=rounds, sweeps=sweeps)
        _networks(backends, given, vs, variants, dtype, threads, effort, as_json, report)
        return
    try:
        wanted = problems.chosen(chosen)
    except ParameterError as error:
        raise click.UsageError(f"--{error}") from error
    names = list(backends) or load_quietly(["cython", "im2col_numpy"])
    taking_part = subjects(names, vs)
    dtypes = DTYPES if dtype == "both" else (dtype,)
    count = threads or _default_threads()
    effort = Effort(rounds=rounds, sweeps=sweeps)
    rows: list[Row] = []
    with machine.blas_threads(count):
        step = _progress(len(dtypes) * len(wanted) * sweeps)

        def named(problem: Problem, dtype: str) -> None:
            step(f"{problem.name} {dtype}")

        with apart(taking_part, count) if vs else nullcontext(taking_part) as sides:
            for part in run(wanted, sides, dtypes, count, effort, on_step=named):
                rows += part
        extra: dict[str, Any] = {}
        if report is not None and scaling:
            from convkit.bench import scaling as curves
            from convkit.bench import training_step

            extra["training"] = training_step.training_rows(taking_part, rounds)
            extra["scaling"] = curves.scaling(taking_part, count, effort)
            extra["threads"] = curves.thread_rows(taking_part, rows, count, rounds)
    _end_progress()
    facts = {**machine.describe(), "threads": count, "peak_source": machine.Yardsticks().source}
    facts |= {"rounds": rounds, "sweeps": sweeps}
    facts["backends"] = _infos(taking_part)
    if report is not None:
        from convkit.bench import page  # matplotlib is needed for its plots alone

        page.write(report, facts, rows, extra)
    if as_json:
        click.echo(json.dumps({"machine": facts, "rows": [r.as_dict() for r in rows]}, indent=1))
    else:
        click.echo(f"{facts['cpu']} ({facts['vectors']}), {facts['date']}")
        click.echo(tables.text(rows))


def _check_report(report: Path) -> None:
    """Make the page's folder, and refuse before the measurements what cannot be written."""
    if not report.suffix:
        raise click.UsageError(f"--report {report} must be a .md file: its plots go to {report}/")
    report.parent.mkdir(parents=True, exist_ok=True)
    check_writable("--report", report)


def _networks(
    backends: tuple[str, ...],
    chosen: str | None,
    vs: str | None,
    variants: bool,
    dtype: str,
    threads: int | None,
    effort: Effort,
    as_json: bool,
    report: Path | None,
) -> None:
    """Time whole networks, print their table, and write their section of the page."""
    from convkit.bench import network_runs, network_tables, networks

    try:
        wanted = networks.chosen(chosen)
        peers = network_runs.peers(vs, variants)
    except ParameterError as error:
        raise click.UsageError(f"--{error}") from error
    usual = ["cython", "cython_fast"] if peers else ["cython", "cython_fast", "im2col_numpy"]
    names = list(backends) or load_quietly(usual) or load_quietly(["im2col_numpy"])
    for name in names:
        registry.load(name)  # what cannot be loaded is said before anything is timed
    dtypes = DTYPES if dtype == "both" else (dtype,)
    count = threads or _default_threads()
    step = _progress(len(dtypes) * len(wanted) * effort.sweeps)
    try:
        found = network_runs.run(wanted, [*names, *peers], dtypes, count, effort, on_step=step)
    finally:
        _end_progress()
    facts = {**machine.describe(), "threads": count, "rounds": effort.rounds}
    if report is not None:
        network_tables.write(report, facts, found.rows, found.left_out)
    if as_json:
        rows = [row.as_dict() for row in found.rows]
        click.echo(
            json.dumps({"machine": facts, "rows": rows, "left_out": found.left_out}, indent=1)
        )
    else:
        click.echo(f"{facts['cpu']} ({facts['vectors']}), {count} threads, {facts['date']}")
        click.echo(network_tables.text(found.rows, found.left_out))


def _others(
    backends: tuple[str, ...], dtype: str, threads: int | None, rounds: int, as_json: bool
) -> None:
    """Time and print the table of the other operations."""
    from convkit.bench import others

    if len(backends) > 1:
        raise click.UsageError(f"--others takes one backend, not {len(backends)}")
    (name,) = backends or load_quietly(["cython", "im2col_numpy"])[:1]
    (subject,) = subjects([name])
    count = threads or _default_threads()
    subject.set_num_threads(count)
    with machine.blas_threads(count):
        rows = others.run(name, DTYPES if dtype == "both" else (dtype,), count, rounds)
    facts = {**machine.describe(), "threads": count, "rounds": rounds}
    if as_json:
        click.echo(json.dumps({"machine": facts, "rows": [r.as_dict() for r in rows]}, indent=1))
    else:
        click.echo(f"{facts['cpu']} ({facts['vectors']}), {count} threads, {facts['date']}")
        click.echo(others.text(rows))


def _infos(taking_part: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for subject in taking_part:
        if isinstance(subject, Ours):
            info = getattr(subject.backend, "info", dict)
            found[subject.name] = info()
    return found


def _progress(total: int) -> Callable[[str], None]:
    """A function that counts steps up to ``total`` on a terminal."""
    steps = itertools.count(1)

    def step(what: str) -> None:
        done = next(steps)
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{done}/{total} {what}", err=True, nl=False)

    return step


def _end_progress() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
