"""One page for several trainings: a curve and a line of numbers for each, and which was best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convkit.files import write_text
from convkit.report import plots
from convkit.report.page import Picture, draw
from convkit.report.record import RunRecord
from convkit.report.rendering import fill
from convkit.training.history import History

__all__ = ["Training", "best_of", "differing", "trainings_of", "write_comparison"]


@dataclass(frozen=True)
class Training:
    """One training among others.

    ``settings`` are those that differ, ``numbers`` its results, both as text by name. ``score`` is
    the accuracy by which the best is found, None where it has none.
    """

    label: str
    settings: dict[str, str]
    numbers: dict[str, str]
    history: History
    score: float | None
    note: str = ""


@dataclass
class Words:
    """What a page says: its kind, its heading, and its legend's title."""

    kind: str
    title: str
    over: str
    lead: str = ""
    footer: str = field(default="")


def best_of(trainings: Sequence[Training]) -> Training | None:
    """Return the training with the highest score, the first of equals; None where none has one."""
    scored = [training for training in trainings if training.score is not None]
    return max(scored, key=lambda training: training.score or 0.0, default=None)


def curves(trainings: Sequence[Training], over: str) -> list[Picture]:
    """The pictures of the losses and of the validation accuracies."""
    losses: dict[str, Any] = {
        t.label: (range(1, len(t.history.losses) + 1), plots.smooth(t.history.losses))
        for t in trainings
    }
    accuracies: dict[str, Any] = {
        t.label: (t.history.accuracy_iterations, t.history.val_accs)
        for t in trainings
        if t.history.val_accs
    }
    best = best_of(trainings)
    name = None if best is None else best.label
    return [
        draw(
            "loss",
            "Loss",
            "Curves of the training loss over iterations, one for each training",
            "Moving average of the loss of each mini-batch.",
            lambda theme: plots.sweep_curves(losses, over, "loss", theme, best=name),
        ),
        draw(
            "accuracy",
            "Validation accuracy",
            "Curves of the validation accuracy over iterations, one for each training",
            "Measured after each epoch; the best training is the bold one.",
            lambda theme: plots.sweep_curves(
                accuracies, over, "validation accuracy", theme, best=name
            ),
        ),
    ]


def write_comparison(path: Path, words: Words, trainings: Sequence[Training]) -> list[Picture]:
    """Write the page; return its pictures, of which some may not have been drawn."""
    drawn = curves(trainings, words.over)
    columns = list(dict.fromkeys(key for training in trainings for key in training.settings))
    numbers = list(dict.fromkeys(key for training in trainings for key in training.numbers))
    page = fill(
        "comparison.html.j2",
        words=words,
        trainings=trainings,
        best=best_of(trainings),
        columns=columns,
        numbers=numbers,
        pictures={picture.name: picture for picture in drawn},
    )
    write_text(path, page)
    return drawn


def differing(records: Sequence[RunRecord]) -> list[str]:
    """Return the names of the settings that are not the same in all runs."""
    names = dict.fromkeys(name for record in records for name in record.settings)
    return [name for name in names if len({repr(r.settings.get(name)) for r in records}) > 1]


def trainings_of(records: Sequence[RunRecord], labels: Sequence[str]) -> list[Training]:
    """Return runs as trainings; the best is found by validation, never by the test images.

    Runs on different data have none that is best.
    """
    names = differing(records)
    same_data = all(record.data == records[0].data for record in records)
    found = []
    for record, label in zip(records, labels, strict=True):
        results = record.results
        numbers = {
            "test accuracy": _share(results.get("test_acc")),
            "best validation": _share(results.get("best_val_acc")),
            "iterations": f"{len(record.history.losses):,}",
            "time": f"{record.seconds:.1f} s",
            "parameters": f"{int(results['parameters']):,}",
        }
        own = {name: record.settings.get(name) for name in names}
        settings = {name: "–" if value is None else str(value) for name, value in own.items()}
        score = results.get("best_val_acc") if same_data else None
        note = record.stopped or ""
        found.append(Training(label, settings, numbers, record.history, score, note))
    return found


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
