"""Data sets: images and labels in three parts, ready for a solver.

One loader per kind of source, one function (:func:`load_data`) that picks it, and one
(:func:`assemble`) that all of them end in: it scales, subtracts the training images' mean and
names the parts. A file that is not what it should be is a DataError of one line that names the
file, what was expected and what was found.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.optional import require

__all__ = [
    "DATASETS",
    "Dataset",
    "assemble",
    "load_data",
    "load_digits",
    "picture",
    "split",
]

Images: TypeAlias = npt.NDArray[Any]
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Parts: TypeAlias = dict[str, tuple[Images, Labels]]  # "train", "val", "test": images, labels

DATASETS = ("digits", "cifar10")
TEST_SHARE, VAL_SHARE = 0.2, 0.1  # of all images, where a source has no parts of its own


class Dataset(TypedDict):
    """X_* float32 (N, C, H, W) = raw * scale - mean, y_* int64 (N,), and how to go back.

    ``mean`` is (C, H, W), after scaling; ``white`` is the raw value of a white pixel.
    """

    X_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    X_val: npt.NDArray[np.float32]
    y_val: npt.NDArray[np.int64]
    X_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]
    class_names: list[str]
    mean: npt.NDArray[np.float32]
    scale: float
    white: float


def load_data(
    name: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    rng: int | np.random.Generator | None = 0,
) -> Dataset:
    """Load ``"digits"``, ``"cifar10"`` (from ``data_dir``, else downloaded), or a path.

    A path is an .npz file or a folder of class folders. ``rng`` draws the parts of a source that
    has none of its own.
    """
    from convkit.training.data import cifar10, folders, npz

    if name == "digits":
        return load_digits(rng)
    if name == "cifar10":
        return cifar10.get_CIFAR10_data(data_dir=data_dir)
    path = Path(name)
    if path.is_dir():
        return folders.load_image_folder(path, rng)
    if path.suffix == ".npz":
        return npz.load_npz(path, rng)
    expected = f"{', '.join(DATASETS)}, an .npz file or a folder of class folders"
    found = f"a {path.suffix or 'file without a suffix'}" if path.exists() else "nothing there"
    raise DataError(f"data {os.fspath(name)!r}: expected {expected}, found {found}")


def load_digits(rng: int | np.random.Generator | None = 0) -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits, (1, 8, 8) each; nothing is downloaded.

    70 % training, 10 % validation and 20 % test images, drawn from every class alike.
    """
    digits = require("sklearn.datasets", "the data set 'digits'").load_digits()
    parts = split(digits.images[:, None], digits.target, rng)
    return assemble(parts, [str(name) for name in digits.target_names], white=16.0, scale=1 / 16)


def split(x: Images, y: Labels, rng: int | np.random.Generator | None) -> Parts:
    """Divide images at random, the same share of every class, into test, val and training parts."""
    order = np.random.default_rng(rng).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]  # shuffled within each class
    _, start, count = np.unique(y[order], return_index=True, return_counts=True)
    rank = np.arange(len(y)) - np.repeat(start, count)
    place = (rank + 0.5) / np.repeat(count, count)  # in (0, 1), evenly spread over every class
    order = order[np.argsort(place, kind="stable")]  # classes interleaved
    n_test, n_val = round(TEST_SHARE * len(y)), round(VAL_SHARE * len(y))
    if not n_test or not n_val or len(y) == n_test + n_val:
        raise DataError(f"expected at least 5 images to divide into three parts, found {len(y)}")
    bounds = {
        "test": order[:n_test],
        "val": order[n_test : n_test + n_val],
        "train": order[n_test + n_val :],
    }
    return {part: (x[chosen], y[chosen]) for part, chosen in bounds.items()}


def assemble(
    parts: Parts,
    class_names: list[str],
    *,
    white: float,
    scale: float = 1.0,
    subtract_mean: bool = True,
) -> Dataset:
    """Return the Dataset of raw parts; the mean is that of the training images, or zero."""
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


def picture(data: Dataset, X: Images) -> npt.NDArray[np.uint8]:
    """Return images of a data set as they were before scaling: uint8, 255 is white."""
    raw = (X + data["mean"]) * np.float32(255 / (data["scale"] * data["white"]))
    pixels: npt.NDArray[np.uint8] = np.rint(np.clip(raw, 0, 255)).astype(np.uint8)
    return pixels
