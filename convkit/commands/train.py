"""``convkit train``: train a network and write its report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from convkit import registry
from convkit.bench.comparison import speedup_rows, times
from convkit.bench.network import first_layer_problems
from convkit.commands._build import (
    choose_backend,
    layers_of,
    limit_threads,
    load,
    make_solver,
    settings_of,
)
from convkit.commands._options import TrainOptions, training_options
from convkit.commands._progress import on_terminal, progress_bar
from convkit.commands._tables import text_table
from convkit.exit_status import EXIT_INTERRUPTED
from convkit.models import archive
from convkit.names import printable
from convkit.optional import require
from convkit.report.evaluation import add_test, data_counts, record_of
from convkit.report.folders import NewFolder, check_free, new_folder
from convkit.report.page import REPORT_FILE, write_report
from convkit.report.record import RunRecord, save_learned, save_record
from convkit.selection.overview import backend_rows, load_quietly
from convkit.training.checks import first_loss_remark
from convkit.training.data import Dataset
from convkit.training.solver import Progress, Solver

#: Packages that are used after training: a missing one must be reported before it.
NEEDED_LATER = ("safetensors", "jinja2")


@click.command()
@training_options
@click.option(
    "--speedups/--no-speedups",
    default=True,
    show_default=True,
    help="Time the backends on the network's first layer before training.",
)
def train(options: TrainOptions, speedups: bool) -> int:
    """Train a network and write a report of it.

    Options that are not given take values that suit the data set. Ctrl-C ends training early and
    keeps what was learned; a second one leaves the report out.
    """
    settings = settings_of(options)
    check_free(options.out, options.name)
    for package in NEEDED_LATER:
        require(package, "convkit train")
    data = load(options)
    backend = choose_backend(settings, data)
    solver, on_tty = _solver(settings, data)
    click.echo(_data_line(printable(options.data), data))
    speeds = _speeds(settings, data, backend.name) if speedups else []
    click.echo(_backend_table(backend.name, speeds))

    # The folder is reserved before training: a failure afterwards would lose what was learned.
    with new_folder(options.out, options.name, Path(options.data).stem or "run") as folder:
        started = datetime.now()
        start = time.perf_counter()
        with limit_threads(settings, backend):
            _train(solver, on_tty, len(data["class_names"]))
        seconds = time.perf_counter() - start
        model: Any = solver.model
        try:
            save_learned(
                folder.final.name,
                solver.history,
                model.params | model.buffers,
                folder.work,
                archive.metadata(model),
            )
            folder.worth_keeping = True
            record = record_of(
                solver,
                data,
                started=started,
                seconds=seconds,
                settings=settings,
                backend=backend.name,
                backends=backend_rows(),
                speedups=speeds,
                metadata=archive.metadata(model),
            )
            record.name = folder.final.name
            save_record(record, folder.work)
            add_test(record, data, solver)
            _report(record, folder)
        except KeyboardInterrupt:
            click.echo(f"\nInterrupted: no report; what was learned is in {folder.final}")
            return EXIT_INTERRUPTED
        except Exception:
            if folder.worth_keeping:
                click.echo(f"No report; what was learned is in {folder.final}", err=True)
            raise
    click.echo(f"Report: {folder.final / REPORT_FILE}")
    return 0


def _report(record: RunRecord, folder: NewFolder) -> None:
    """Print the result, and write the record with its report."""
    if record.stopped == "diverged":
        click.echo("Training diverged and was stopped; a smaller --learning-rate may help.")
    click.echo(_result_line(record))
    save_record(record, folder.work)
    for problem in write_report(record, folder.work):
        click.echo(f"A picture could not be drawn: {problem}", err=True)


def _solver(settings: Mapping[str, Any], data: Dataset) -> tuple[Solver, bool]:
    """The solver, and whether a progress bar replaces its lines."""
    on_tty = on_terminal()
    return make_solver(settings, data, verbose=not on_tty), on_tty


def _train(solver: Solver, on_tty: bool, classes: int) -> None:
    """Train; an interruption ends it early."""
    try:
        with progress_bar() if on_tty else nullcontext() as draw:
            solver.on_step = _remarking(classes, draw)
            solver.train()
    except KeyboardInterrupt:
        click.echo("\nInterrupted: keeping what was learned.")


def _remarking(classes: int, then: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
    """Return a function for ``on_step`` that remarks on a first loss that is too large."""

    def on_step(progress: Progress) -> None:
        remark = first_loss_remark(progress.loss, classes) if progress.iteration == 1 else None
        if remark is not None:
            click.echo(remark)
        if then is not None:
            then(progress)

    return on_step


def _data_line(name: str, data: Dataset) -> str:
    shape = "x".join(map(str, data["X_train"].shape[1:]))
    counts = ", ".join(f"{count:,} {part}" for part, count in data_counts(data).items())
    return f"{name}: {counts} images {shape} in {len(data['class_names'])} classes"


def _speeds(settings: Mapping[str, Any], data: Dataset, chosen: str) -> list[dict[str, Any]]:
    """Every built-in backend and the chosen one, timed on the network's first layer."""
    builtin = [record.name for record in registry.backends() if record.builtin]
    names = load_quietly(dict.fromkeys([*builtin, chosen]))
    problems = first_layer_problems(layers_of(settings, data), settings["batch_size"])
    return speedup_rows(problems, names, settings["dtype"], rounds=3)


def _backend_table(chosen: str, speeds: list[dict[str, Any]]) -> str:
    """State of each backend and, per operation, its speed as a multiple of naive."""
    operations = list(dict.fromkeys(row["operation"] for row in speeds))
    factor = {(row["backend"], row["operation"]): times(row["speedup"]) for row in speeds}
    rows = []
    for row in backend_rows():
        mark = "* " if row["name"] == chosen else "  "
        cells = [factor.get((row["name"], operation), "-") for operation in operations]
        rows.append([mark + row["name"], row["state"], *cells])
    table = text_table(["  backend", "state", *operations], rows, numbers=len(operations))
    legend = f"* trains this network{'; speeds are multiples of naive' if operations else ''}"
    return f"{table}\n{legend}"


def _result_line(record: RunRecord) -> str:
    return (
        f"Test accuracy: {record.results['test_acc']:.4f} "
        f"(best validation accuracy {record.results['best_val_acc']:.4f}, "
        f"{record.seconds:.1f} s of training)"
    )
