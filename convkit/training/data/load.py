"""One function for every kind of source: it picks the loader."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from convkit.errors import DataError, ParameterError
from convkit.preprocessing import Preprocessing
from convkit.training.data.cifar10 import read_CIFAR10
from convkit.training.data.dataset import DATASETS, Dataset, Preparation, Raw, assembled
from convkit.training.data.digits import read_digits
from convkit.training.data.folders import FolderOptions, read_image_folder
from convkit.training.data.npz import read_npz

__all__ = ["load_data", "read_data"]


def load_data(
    name: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    rng: int | np.random.Generator | None = 0,
    preparation: Preparation = "mean",
    folder: FolderOptions | None = None,
) -> Dataset:
    """Load ``"digits"``, ``"cifar10"`` (from ``data_dir``, else downloaded), or a path.

    A path is an .npz file or a folder of class folders. ``rng`` draws the parts of a source that
    is not divided into them. ``preparation`` is "plain" (scaled only), "mean" (less the mean
    training image) or "standardise" (per channel), or the preprocessing of a network. ``folder``
    says how a folder of images is read. Raises DataError for anything else, and ParameterError for
    what ``folder`` says of another source.
    """
    preprocessing = preparation if isinstance(preparation, Preprocessing) else None
    raw = read_data(name, data_dir, preprocessing, folder)
    return assembled(raw.divided(rng), preparation)


def read_data(
    name: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    preprocessing: Preprocessing | None = None,
    folder: FolderOptions | None = None,
) -> Raw:
    """Return what :func:`load_data` loads, as the source has it.

    With a network's preprocessing, image files of any size and mode get the network's.
    """
    if name not in DATASETS and Path(name).is_dir():
        return read_image_folder(name, preprocessing, folder)
    given = [key for key, value in asdict(folder).items() if value] if folder else []
    if given:
        raise ParameterError(
            f"{given[0]} (={getattr(folder, given[0])!r}) goes with a folder of images, not with "
            f"data {os.fspath(name)!r}; leave it out"
        )
    if name == "digits":
        return read_digits()
    if name == "cifar10":
        return read_CIFAR10(data_dir=data_dir)
    path = Path(name)
    if path.suffix == ".npz":
        return read_npz(path)
    expected = f"{', '.join(DATASETS)}, an .npz file or a folder of class folders"
    found = f"a {path.suffix or 'file without a suffix'}" if path.exists() else "nothing there"
    raise DataError(f"data {os.fspath(name)!r}: expected {expected}, found {found}")
