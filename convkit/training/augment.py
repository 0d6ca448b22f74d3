"""Augmentation: a batch of images changed at random, so that no two epochs show the same ones.

An augmentation is any function ``(batch, rng) -> batch`` of prepared images (N, C, H, W), in which
0 is the mean of the training images (or of their pixels). Those here return new arrays of the
batch's shape and dtype, change every image in its own way, and keep nothing between calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError, ShapeError

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Chain",
    "Crop",
    "Cutout",
    "Flip",
    "Shift",
    "described",
    "make_augmentation",
]

Batch: TypeAlias = npt.NDArray[Any]
Augmentation: TypeAlias = Callable[[Batch, np.random.Generator], Batch]


@dataclass(frozen=True)
class Flip:
    """Each image mirrored left to right, or not, with equal chances."""

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the changed batch."""
        flipped = _images(batch).copy()
        chosen = rng.random(len(batch)) < 0.5
        flipped[chosen] = flipped[chosen, :, :, ::-1]
        return flipped


@dataclass(frozen=True)
class Shift:
    """Each image moved by up to ``pixels`` along both axes; what comes in from outside is 0.

    The usual augmentation of CIFAR-10: padded with zeros, and cut out at random (He et al., 2016).
    """

    pixels: int = 4

    def __post_init__(self) -> None:
        _check_pixels("shift", self.pixels)

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the changed batch."""
        p = self.pixels
        n, _, h, w = _images(batch).shape
        padded = np.pad(batch, ((0, 0), (0, 0), (p, p), (p, p)))
        top, left = rng.integers(2 * p + 1, size=(2, n, 1))
        rows, columns = top + np.arange(h), left + np.arange(w)
        image = np.arange(n)[:, None, None]
        # The channels come last where arrays index around a slice.
        moved = padded[image, :, rows[:, :, None], columns[:, None, :]]
        return np.ascontiguousarray(moved.transpose(0, 3, 1, 2))


@dataclass(frozen=True)
class Crop:
    """Of each image a window of ``share`` to all of its height and width, stretched to the whole.

    The window's size and place are random; pixels between two are interpolated linearly.
    """

    share: float = 0.75

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ParameterError(f"crop (={self.share!r}) must be more than 0 and at most 1")

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the changed batch."""
        n, _, h, w = _images(batch).shape
        size: npt.NDArray[Any] = np.asarray(rng.uniform(self.share, 1, n))
        down, across = (_stretch(length, size, rng).astype(batch.dtype) for length in (h, w))
        out: Batch = down[:, None] @ batch @ across[:, None].transpose(0, 1, 3, 2)
        return out


@dataclass(frozen=True)
class Cutout:
    """A square of ``pixels`` in each image set to 0, its middle anywhere (DeVries & Taylor, 2017).

    Where it reaches over an edge, less is cut out. ``pixels`` 0: half of the shorter side.
    """

    pixels: int = 0

    def __post_init__(self) -> None:
        _check_pixels("cutout", self.pixels)

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the changed batch."""
        n, _, h, w = _images(batch).shape
        size = self.pixels or max(min(h, w) // 2, 1)
        hidden = []
        for length in (h, w):
            start = rng.integers(length, size=(n, 1)) - size // 2
            hidden.append((np.arange(length) >= start) & (np.arange(length) < start + size))
        square = hidden[0][:, None, :, None] & hidden[1][:, None, None, :]
        return np.where(square, batch.dtype.type(0), batch)


@dataclass(frozen=True)
class Chain:
    """Several augmentations, one after the other."""

    parts: tuple[Augmentation, ...]

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the changed batch."""
        for part in self.parts:
            batch = part(batch, rng)
        return batch


AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {
    "flip": Flip,
    "shift": Shift,
    "crop": Crop,
    "cutout": Cutout,
}


def make_augmentation(
    augment: str | Augmentation | Sequence[Augmentation] | None,
) -> Augmentation | None:
    """Return the augmentation of names, as ``"flip,shift"`` or, with a number, ``"shift=2"``.

    A function is returned as it is, and several are chained. Raises ParameterError for a name that
    is unknown or given twice, and for a number that is none.
    """
    if augment is None or callable(augment):
        return augment
    if not isinstance(augment, str):
        return Chain(tuple(augment))
    words = [word.strip() for word in augment.split(",")]
    names = [word.partition("=")[0] for word in words]
    if len(set(names)) < len(names):
        raise ParameterError(f"augment (={augment!r}) must name each augmentation once")
    parts = tuple(_named(word) for word in words)
    return parts[0] if len(parts) == 1 else Chain(parts)


def described(function: Any) -> str | None:
    """Return text that is the same for the same function in another process; None for None."""
    if function is None:
        return None
    text = str(getattr(function, "__qualname__", None) or repr(function))
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _named(word: str) -> Augmentation:
    name, equals, number = word.partition("=")
    if name not in AUGMENTATIONS:
        raise ParameterError(f"augment (={word!r}) must be one of {', '.join(AUGMENTATIONS)}")
    if not equals:
        return AUGMENTATIONS[name]()
    try:
        return AUGMENTATIONS[name](float(number) if name == "crop" else int(number))
    except ParameterError:
        raise
    except (ValueError, TypeError):
        raise ParameterError(f"augment (={word!r}): {number!r} is no number of {name}") from None


def _images(batch: Batch) -> Batch:
    """Return a batch of images as it is, or raise ShapeError."""
    if batch.ndim != 4:
        raise ShapeError(f"augment needs images (N, C, H, W), found the shape {batch.shape}")
    return batch


def _check_pixels(name: str, value: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0:
        raise ParameterError(f"{name} (={value!r}) must be an integer of at least 0")


def _stretch(length: int, size: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    """Return (N, length, length) matrices that stretch a random window of a share ``size`` each."""
    start = rng.random(len(size)) * (1 - size)
    middles = (np.arange(length) + 0.5) / length
    places = (start[:, None] + size[:, None] * middles) * length - 0.5
    places = np.clip(places, 0, length - 1)
    weights = 1 - np.abs(places[:, :, None] - np.arange(length))
    matrices: npt.NDArray[Any] = np.maximum(weights, 0)
    return matrices
