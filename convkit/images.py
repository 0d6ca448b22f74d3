"""Image files as arrays (C, H, W), and such arrays in another mode or size."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.names import printable
from convkit.optional import require

__all__ = [
    "FITS",
    "MODES",
    "WHITE",
    "Fit",
    "Header",
    "decode",
    "fit_size",
    "has_image_suffix",
    "header",
    "in_mode",
]

Fit: TypeAlias = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = get_args(Fit)
"""How a picture is brought to another size: see :func:`fit_size`."""

MODES = {1: "gray", 2: "gray-alpha", 3: "rgb", 4: "rgba"}
"""The mode of a picture, by its number of channels."""
WHITE: dict[np.dtype[Any], float] = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
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
    "RGBX": "RGB",
    "RGBa": "RGBA",
    "La": "LA",
}


# What Pillow recognises without being able to decode it, or what is rarely a picture.
NO_PICTURES = {"BUFR", "GRIB", "HDF5", "MPEG", "PDF"}

ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is turned; from 5 on, its sides are exchanged."""


@dataclass(frozen=True)
class Header:
    """What :func:`decode` returns of a file, without its pixels."""

    size: tuple[int, int]
    """Height and width in pixels, turned as EXIF says."""
    channels: int
    dtype: np.dtype[Any]


def decode(file: Path) -> npt.NDArray[Any]:
    """Return the pixels of an image file as (C, H, W), in the dtype that the file stores.

    It is turned as its EXIF orientation says. Palettes and other colour spaces become RGB, and
    what a palette or a transparent colour leaves open lies over white. Raises DataError where the
    file is no image, and where it has more pixels than Pillow decodes without a warning.
    """
    turned = require("PIL.ImageOps", "reading images").exif_transpose
    with _opened(file) as (pillow, image):
        pixels = np.asarray(_plain(pillow, turned(image)))
        pixels = pixels.astype(_dtype(image, pixels.dtype), copy=False)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def header(file: Path) -> Header:
    """Return size, channels and dtype of an image file, of which no pixel is decoded.

    Raises DataError where the file is no image; that its pixels can be read is not said.
    """
    with _opened(file) as (pillow, image):
        height, width = image.size[::-1]
        # To look for EXIF after the pixels, which a PNG may have, Pillow would decode them.
        known = image.format != "PNG" or "exif" in image.info
        if known and image.getexif().get(ORIENTATION, 1) >= 5:
            height, width = width, height
        dot = np.asarray(_plain(pillow, pillow.new(image.mode, (1, 1)), image.info))
        return Header(
            (height, width), 1 if dot.ndim == 2 else dot.shape[2], _dtype(image, dot.dtype)
        )


def has_image_suffix(file: Path) -> bool:
    """Whether a file's name ends as that of an image that can be read."""
    pillow = require("PIL.Image", "reading images")
    kind = pillow.registered_extensions().get(file.suffix.lower())
    return kind in pillow.OPEN and kind not in NO_PICTURES


@contextmanager
def _opened(file: Path) -> Iterator[tuple[Any, Any]]:
    """Yield Pillow and the image of a file; what it raises is a DataError."""
    pillow = require("PIL.Image", "reading images")
    try:
        with _quietly(pillow), pillow.open(file) as image:
            yield pillow, image
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Warning,
        pillow.DecompressionBombError,
    ) as error:
        name = printable(str(file))
        raise DataError(f"{name}: expected an image, found {_reason(file, error)}") from None


_QUIET = threading.Lock()
_quiet_users = 0
_quiet_filters = ExitStack()


@contextmanager
def _quietly(pillow: Any) -> Iterator[None]:
    """No warnings of Pillow, but an error for a size that may exhaust the memory.

    It is said on opening, before anything is decoded. The filters of warnings are the process's:
    of several threads the first sets them, and the last restores them.
    """
    global _quiet_users
    with _QUIET:
        if not _quiet_users:
            _quiet_filters.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
        _quiet_users += 1
    try:
        yield
    finally:
        with _QUIET:
            _quiet_users -= 1
            if not _quiet_users:
                _quiet_filters.close()


def _plain(pillow: Any, image: Any, info: Any = None) -> Any:
    """Return a Pillow image whose numbers are intensities."""
    info = image.info if info is None else info
    mode = CONVERT.get(image.mode, image.mode)
    if "transparency" in info and image.mode in ("P", "L", "RGB", "1"):
        over = image.convert("RGBA")
        return pillow.alpha_composite(pillow.new("RGBA", over.size, "white"), over).convert(mode)
    return image.convert(mode)


def _dtype(image: Any, found: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that a file's pixels have; those of 16 bits may be in wider integers."""
    if image.mode == "I" and image.format in ("PNG", "PPM"):
        return np.dtype(np.uint16)
    return found.newbyteorder("=")


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
