"""Image files as arrays (C, H, W), and such arrays in another mode or size."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.optional import require

__all__ = ["FITS", "MODES", "WHITE", "Fit", "decode", "fit_size", "in_mode"]

Fit: TypeAlias = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = get_args(Fit)
"""How a picture is brought to another size: see :func:`fit_size`."""

MODES = {1: "gray", 2: "gray-alpha", 3: "rgb", 4: "rgba"}
"""The mode of a picture, by its number of channels."""
WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
"""The value of a white pixel, for the dtypes in which it is certain."""
LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue are of grey: ITU-R BT.601, as in Pillow."""

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


def in_mode(pixels: npt.NDArray[Any], channels: int, white: float) -> npt.NDArray[Any]:
    """Return pixels (C, H, W) with another number of channels, 1 to 4: see ``MODES``.

    Colours become grey by ``LUMA``, grey becomes three equal colours. Where transparency is to go,
    the picture lies over white; where it is to come, nothing is transparent. The same array where
    nothing changes.
    """
    if len(pixels) == channels:
        return pixels
    colours, alpha = pixels, None
    if len(pixels) in (2, 4):
        colours, alpha = pixels[:-1].astype(np.float32), pixels[-1:] / np.float32(white)
    if alpha is not None and channels in (1, 3):
        colours = colours * alpha + np.float32(white) * (1 - alpha)
    if len(colours) == 3 and channels < 3:
        colours = np.tensordot(np.array([LUMA], np.float32), colours.astype(np.float32), 1)
    if len(colours) == 1 and channels > 2:
        colours = np.repeat(colours, 3, axis=0)
    if channels in (1, 3):
        return colours
    opaque = np.ones_like(colours[:1], np.float32) if alpha is None else alpha
    return np.concatenate([colours, opaque * np.float32(white)])


def fit_size(pixels: npt.NDArray[Any], size: tuple[int, int], how: Fit) -> npt.NDArray[Any]:
    """Return pixels (C, H, W) in another size (height, width), as float32 where it differs.

    ``"crop"`` keeps the proportions and cuts off what stands out at both sides, ``"pad"`` keeps
    them and repeats the border where something lacks, ``"stretch"`` does not keep them. Bilinear,
    over the whole window of each new pixel where the picture becomes smaller.
    """
    height, width = pixels.shape[1:]
    if (height, width) == size:
        return pixels
    window, inner = (0.0, 0.0, float(width), float(height)), size
    if how == "crop":
        scale = min(height / size[0], width / size[1])
        high, wide = size[0] * scale, size[1] * scale
        left, top = (width - wide) / 2, (height - high) / 2
        window = (left, top, min(left + wide, width), min(top + high, height))
    elif how == "pad":
        scale = max(height / size[0], width / size[1])
        inner = (max(1, round(height / scale)), max(1, round(width / scale)))
    pillow = require("PIL.Image", "resizing images")
    resized = np.stack(
        [
            np.asarray(
                pillow.fromarray(np.ascontiguousarray(plane, np.float32)).resize(
                    inner[::-1], pillow.Resampling.BILINEAR, box=window
                )
            )
            for plane in pixels
        ]
    )
    lacking = [(size[axis] - inner[axis]) for axis in (0, 1)]
    begins = [number // 2 for number in lacking]
    pads = [(0, 0), *((b, number - b) for b, number in zip(begins, lacking, strict=True))]
    return np.pad(resized, pads, mode="edge") if any(lacking) else resized


def _reason(file: Path, error: Exception) -> str:
    """Return in a few words why a file could not be read as an image."""
    if not file.exists():
        return "a link to nothing" if file.is_symlink() else "no such file"
    if file.is_dir():
        return "a folder"
    if isinstance(error, PermissionError):
        return "a file that may not be read"
    return (
        "an empty file"
        if not file.stat().st_size
        else (str(error) or type(error).__name__).splitlines()[0]
    )
