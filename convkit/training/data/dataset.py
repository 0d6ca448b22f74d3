"""What a data set is, and how one is made of raw images and labels.

Every loader ends in :func:`assemble`, which scales the images, subtracts the mean of the training
images and names the parts. This module must not import a loader.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError

__all__ = ["DATASETS", "Dataset", "Parts", "assemble", "picture", "split", "standardise"]

Images: TypeAlias = npt.NDArray[Any]
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Parts: TypeAlias = dict[str, tuple[Images, Labels]]  # "train", "val", "test": images, labels

DATASETS = ("digits", "cifar10")
TEST_SHARE, VAL_SHARE = 0.2, 0.1  # of all images, where a source is not divided into parts


class Dataset(TypedDict):
    """Images and labels in three parts, and what is needed to invert the scaling.

    X_* are float32 (N, C, H, W) and equal raw * scale - mean; y_* are int64 (N,). ``mean`` is
    (C, H, W), after scaling; ``white`` is the raw value of a white pixel. ``scale`` is a number, or
    (C, 1, 1) where each channel has its own.
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
    return {part: (x[chosen], y[chosen]) for part, chosen in indices.items()}


def assemble(
    parts: Parts,
    class_names: list[str],
    *,
    white: float,
    scale: float = 1.0,
    subtract_mean: bool = True,
) -> Dataset:
    """Return the Dataset of raw parts; the mean is that of the training images, or zero.

    ``white`` is the raw value of a white pixel, and ``scale`` what raw values are multiplied by.
    """
    x = {part: images.astype(np.float32) for part, (images, _) in parts.items()}
    for images in x.values():
        images *= np.float32(scale)
    shape = x["train"].shape[1:]
    mean = np.zeros(shape, np.float32)
    if subtract_mean:
        # Summed in float64: 49,000 float32 values up to 255 would lose the last digits.
        mean = x["train"].mean(axis=0, dtype=np.float64).astype(np.float32)
        for images in x.values():
            images -= mean
    y = {part: labels.astype(np.int64) for part, (_, labels) in parts.items()}
    return {
        "X_train": x["train"],
        "y_train": y["train"],
        "X_val": x["val"],
        "y_val": y["val"],
        "X_test": x["test"],
        "y_test": y["test"],
        "class_names": class_names,
        "mean": mean,
        "scale": scale,
        "white": white,
    }


def standardise(data: Dataset) -> Dataset:
    """Return the data set with every channel of mean 0 and deviation 1 over the training images.

    The arrays are changed in place, so no two of them may be one. A channel that is the same
    everywhere is not divided.
    """
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
