"""One function for every kind of source: it picks the loader."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from convkit.errors import DataError
from convkit.training.data.cifar10 import get_CIFAR10_data
from convkit.training.data.dataset import DATASETS, Dataset
from convkit.training.data.digits import load_digits
from convkit.training.data.folders import load_image_folder
from convkit.training.data.npz import load_npz

__all__ = ["load_data"]


def load_data(
    name: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    rng: int | np.random.Generator | None = 0,
) -> Dataset:
    """Load ``"digits"``, ``"cifar10"`` (from ``data_dir``, else downloaded), or a path.

    A path is an .npz file or a folder of class folders. ``rng`` draws the parts of a source that
    is not divided into them. Raises DataError for anything else.
    """
    if name == "digits":
        return load_digits(rng)
    if name == "cifar10":
        return get_CIFAR10_data(data_dir=data_dir)
    path = Path(name)
    if path.is_dir():
        return load_image_folder(path, rng)
    if path.suffix == ".npz":
        return load_npz(path, rng)
    expected = f"{', '.join(DATASETS)}, an .npz file or a folder of class folders"
    found = f"a {path.suffix or 'file without a suffix'}" if path.exists() else "nothing there"
    raise DataError(f"data {os.fspath(name)!r}: expected {expected}, found {found}")
