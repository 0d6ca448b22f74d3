"""The files of a sweep: a table, each training's history, and two plots."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from convkit.report import plots
from convkit.training.sweeps import SweepResult


def write_tables(folder: Path, parameter: str, results: Sequence[SweepResult]) -> None:
    """Write ``sweep.csv`` and a ``history-<value>.csv`` for each training."""
    for result in results:
        result.history.to_csv(folder / f"history-{result.label}.csv")
    with open(folder / "sweep.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([parameter, "best_val_acc", "seconds", "stopped"])
        for result in results:
            writer.writerow(
                [result.label, result.best_val_acc, f"{result.seconds:.3f}", result.stopped or ""]
            )


def draw_sweep(folder: Path, parameter: str, results: Sequence[SweepResult]) -> None:
    """Draw ``loss.png`` and ``accuracy.png``."""
    losses, accuracies = {}, {}
    for result in results:
        history = result.history
        losses[result.label] = (range(1, len(history.losses) + 1), plots.smooth(history.losses))
        accuracies[result.label] = (history.accuracy_iterations, history.val_accs)
    draw = partial(plots.sweep_curves, over=parameter.replace("_", " "))
    plots.save(draw(losses, ylabel="loss"), folder / "loss.png")  # type: ignore[arg-type]
    plots.save(draw(accuracies, ylabel="validation accuracy"), folder / "accuracy.png")
