"""``convkit train``: train a network and write its report."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import numpy as np

from convkit import registry
from convkit.bench.comparison import speedup_rows, times
from convkit.bench.problems import Problem
from convkit.commands._backends import backend_rows, load_quietly, text_table
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
from convkit.exit_status import EXIT_INTERRUPTED
from convkit.models import Conv, MaxPool, archive
from convkit.models.placing import Place
from convkit.names import printable
from convkit.optional import require
from convkit.report.folders import NewFolder, check_free, new_folder
from convkit.report.page import REPORT_FILE, write_report
from convkit.report.record import Mistakes, RunRecord, save_learned, save_record
from convkit.training.checks import first_loss_remark
from convkit.training.data import Dataset, picture
from convkit.training.evaluation import confusion_matrix
from convkit.training.solver import Progress, Solver
from convkit.version import DISTRIBUTION

MOST_MISTAKES = 20
TIMED_OUTPUTS = 20_000
#: Packages that are used after training: a missing one must be reported before it.
NEEDED_LATER = ("safetensors", "jinja2")
PACKAGES = (
    DISTRIBUTION,
    "numpy",
    "pluggy",
    "click",
    "matplotlib",
    "scikit-learn",
    "safetensors",
)


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
            record = _record(
                options, settings, data, solver, started, seconds, backend.name, speeds
            )
            record.name = folder.final.name
            save_record(record, folder.work)
            _test(record, data, solver)
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
    counts = ", ".join(f"{count:,} {part}" for part, count in _counts(data).items())
    return f"{name}: {counts} images {shape} in {len(data['class_names'])} classes"


def _counts(data: Dataset) -> dict[str, int]:
    """The number of images in each part."""
    return {
        "training": len(data["y_train"]),
        "validation": len(data["y_val"]),
        "test": len(data["y_test"]),
    }


def _speeds(settings: Mapping[str, Any], data: Dataset, chosen: str) -> list[dict[str, Any]]:
    """Every built-in backend and the chosen one, timed on the network's first layer.

    A network without convolutions has no rows.
    """
    builtin = [record.name for record in registry.backends() if record.builtin]
    names = load_quietly(dict.fromkeys([*builtin, chosen]))
    problems = _timed_problems(layers_of(settings, data), settings["batch_size"])
    return speedup_rows(problems, names, settings["dtype"], rounds=3)


def _timed_problems(layers: Sequence[Place], batch_size: int) -> list[Problem]:
    """The first convolution, and a pool after it where the network has one.

    The naive loops take some 10 µs for each output, so a problem has about TIMED_OUTPUTS of them:
    few images, and a crop of each where two whole ones have more.
    """
    first, *others = layers
    conv = first.layer
    if not isinstance(conv, Conv):
        return []
    filters, *size = first.out_shape
    images = int(np.clip(TIMED_OUTPUTS // (filters * math.prod(size)), 2, max(2, batch_size)))
    cropped = _crop(size, TIMED_OUTPUTS / (images * filters))
    channels, *x_size = first.shape
    least = int(np.max(conv.kernel))
    crop = [
        min(n, max(least, n * part // whole))
        for n, part, whole in zip(x_size, cropped, size, strict=True)
    ]
    geometry: Any = (conv.kernel, conv.stride, conv.pad)  # of these networks: one for all axes
    problems = [Problem("conv", "conv", (images, channels, *crop), filters, *geometry)]
    if any(isinstance(place.layer, MaxPool) for place in others):
        shape = (images, filters, *cropped)
        problems.append(Problem("pool", "max", shape, filters, 2, stride=2, pad=0))
    return problems


def _crop(size: Sequence[int], pixels: float) -> list[int]:
    """Return sizes of at most ``size`` and at least 2 with about so many pixels, near a square."""
    cropped = list(size)
    for done, axis in enumerate(np.argsort(size)):
        side = int(max(pixels, 1) ** (1 / (len(size) - done)))
        cropped[axis] = min(size[axis], max(2, side))
        pixels /= cropped[axis]
    return cropped


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


def _record(
    options: TrainOptions,
    settings: dict[str, Any],
    data: Dataset,
    solver: Solver,
    started: datetime,
    seconds: float,
    backend: str,
    speeds: list[dict[str, Any]],
) -> RunRecord:
    """Gather everything the report shows but the results of the test."""
    classes = list(data["class_names"])
    model: Any = solver.model
    return RunRecord(
        name="",
        started=f"{started:%Y-%m-%d %H:%M}",
        seconds=seconds,
        stopped=solver.stopped,
        backend=backend,
        settings=settings,
        data={
            "name": printable(options.data),
            "shape": "×".join(map(str, data["X_train"].shape[1:])),
            **_counts(data),
        },
        classes=classes,
        results={
            "best_val_acc": float(solver.best_val_acc),
            "images_per_second": solver.iteration * settings["batch_size"] / seconds,
            "parameters": sum(value.size for value in model.params.values()),
        },
        confusion=np.zeros((len(classes), len(classes)), np.int64).tolist(),
        backends=backend_rows(),
        speedups=speeds,
        versions=_versions(),
        history=solver.history,
        weights=model.params | model.buffers,
        metadata=archive.metadata(model),
    )


def _test(record: RunRecord, data: Dataset, solver: Solver) -> None:
    """Test the network, and put the results into the record."""
    true = data["y_test"]
    # Where training diverged, the weights may be too large for what is computed with them.
    with np.errstate(over="ignore", invalid="ignore"):
        predicted = solver.predict(data["X_test"])
    wrong = np.flatnonzero(true != predicted)[:MOST_MISTAKES]
    record.results = {"test_acc": float(np.mean(true == predicted)), **record.results}
    record.confusion = confusion_matrix(true, predicted, len(record.classes)).tolist()
    record.mistakes = Mistakes(picture(data, data["X_test"][wrong]), true[wrong], predicted[wrong])


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _result_line(record: RunRecord) -> str:
    return (
        f"Test accuracy: {record.results['test_acc']:.4f} "
        f"(best validation accuracy {record.results['best_val_acc']:.4f}, "
        f"{record.seconds:.1f} s of training)"
    )
