"""The options that say how a folder of images is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from convkit.images import FITS, MODES, Fit
from convkit.training.data import FolderOptions

__all__ = ["FOLDER_OPTIONS", "FolderChoices", "ImageSize", "skip_bad_option"]


class ImageSize(click.ParamType[tuple[int, int]]):
    """A size in pixels, WIDTHxHEIGHT or one number for both; as a value (height, width)."""

    name = "pixels"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        found = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", str(value))
        if not found:
            self.fail(f"{value!r} must be a number of pixels, or WIDTHxHEIGHT", param, ctx)
        return int(found[2] or found[1]), int(found[1])


@dataclass(frozen=True)
class FolderChoices:
    """The options as given; None where the images themselves decide."""

    size: tuple[int, int] | None
    fit: Fit | None
    mode: str | None
    skip_bad: bool | None
    cache_dir: Path | None

    @property
    def folder(self) -> FolderOptions:
        """How a folder of images is read."""
        return FolderOptions(self.size, self.mode, self.fit, bool(self.skip_bad), self.cache_dir)

    @property
    def folder_settings(self) -> dict[str, Any]:
        """What was given of it, as a run's settings have it; where it is kept is none of them."""
        given = {f.name: getattr(self, f.name) for f in fields(FolderChoices)}
        del given["cache_dir"]
        if self.size is not None:
            given["size"] = f"{self.size[1]}x{self.size[0]}"
        return {name: value for name, value in given.items() if value is not None}


skip_bad_option = click.option(
    "--skip-bad", is_flag=True, default=None, help="Leave out images that cannot be read."
)

FOLDER_OPTIONS = [
    click.option(
        "--size",
        type=ImageSize(),
        help="Of a folder's images, 64 or WIDTHxHEIGHT; otherwise that of most of them.",
    ),
    click.option(
        "--fit",
        type=click.Choice(FITS),
        help="How a folder's images of other sizes are brought to it; otherwise crop.",
    ),
    click.option(
        "--mode",
        type=click.Choice(list(MODES.values())),
        help="Of a folder's images; otherwise that of most of them.",
    ),
    skip_bad_option,
    click.option(
        "--cache-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Keep a folder's decoded images here; otherwise in the user's cache, and only images "
        "that are too many for memory.",
    ),
]
