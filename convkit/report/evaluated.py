"""The evaluation of a trained network on images: its numbers, and their page.

The network itself is not here: what it predicted is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.files import write_bytes, write_text
from convkit.report.evaluation import some_mistakes, versions
from convkit.report.page import REPORT_FILE, Picture, pictures_of_test
from convkit.report.record import Mistakes
from convkit.report.rendering import fill
from convkit.training.evaluation import confusion_matrix

__all__ = ["EVALUATION_FILE", "Evaluation", "evaluation_of", "write_evaluation"]

EVALUATION_FILE = "evaluation.json"
Labels: TypeAlias = npt.NDArray[np.intp]


@dataclass
class Evaluation:
    """What a network made of images whose labels are known.

    ``confusion[i][j]`` counts the images of class i that were taken for class j. ``settings`` says
    what was evaluated, and on what.
    """

    classes: list[str]
    confusion: npt.NDArray[np.int64]
    settings: dict[str, Any]
    mistakes: Mistakes = field(default_factory=Mistakes)
    name: str = ""

    @property
    def images(self) -> int:
        """How many images there were."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share of images that were recognised."""
        return float(np.trace(self.confusion) / max(self.images, 1))

    @property
    def per_class(self) -> list[tuple[str, int, int]]:
        """Every class with its number of images, and how many of them were recognised."""
        totals, right = self.confusion.sum(axis=1), np.diag(self.confusion)
        return [
            (name, int(total), int(correct))
            for name, total, correct in zip(self.classes, totals, right, strict=True)
        ]

    @property
    def confused(self) -> list[tuple[int, str, str]]:
        """How often a class was taken for another, and both names, the most frequent first."""
        counts = self.confusion.copy()
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
        return [
            (int(counts.flat[i]), self.classes[i // len(counts)], self.classes[i % len(counts)])
            for i in order
        ]

    def plain(self) -> dict[str, Any]:
        """Return all but the images, as JSON has it."""
        return {
            "settings": self.settings,
            "images": self.images,
            "accuracy": self.accuracy,
            "classes": [
                {
                    "class": name,
                    "images": total,
                    "right": right,
                    "accuracy": right / total if total else None,
                }
                for name, total, right in self.per_class
            ],
            "confusion": self.confusion.tolist(),
        }


def evaluation_of(
    true: Labels,
    predicted: Labels,
    images: npt.NDArray[Any],
    *,
    white: float,
    classes: list[str],
    settings: dict[str, Any],
) -> Evaluation:
    """Return the evaluation of raw images (N, C, H, W), in which a white pixel is ``white``."""
    wrong = some_mistakes(true, predicted)
    pixels = np.clip(images[wrong].astype(np.float32) * np.float32(255 / white), 0, 255)
    mistakes = Mistakes(np.rint(pixels).astype(np.uint8), true[wrong], predicted[wrong])
    confusion = confusion_matrix(true, predicted, len(classes))
    return Evaluation(classes, confusion, settings, mistakes)


def write_evaluation(evaluation: Evaluation, folder: Path) -> list[str]:
    """Write ``evaluation.json``, the pictures and ``report.html`` into ``folder``.

    Returns a line for each picture that could not be drawn; the report says so in its place.
    """
    write_text(folder / EVALUATION_FILE, json.dumps(evaluation.plain(), indent=2) + "\n")
    drawn = pictures_of_test(evaluation.classes, evaluation.confusion, evaluation.mistakes)
    for picture in drawn:
        if not picture.problem:
            write_bytes(folder / f"{picture.name}.png", picture.light)
    write_text(folder / REPORT_FILE, render(evaluation, drawn))
    return [f"{picture.title}: {picture.problem}" for picture in drawn if picture.problem]


def render(evaluation: Evaluation, drawn: list[Picture]) -> str:
    """The page's HTML."""
    named = {picture.name: picture for picture in drawn}
    return fill("evaluation.html.j2", run=evaluation, pictures=named, versions=versions())
