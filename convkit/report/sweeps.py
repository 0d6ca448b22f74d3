"""The files of a sweep: a table, each training's history, two plots, a page, the best weights."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convkit.files import write_bytes, write_text
from convkit.report.comparison import Training, Words, write_comparison
from convkit.tensors import WEIGHTS_FILE, save_weights
from convkit.training.sweeps import SweepResult, label_of

PAGE_FILE = "sweep.html"


def write_tables(
    folder: Path, parameter: str | Sequence[str], results: Sequence[SweepResult]
) -> None:
    """Write ``sweep.csv`` and a ``history-<value>.csv`` for each training.

    ``parameter`` is what the sweep varies, one or several.
    """
    for result in results:
        name = re.sub(r"[^A-Za-z0-9._+=,-]+", "_", result.label)
        result.history.to_csv(folder / f"history-{name}.csv")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    parameters = [parameter] if isinstance(parameter, str) else list(parameter)
    writer.writerow([*parameters, "best_val_acc", "seconds", "stopped"])
    for result in results:
        numbers = result.best_val_acc, f"{result.seconds:.3f}", result.stopped or ""
        writer.writerow([*_values(parameters, result).values(), *numbers])
    write_text(folder / "sweep.csv", text.getvalue())


def save_best(folder: Path, results: Sequence[SweepResult]) -> SweepResult | None:
    """Write the weights of the best training, and return it; None where none has any."""
    best = max(results, key=lambda result: result.best_val_acc, default=None)
    if best is None or not best.weights:
        return best
    save_weights(folder / WEIGHTS_FILE, best.weights, {**best.metadata, "run": best.label})
    return best


def draw_sweep(
    folder: Path, parameter: str | Sequence[str], results: Sequence[SweepResult]
) -> list[str]:
    """Draw ``loss.png``, ``accuracy.png`` and ``sweep.html``.

    Returns a line for each picture that could not be drawn.
    """
    parameters = [parameter] if isinstance(parameter, str) else list(parameter)
    over = ", ".join(name.replace("_", " ") for name in parameters)
    trainings = [
        Training(
            label=result.label,
            settings={},  # the label says it
            numbers={
                "best validation": f"{result.best_val_acc:.2%}",
                "iterations": f"{len(result.history.losses):,}",
                "time": f"{result.seconds:.1f} s",
            },
            history=result.history,
            score=result.best_val_acc,
            note=result.stopped or "",
        )
        for result in results
    ]
    words = Words(
        kind="convkit sweep",
        title=f"Sweep over {over}",
        over=over,
        lead=f"{len(results)} trainings, alike in all but this.",
        footer=(
            "The same numbers are in sweep.csv and the histories of this folder; "
            f"{WEIGHTS_FILE} is the best training's network."
        ),
    )
    drawn = write_comparison(folder / PAGE_FILE, words, trainings)
    for picture in drawn:
        if not picture.problem:
            write_bytes(folder / f"{picture.name}.png", picture.light)
    return [f"{picture.title}: {picture.problem}" for picture in drawn if picture.problem]


def _values(parameters: Sequence[str], result: SweepResult) -> dict[str, str]:
    """Return the value of each parameter as text."""
    if isinstance(result.value, Mapping):
        value: Mapping[str, Any] = result.value
        return {name: label_of(value[name]) for name in parameters}
    return {parameters[0]: result.label}
