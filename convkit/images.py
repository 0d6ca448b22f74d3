"""Image files as arrays (C, H, W)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.optional import require

__all__ = ["decode"]

# Modes whose numbers are not intensities: a palette's indices, single bits, other colour spaces.
CONVERT = {
    "P": "RGB",
    "1": "L",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "LAB": "RGB",
    "HSV": "RGB",
    "PA": "RGBA",
}


def decode(file: Path) -> npt.NDArray[Any]:
    """Return the pixels of an image file as (C, H, W), in the dtype that the file stores.

    It is turned as its EXIF orientation says. Palettes and other colour spaces become RGB, and a
    palette's transparent colours lie over white. Raises DataError where the file is no image, and
    where it has more pixels than Pillow decodes without a warning.
    """
    pillow = require("PIL.Image", "reading images")
    turned = require("PIL.ImageOps", "reading images").exif_transpose
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A size that may exhaust the memory: said on opening, before anything is decoded.
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(file) as image:
                pixels = np.asarray(_plain(pillow, turned(image)))
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Warning,
        pillow.DecompressionBombError,
    ) as error:
        raise DataError(f"{file}: expected an image, found {_reason(file, error)}") from None
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def _plain(pillow: Any, image: Any) -> Any:
    """Return a Pillow image whose numbers are intensities."""
    if image.mode == "P" and "transparency" in image.info:
        over = image.convert("RGBA")
        return pillow.alpha_composite(pillow.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert(CONVERT.get(image.mode, image.mode))


def _reason(file: Path, error: Exception) -> str:
    """Return in a few words why a file could not be read as an image."""
    if not file.exists():
        return "a link to nothing" if file.is_symlink() else "no such file"
    if isinstance(error, PermissionError):
        return "a file that may not be read"
    return (
        "an empty file"
        if not file.stat().st_size
        else (str(error) or type(error).__name__).splitlines()[0]
    )
