"""What a data set is, and how one is made of raw images and labels.

A loader reads :class:`Raw` images; :meth:`Raw.divided` makes parts of them and :func:`assemble` the
data set, scaled and less the mean of the training images. This module must not import a loader.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError, ParameterError
from convkit.images import Fit
from convkit.preprocessing import Preprocessing
from convkit.training.data.rows import choose, chunks, joined, prepared

__all__ = [
    "DATASETS",
    "Dataset",
    "Parts",
    "Preparation",
    "Raw",
    "assemble",
    "assembled",
    "picture",
    "split",
    "standardise",
]

Images: TypeAlias = npt.NDArray[Any]
"""(N, C, H, W); where they are not in memory, a source of :mod:`convkit.training.arrays`."""
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Parts: TypeAlias = dict[str, tuple[Images, Labels]]  # "train", "val", "test": images, labels

Preparation: TypeAlias = Literal["plain", "mean", "standardise"] | Preprocessing
"""What is done to scaled images: nothing, the mean training image subtracted, every channel brought
to mean 0 and deviation 1 over the training images; or what was once done to those of a network."""

DATASETS = ("digits", "cifar10")
TEST_SHARE, VAL_SHARE = 0.2, 0.1  # of all images, where a source is not divided into parts


class Dataset(TypedDict):
    """Images and labels in three parts, and what is needed to invert the scaling.

    X_* are float32 (N, C, H, W) and equal raw * scale - mean, as :class:`Preprocessing` computes
    it; y_* are int64 (N,). ``mean`` is (C, H, W), after scaling; ``white`` is the raw value of a
    white pixel. ``scale`` is a number, or (C, 1, 1) where each channel has its own. ``fit`` is how
    pictures of other sizes were brought to this one.

    Images that memory does not hold are objects with shape, dtype, length and indexing by an array
    of integers, which returns float32 arrays.
    """

    X_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    X_val: npt.NDArray[np.float32]
    y_val: npt.NDArray[np.int64]
    X_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]
    class_names: list[str]
    mean: npt.NDArray[np.float32]
    scale: float | npt.NDArray[np.float32]
    white: float
    fit: NotRequired[Fit]


@dataclass(frozen=True)
class Raw:
    """Images and labels as a source has them: in one part, named "", or train, test and maybe val.

    ``white`` is the raw value of a white pixel, ``scale`` what raw values are multiplied by,
    ``where`` the source, for messages, and ``fit`` how pictures were brought to one size.
    """

    parts: Parts
    class_names: list[str]
    white: float
    scale: float
    where: str = ""
    fit: Fit = "crop"

    def divided(self, rng: int | np.random.Generator | None) -> Raw:
        """Return it in the parts train, val and test; those that lack are drawn by ``rng``."""
        parts = self.parts
        try:
            if "" in parts:
                parts = split(*parts[""], rng)
            elif {"val", "test"} - set(parts):
                parts = _completed(parts, rng)
        except DataError as error:
            raise DataError(f"{self.where}: {error}" if self.where else str(error)) from None
        return replace(self, parts=parts)

    def whole(self) -> tuple[Images, Labels]:
        """Return all images and their labels, those of train first and those of test last."""
        names = [name for name in ("", "train", "val", "test") if name in self.parts]
        x, y = zip(*(self.parts[name] for name in names), strict=True)
        return (x[0], y[0]) if len(names) == 1 else (joined(x), np.concatenate(y))


def _completed(parts: Parts, rng: int | np.random.Generator | None) -> Parts:
    """Return train, val and test; what of the latter two lacks is drawn from train."""
    pieces = split(*parts["train"], rng)
    given = [part for part in ("test", "val") if part in parts]
    x, y = zip(*(pieces[part] for part in ("train", *given)), strict=True)
    return (
        pieces | {part: parts[part] for part in given} | {"train": (joined(x), np.concatenate(y))}
    )


def split(x: Images, y: Labels, rng: int | np.random.Generator | None) -> Parts:
    """Divide images at random into test, val and train parts, stratified by class.

    Raises DataError where there are too few images for three parts.
    """
    order = np.random.default_rng(rng).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]  # shuffled within each class
    _, start, count = np.unique(y[order], return_index=True, return_counts=True)
    rank = np.arange(len(y)) - np.repeat(start, count)
    quantile = (rank + 0.5) / np.repeat(count, count)  # in (0, 1), evenly spread over every class
    order = order[np.argsort(quantile, kind="stable")]  # classes interleaved
    n_test, n_val = round(TEST_SHARE * len(y)), round(VAL_SHARE * len(y))
    if not n_test or not n_val or len(y) == n_test + n_val:
        raise DataError(f"expected at least 5 images to divide into three parts, found {len(y)}")
    indices = {
        "test": order[:n_test],
        "val": order[n_test : n_test + n_val],
        "train": order[n_test + n_val :],
    }
    return {part: (choose(x, chosen), y[chosen]) for part, chosen in indices.items()}


def assemble(
    parts: Parts,
    class_names: list[str],
    *,
    white: float,
    scale: float = 1.0,
    subtract_mean: bool = True,
    preparation: Preparation | None = None,
    fit: Fit = "crop",
) -> Dataset:
    """Return the Dataset of raw parts; the mean is that of the training images, or zero.

    ``white`` is the raw value of a white pixel, and ``scale`` what raw values are multiplied by.
    ``preparation`` says what is done after that; None: "mean", or "plain" without
    ``subtract_mean``. ``fit`` is how pictures were brought to one size.
    """
    if preparation is None:
        preparation = "mean" if subtract_mean else "plain"
    if isinstance(preparation, Preprocessing):
        scale = float(preparation.scale) if np.ndim(preparation.scale) == 0 else scale
    else:
        preparation = replace(_measured(parts["train"][0], white, scale, preparation), fit=fit)
    x = {part: prepared(images, preparation) for part, (images, _) in parts.items()}
    y = {part: labels.astype(np.int64) for part, (_, labels) in parts.items()}
    shape = x["train"].shape[1:]
    own_scale = np.asarray(preparation.scale)
    return {
        "X_train": x["train"],
        "y_train": y["train"],
        "X_val": x["val"],
        "y_val": y["val"],
        "X_test": x["test"],
        "y_test": y["test"],
        "class_names": class_names,
        "mean": np.broadcast_to(preparation.mean, shape).copy(),
        "scale": scale if own_scale.ndim == 0 else own_scale,
        "white": preparation.white,
        "fit": preparation.fit,
    }


def assembled(raw: Raw, preparation: Preparation = "mean") -> Dataset:
    """Return the Dataset of images that are divided into train, val and test."""
    return assemble(
        raw.parts,
        raw.class_names,
        white=raw.white,
        scale=raw.scale,
        preparation=preparation,
        fit=raw.fit,
    )


def _measured(
    raw: Images, white: float, scale: float, kind: Literal["plain", "mean", "standardise"]
) -> Preprocessing:
    """Return the preprocessing of a kind for raw training images."""
    shape = raw.shape[1:]
    if kind == "plain":
        return Preprocessing(shape, scale, 0.0, white)
    if kind == "mean":
        # Summed in float64: 49,000 float32 values up to 255 would lose the last digits.
        scaled = Preprocessing(shape, scale)
        total = np.zeros(shape)
        for chunk in chunks(raw):
            total += scaled.apply(chunk).sum(axis=0, dtype=np.float64)
        return Preprocessing(shape, scale, total / len(raw), white)
    mean, std = _moments(raw, scale)
    std[std == 0] = 1
    return Preprocessing(shape, scale / std, mean / std, white)


def _moments(raw: Images, scale: float) -> tuple[Images, Images]:
    """Return mean and deviation of every channel (C, 1, 1) of scaled images, in float64.

    Chunks are merged by Chan's formula (Chan, Golub, LeVeque, 1979).
    """
    mean, squares = np.zeros((2, raw.shape[1], 1, 1))
    count = 0
    for chunk in chunks(raw):
        number = len(chunk) * math.prod(raw.shape[2:])
        for c in range(len(mean)):  # channel by channel: one float64 copy of one at a time
            channel = chunk[:, c].astype(np.float64) * scale
            own = channel.mean()
            distance = own - mean[c]
            squares[c] += ((channel - own) ** 2).sum()
            squares[c] += distance**2 * (count * number / (count + number))
            mean[c] += distance * (number / (count + number))
        count += number
    return mean, np.sqrt(squares / count)


def standardise(data: Dataset) -> Dataset:
    """Return the data set with every channel of mean 0 and deviation 1 over the training images.

    The arrays are changed in place, so no two of them may be one. A channel that is the same
    everywhere is not divided. ParameterError where they are not in memory.
    """
    if not isinstance(data["X_train"], np.ndarray):
        raise ParameterError(
            "standardise changes arrays in memory, and these images are not; load them with "
            "preparation='standardise'"
        )
    train = data["X_train"]
    train += data["mean"]
    mean, std = np.zeros((2, len(data["mean"]), 1, 1))
    for c in range(len(mean)):  # channel by channel: one float32 copy of one channel at a time
        mean[c] = train[:, c].mean(dtype=np.float64)
        std[c] = math.sqrt(np.square(train[:, c] - np.float32(mean[c])).mean(dtype=np.float64))
    std[std == 0] = 1
    data["X_val"] += data["mean"]
    data["X_test"] += data["mean"]
    for images in (train, data["X_val"], data["X_test"]):
        images -= mean.astype(np.float32)
        images /= std.astype(np.float32)
    data["mean"] = np.broadcast_to(mean / std, data["mean"].shape).astype(np.float32)
    data["scale"] = (data["scale"] / std).astype(np.float32)
    return data


def picture(data: Dataset, X: Images) -> npt.NDArray[np.uint8]:
    """Return images X (N, C, H, W) of a data set as uint8 pixels, 255 is white: scaling undone."""
    factor = np.asarray(255 / (data["scale"] * data["white"]), np.float32)
    raw = (X + data["mean"]) * factor
    pixels: npt.NDArray[np.uint8] = np.rint(np.clip(raw, 0, 255)).astype(np.uint8)
    return pixels
