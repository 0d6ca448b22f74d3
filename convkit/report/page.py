"""The HTML report: one self-contained file without scripts or network access."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from convkit.files import write_bytes, write_text
from convkit.report import plots
from convkit.report.record import Mistakes, RunRecord
from convkit.report.rendering import fill
from convkit.report.theme import DARK, LIGHT, Theme
from convkit.training.checks import rising_loss_remark

Draw: TypeAlias = Callable[[Theme], Figure]

REPORT_FILE = "report.html"


@dataclass(frozen=True)
class Picture:
    """One picture of the report, drawn for a light and for a dark page.

    Where it could not be drawn, ``problem`` says why.
    """

    name: str
    title: str
    alt: str
    caption: str
    light: bytes = b""
    dark: bytes = b""
    problem: str = ""

    @property
    def light_uri(self) -> str:
        """The light picture as a data URI."""
        return _data_uri(self.light)

    @property
    def dark_uri(self) -> str:
        """The dark picture as a data URI."""
        return _data_uri(self.dark)


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def draw(name: str, title: str, alt: str, caption: str, make: Draw) -> Picture:
    """Draw one picture in both themes; a failure is part of the picture and ends nothing else."""
    try:
        light, dark = (plots.png_bytes(make(theme)) for theme in (LIGHT, DARK))
    except Exception as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        return Picture(name, title, alt, caption, problem=problem)
    return Picture(name, title, alt, caption, light, dark)


def pictures(record: RunRecord) -> list[Picture]:
    """Every picture of a run, in the report's order."""
    history, classes = record.history, record.classes
    found = [
        draw(
            "loss",
            "Loss",
            "Curve of the training loss over iterations",
            rising_loss_remark(history.losses)
            or "Loss of each mini-batch, with regularisation, and its moving average.",
            lambda theme: plots.loss_curve(history.losses, theme),
        ),
        draw(
            "accuracy",
            "Accuracy",
            "Curves of training and validation accuracy over iterations",
            "Measured after each epoch, on a sample of the training images and on the "
            "validation images.",
            lambda theme: plots.accuracy_curve(
                history.accuracy_iterations, history.train_accs, history.val_accs, theme
            ),
        ),
    ]
    if record.weights["W1"].ndim == 4:  # a fully connected network has no filters
        found.append(
            draw(
                "filters",
                "First-layer filters",
                "The learned filters of the first convolution, as tiles",
                "Each tile is one filter, stretched to its own darkest and brightest weight.",
                lambda theme: plots.filters(record.weights["W1"], theme),
            )
        )
    found += pictures_of_test(classes, record.confusion_array, record.mistakes)
    if record.speedups:
        found.append(
            draw(
                "speedups",
                "Backends on this machine",
                "Bars of each backend's speed as a multiple of the naive backend's",
                "Measured in this run, in turn with each other, on the first layer's problem (on a "
                "crop where images are large).",
                lambda theme: plots.speedups(record.speedups, theme),
            )
        )
    return found


def pictures_of_test(
    classes: list[str], confusion: npt.NDArray[np.integer[Any]], mistakes: Mistakes
) -> list[Picture]:
    """The pictures of a test: accuracy per class, the confusion matrix, what was mistaken."""
    return [
        draw(
            "class_accuracy",
            "Accuracy per class",
            "Bars of the test accuracy of each class",
            "The part of each class's test images that was recognised.",
            lambda theme: plots.class_accuracy(confusion, classes, theme),
        ),
        draw(
            "confusion",
            "Confusion matrix",
            "Matrix of true against predicted classes",
            "Test images by true and predicted class; the diagonal is right.",
            lambda theme: plots.confusion_matrix(confusion, classes, theme),
        ),
        draw(
            "misclassified",
            "Misclassified",
            "Test images that were taken for another class",
            "Test images that were taken for another class, with both names.",
            lambda theme: plots.misclassified(
                mistakes.images, mistakes.true.tolist(), mistakes.predicted.tolist(), classes, theme
            ),
        ),
    ]


def render(record: RunRecord, drawn: list[Picture]) -> str:
    """The report's HTML."""
    named = {picture.name: picture for picture in drawn}
    return fill("report.html.j2", run=record, pictures=named)


def write_report(record: RunRecord, folder: Path) -> list[str]:
    """Write the pictures (light) as PNG and ``report.html`` into ``folder``.

    Returns a line for each picture that could not be drawn; the report says so in its place.
    """
    drawn = pictures(record)
    for picture in drawn:
        if not picture.problem:
            write_bytes(folder / f"{picture.name}.png", picture.light)
    write_text(folder / REPORT_FILE, render(record, drawn))
    return [f"{picture.title}: {picture.problem}" for picture in drawn if picture.problem]
