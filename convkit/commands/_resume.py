"""``--resume``: the options of a run that goes on, and what may differ from what it began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from convkit.commands._build import settings_of
from convkit.commands._options import RULE_OPTIONS, TrainOptions, check_together, flag
from convkit.errors import DataError
from convkit.names import printable
from convkit.report.evaluation import data_counts
from convkit.report.page import REPORT_FILE
from convkit.report.record import RESUME_FILE, UNFINISHED, RunRecord
from convkit.training.data import Dataset
from convkit.training.solver import Solver

__all__ = ["FREE", "check_same_data", "resumed_options", "take_up"]

FREE = ("epochs", "iterations", "threads", "backend", "print_every")
"""Settings that may differ: they change how far a run goes, or how it is computed and shown."""


def resumed_options(
    options: TrainOptions, given: frozenset[str], record: RunRecord, *, override: bool
) -> TrainOptions:
    """Return the options of a run, with those that are given in place of the run's own.

    Raises click.UsageError where one that is given differs from the run's and may not.
    """
    for name in ("out", "name"):
        if name in given:
            raise click.UsageError(f"{flag(name)} is for a new run; --resume goes on in its folder")
    stored = _stored(record.settings, given)
    asked = {name: getattr(options, name) for name in given}
    merged = replace(stored, out=options.out, name=None, **asked)
    check_together(merged)
    settings = settings_of(merged)
    for name in sorted({*settings, *record.settings} - {*FREE}):
        before, now = record.settings.get(name), settings.get(name)
        if before == now or override:
            continue
        raise click.UsageError(
            f"{flag(name)} (={printable(str(now))}) is {printable(str(before))} in the run; leave "
            "it out, or give --override to go on with it"
        )
    return merged


def _stored(settings: Mapping[str, Any], given: frozenset[str]) -> TrainOptions:
    """Return a run's settings as options, less those that go with what is given in their place."""
    names = [f.name for f in fields(TrainOptions)]
    values: dict[str, Any] = {name: settings.get(name) for name in names}
    if values["data_dir"] is not None:
        values["data_dir"] = Path(values["data_dir"])
    if {"epochs", "iterations"} & given:
        values["epochs"] = values["iterations"] = None
    if "update_rule" in given:
        values |= dict.fromkeys(RULE_OPTIONS)
    if "schedule" in given or values["schedule"] is not None:
        values["lr_decay"] = None
    if "lr_decay" in given:
        values["schedule"] = values["warm_up"] = None
    return TrainOptions(**values)


def check_same_data(record: RunRecord, data: Dataset, *, override: bool) -> None:
    """Raise DataError where the data is no longer what the run began with.

    With ``override`` its images may be others, but not their shape and not their classes.
    """
    found = {"shape": "×".join(map(str, data["X_train"].shape[1:])), **data_counts(data)}
    for name, value in found.items():
        before = record.data.get(name)
        if value != before and (name == "shape" or not override):
            what = "images' shape" if name == "shape" else f"number of {name} images"
            raise DataError(
                f"{record.data['name']}: the {what} is {value}, and was {before} in the run"
            )
    if list(data["class_names"]) != record.classes:
        raise DataError(f"{record.data['name']}: the classes are not those of the run")


def take_up(solver: Solver, run: Path, record: RunRecord, *, override: bool) -> str:
    """Load a run's state into a solver, and return a line on where it goes on.

    Raises click.UsageError where nothing is left to do. (A run that was killed after its last step
    still lacks its report.)
    """
    if not (run / RESUME_FILE).is_file():
        raise DataError(f"RUN (={str(run)!r}) must hold a {RESUME_FILE}, from which it goes on")
    solver.resume(run / RESUME_FILE, override=override)
    for left in run.glob(".*.tmp"):  # of files that were being written when the run was killed
        left.unlink()
    complete = record.stopped != UNFINISHED and (run / REPORT_FILE).exists()
    if solver.iteration >= solver.num_iterations and complete:
        raise click.UsageError(
            f"--resume (={str(run)!r}): the run has done its {solver.iteration} iterations; give "
            "more --epochs or --iterations"
        )
    return f"{run} goes on after iteration {solver.iteration} of {solver.num_iterations}"
