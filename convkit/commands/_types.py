"""Types of options, and checks of them that are made before anything is computed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from convkit.errors import ParameterError
from convkit.files import check_destination
from convkit.report.folders import FOLDER_NAME_RULE, is_folder_name
from convkit.training.augment import make_augmentation


class FiniteFloat(click.ParamType[float]):
    """A finite number of at least ``low`` (more than it with ``open_low``), less than ``high``."""

    name = "number"

    def __init__(
        self, low: float | None = None, high: float | None = None, *, open_low: bool = False
    ) -> None:
        self.low, self.high, self.open_low = low, high, open_low

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not finite", param, ctx)
        if self.low is not None and (number < self.low or (self.open_low and number == self.low)):
            word = "more than" if self.open_low else "at least"
            self.fail(f"{value} must be {word} {self.low:g}", param, ctx)
        if self.high is not None and number >= self.high:
            self.fail(f"{value} must be less than {self.high:g}", param, ctx)
        return number


class FolderName(click.ParamType[str]):
    """A name that a run's folder may have."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_folder_name(value):
            self.fail(f"{value!r} must be {FOLDER_NAME_RULE}", param, ctx)
        return str(value)


class Augmentations(click.ParamType[str]):
    """Names of augmentations, each with a number or without."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            make_augmentation(value)
        except ParameterError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class ClassWeights(click.ParamType[str]):
    """``balanced``, or numbers with commas between them."""

    name = "weights"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != "balanced":
            for number in value.split(","):
                FiniteFloat(0).convert(number, param, ctx)
        return str(value)


def check_writable(option: str, path: Path | None) -> None:
    """Refuse a file that could not be written at the end, before anything is computed for it."""
    if path is None:
        return
    try:
        check_destination(option, path)
    except ParameterError as error:
        raise click.UsageError(str(error)) from error


COUNT = click.IntRange(min=1)
POSITIVE = FiniteFloat(0, open_low=True)
NOT_NEGATIVE = FiniteFloat(0)
FRACTION = FiniteFloat(0, 1)
