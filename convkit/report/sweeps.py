"""The files of a sweep: two plots, a table, and each training's history."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from convkit.report import plots
from convkit.training.sweeps import SweepResult


def write_sweep(folder: Path, parameter: str, results: Sequence[SweepResult]) -> None:
    """Write ``loss.png``, ``accuracy.png``, ``sweep.csv`` and a ``history-<value>.csv`` each."""
    losses, accuracies = {}, {}
    for result in results:
        history = result.history
        losses[result.label] = (range(1, len(history.losses) + 1), plots.smooth(history.losses))
        accuracies[result.label] = (history.accuracy_iterations, history.val_accs)
        history.to_csv(folder / f"history-{result.label}.csv")
    draw = partial(plots.sweep_curves, over=parameter.replace("_", " "))
    plots.save(draw(losses, ylabel="loss"), folder / "loss.png")  # type: ignore[arg-type]
    plots.save(draw(accuracies, ylabel="validation accuracy"), folder / "accuracy.png")
    with open(folder / "sweep.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([parameter, "best_val_acc", "seconds", "stopped"])
        for result in results:
            writer.writerow(
                [result.label, result.best_val_acc, f"{result.seconds:.3f}", result.stopped or ""]
            )
