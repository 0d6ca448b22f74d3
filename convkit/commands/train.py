"""``convkit train``: train a network and write its report."""

from __future__ import annotations

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
    complete,
    layers_of,
    limit_threads,
    load,
    make_solver,
    settings_of,
)
from convkit.commands._keep import Keeper
from convkit.commands._options import TrainOptions, flag, given_options, training_options
from convkit.commands._progress import on_terminal, progress_bar
from convkit.commands._resume import check_same_data, resumed_options, take_up
from convkit.commands._signals import stopping
from convkit.commands._tables import text_table
from convkit.errors import DataError
from convkit.models import archive
from convkit.names import printable
from convkit.optional import require
from convkit.report.evaluation import add_test, data_counts, record_of, versions
from convkit.report.folders import NewFolder, alone_in, check_free, new_folder
from convkit.report.page import REPORT_FILE, write_report
from convkit.report.record import UNFINISHED, RunRecord, load_record, save_record
from convkit.selection.overview import backend_rows, load_quietly
from convkit.training.checks import first_loss_remark, rising_loss_remark
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
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with the run in this folder, with its options; how long it runs may be changed.",
)
@click.option(
    "--override", is_flag=True, help="With --resume: go on with other options that are given."
)
def train(options: TrainOptions, speedups: bool, resume: Path | None, override: bool) -> int:
    """Train a network and write a report of it.

    Options that are not given take values that suit the data set. The run's folder holds what was
    learned after every epoch. Ctrl-C and SIGTERM end training early, keep what was learned and exit
    130 and 143; a second one leaves the report out.
    """
    for package in NEEDED_LATER:
        require(package, "convkit train")
    if resume is not None:
        with alone_in(_existing(resume)):
            record = load_record(resume)
            options = resumed_options(options, given_options(), record, override=override)
            data = load(options)
            check_same_data(record, data, override=override)
            return _resume(options, data, record, resume, override)
    if override:
        raise click.UsageError("--override needs --resume, or leave it out")
    settings = settings_of(options)
    check_free(options.out, options.name)
    data = load(options)
    settings = complete(settings, data)
    backend = choose_backend(settings, data)
    solver = make_solver(settings, data, verbose=not on_terminal())
    click.echo(_data_line(printable(options.data), data))
    speeds = _speeds(settings, data, backend.name) if speedups else []
    click.echo(_backend_table(backend.name, speeds))

    # The folder is reserved before training: a failure afterwards would lose what was learned.
    with new_folder(options.out, options.name, Path(options.data).stem or "run") as folder:
        record = record_of(
            solver,
            data,
            started=datetime.now(),
            seconds=0.0,
            settings=settings,
            backend=backend.name,
            backends=backend_rows(),
            speedups=speeds,
            metadata=archive.metadata(_network(solver)),
        )
        record.name = folder.final.name
        with alone_in(folder.work):
            return _run(solver, data, record, folder, limit_threads(settings, backend))


def _existing(run: Path) -> Path:
    if not run.is_dir():
        raise DataError(f"RUN (={str(run)!r}) must be a run's folder, but there is none")
    return run


def _resume(
    options: TrainOptions, data: Dataset, record: RunRecord, run: Path, override: bool
) -> int:
    """Go on with a run in its folder."""
    settings = complete(settings_of(options), data)
    backend = choose_backend(settings, data)
    solver = make_solver(settings, data, verbose=not on_terminal())
    click.echo(_data_line(printable(options.data), data))
    click.echo(take_up(solver, run, record, override=override))
    for name in sorted({*settings, *record.settings}):
        before, now = record.settings.get(name), settings.get(name)
        if before != now:
            click.echo(f"{flag(name)} is {now} from here on; it was {before}")
    record.settings, record.backend, record.versions = settings, backend.name, versions()
    folder = NewFolder(run, run, worth_keeping=True)
    return _run(solver, data, record, folder, limit_threads(settings, backend))


def _network(solver: Solver) -> Any:
    return solver.model


def _run(solver: Solver, data: Dataset, record: RunRecord, folder: NewFolder, threads: Any) -> int:
    """Train, keep what was learned, and write the report; return the exit status."""
    record.stopped = UNFINISHED
    with stopping() as signals:
        keeper = Keeper(folder, record, signals, solver)
        status = 0
        try:
            with threads:
                _train(solver, len(data["class_names"]), keeper)
        except KeyboardInterrupt:
            status = signals.status
            click.echo("\nInterrupted: keeping what was learned.")
        except Exception:
            folder.worth_keeping = folder.worth_keeping or keeper.steps > 0
            raise
        folder.worth_keeping = True
        record.stopped = solver.stopped or UNFINISHED
        try:
            keeper.save()
            folder.publish()
            record.stopped = solver.stopped
            add_test(record, data, solver)
            _report(record, folder)
        except KeyboardInterrupt:
            click.echo(f"\nInterrupted: no report; what was learned is in {folder.final}")
            return signals.status
        except Exception:
            click.echo(f"No report; what was learned is in {folder.final}", err=True)
            raise
    click.echo(f"Report: {folder.final / REPORT_FILE}")
    return status


def _report(record: RunRecord, folder: NewFolder) -> None:
    """Print the result, and write the record with its report."""
    if record.stopped == "diverged":
        click.echo("Training diverged and was stopped; a smaller --learning-rate may help.")
    if record.stopped == "early":
        click.echo("Stopped early: the validation accuracy no longer rose.")
    remark = rising_loss_remark(record.history.losses)
    if remark is not None:
        click.echo(remark)
    click.echo(_result_line(record))
    save_record(record, folder.work)
    for problem in write_report(record, folder.work):
        click.echo(f"A picture could not be drawn: {problem}", err=True)


def _train(solver: Solver, classes: int, keeper: Keeper) -> None:
    """Train, with a progress bar on a terminal."""
    solver.callbacks.all.append(keeper)  # the last one, so that what it writes is complete
    with progress_bar() if on_terminal() else nullcontext() as draw:
        solver.on_step = _remarking(classes, draw)
        solver.train()


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
    best = record.results.get("best_val_acc")
    validation = "" if best is None else f"best validation accuracy {best:.4f}, "
    return (
        f"Test accuracy: {record.results['test_acc']:.4f} "
        f"({validation}{record.seconds:.1f} s of training)"
    )
