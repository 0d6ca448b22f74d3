"""Preprocessing: how raw pictures become what a network was trained on.

It is taken from a data set, written into the network's file, and applied to whatever the network
is shown afterwards. One function, :meth:`Preprocessing.apply`, does the arithmetic for training and
for prediction, so both get the same bits.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError, ParameterError
from convkit.images import FITS, MODES, WHITE, Fit, decode, fit_size, in_mode

__all__ = ["Preprocessing"]

Array: TypeAlias = npt.NDArray[np.floating[Any]]

WRITTEN_OUT = 64
"""Arrays of more numbers are not readable in a file, but in base64."""


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """raw * scale - mean, in float32.

    Parameters
    ----------
    shape:
        (C, H, W) of one picture; for examples that are no pictures, their shape.
    scale:
        What raw values are multiplied by: one number, or one for each channel, (C, 1, 1).
    mean:
        What is subtracted after that: a picture (C, H, W), or a number for each channel, (C, 1, 1).
    white:
        The raw value of a white pixel, which says how the pixels of an image file are scaled.
    fit:
        How an image file of another size is brought to this one: "crop", "pad" or "stretch", as
        :func:`convkit.images.fit_size` does.
    """

    shape: tuple[int, ...]
    scale: Array | float = 1.0
    mean: Array | float = 0.0
    white: float = 1.0
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ParameterError(f"fit (={self.fit!r}) must be {', '.join(map(repr, FITS))}")
        if not 0 < self.white < np.inf:
            raise ParameterError(f"white (={self.white!r}) must be a finite number above 0")
        for name in ("scale", "mean"):
            value = np.array(getattr(self, name), np.float32)
            if not np.isfinite(value).all():
                raise ParameterError(f"{name} must hold finite numbers")
            try:
                np.broadcast_to(value, self.shape)
            except ValueError:
                raise ParameterError(
                    f"{name} (shape {value.shape}) must be broadcastable to shape (={self.shape})"
                ) from None
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        object.__setattr__(self, "white", float(self.white))

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Return that of a data set: a mapping with X_train, mean, scale and white, perhaps fit.

        A mean image that is the same all over a channel is kept as one number per channel.
        """
        shape = np.shape(data["X_train"])[1:]
        mean = np.broadcast_to(np.asarray(data["mean"], np.float32), shape)
        if len(shape) > 1:
            corner = mean[(slice(None), *(slice(1) for _ in shape[1:]))]
            mean = corner if (mean == corner).all() else mean
        return cls(shape, data["scale"], mean, data["white"], data.get("fit", "crop"))

    @property
    def size(self) -> tuple[int, ...]:
        """The height and width of a picture."""
        return self.shape[1:]

    @property
    def mode(self) -> str | None:
        """gray, gray-alpha, rgb or rgba; None for what is no picture in one of them."""
        return MODES.get(self.shape[0]) if len(self.shape) == 3 else None

    def apply(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return raw * scale - mean for raw values (N, *shape), as a new float32 array."""
        prepared = raw.astype(np.float32)
        prepared *= self.scale
        prepared -= self.mean
        return prepared

    def read(self, file: str | os.PathLike[str]) -> npt.NDArray[Any]:
        """Return an image file as raw values (C, H, W), in this size and mode.

        They are whole numbers where white is that of 8 or 16 bits, as they are in a file.
        Raises DataError where it is no image, or where none of its kind can be read.
        """
        if self.mode is None:
            raise DataError(
                f"{os.fspath(file)!r}: expected an array, for examples of shape {self.shape} are "
                "not read from image files"
            )
        pixels = decode(Path(file))
        white = WHITE.get(pixels.dtype)
        if white is None and self.white != 1:
            raise DataError(f"{file}: expected 8 or 16 bits per channel, found {pixels.dtype}")
        white = white or 1.0
        pixels = in_mode(pixels, self.shape[0], white)
        pixels = fit_size(pixels, (self.size[0], self.size[1]), self.fit)
        factor = self.white / white
        pixels = pixels if factor == 1 else pixels * np.float32(factor)
        whole = self.white in WHITE.values() and pixels.dtype.kind == "f"
        return np.rint(pixels) if whole else pixels

    def config(self) -> dict[str, Any]:
        """Return what :meth:`from_config` reads, as JSON has it; exact to the bit."""
        return {
            "shape": list(self.shape),
            "size": list(self.size),
            "mode": self.mode,
            "fit": self.fit,
            "white": self.white,
            "scale": _written(np.asarray(self.scale)),
            "mean": _written(np.asarray(self.mean)),
        }

    @classmethod
    def from_config(cls, config: Any) -> Preprocessing:
        """Return what :meth:`config` described; DataError where it describes nothing."""
        try:
            return cls(
                tuple(int(size) for size in config["shape"]),
                _read(config["scale"]),
                _read(config["mean"]),
                config["white"],
                config["fit"],
            )
        except (KeyError, TypeError, ValueError) as error:
            found = f"{str(config)[:80]}: {error}"
            raise DataError(f"expected a preprocessing, found {found}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Preprocessing) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash((self.shape, self.white, self.fit))

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        kind = f"{self.mode}, other sizes: {self.fit}, " if self.mode else ""
        return (
            f"{size}, {kind}white is {self.white:g}, raw * {_short(self.scale)} - "
            f"{_short(self.mean)}"
        )


def _short(value: Any) -> str:
    """Return an array in a few characters."""
    values = np.unique(value)
    if values.size == 1:
        return f"{values[0]:.4g}"
    if values.size > 4:
        return f"an array {np.shape(value)}"
    return "[" + ", ".join(f"{number:.4g}" for number in np.ravel(value)) + "]"


def _written(array: Array) -> Any:
    if array.size <= WRITTEN_OUT:
        return array.tolist()
    content = base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")
    return {"shape": list(array.shape), "float32": content}


def _read(value: Any) -> Array:
    if not isinstance(value, dict):
        return np.array(value, np.float32)
    numbers = np.frombuffer(base64.b64decode(value["float32"], validate=True), "<f4")
    return numbers.astype(np.float32).reshape(value["shape"])
