"""Images from a folder with one folder per class.

``FOLDER/<class>/<image>``, or divided into parts ``FOLDER/train/<class>/<image>`` and
``FOLDER/test/...`` (and ``FOLDER/val/...``). Names that begin with a dot are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.images import decode
from convkit.names import printable
from convkit.preprocessing import Preprocessing
from convkit.training.data.dataset import Dataset, Parts, Preparation, Raw, assembled
from convkit.training.data.npz import raw_parts

__all__ = ["load_image_folder", "read_image_folder"]


def load_image_folder(
    path: str | os.PathLike[str],
    rng: int | np.random.Generator | None = 0,
    preparation: Preparation = "mean",
) -> Dataset:
    """Load all images, which must have one size and one number of channels; classes by name.

    ``rng`` draws the parts of a folder that is not divided into them.
    """
    return assembled(read_image_folder(path).divided(rng), preparation)


def read_image_folder(
    path: str | os.PathLike[str], preprocessing: Preprocessing | None = None
) -> Raw:
    """Return what :func:`load_image_folder` loads, as it is in the files.

    With a network's preprocessing the images may have any size and mode: they get the network's,
    and its scale.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of class folders, found no such folder")
    names = {folder.name for folder in _entries(root)}
    if names in ({"train", "test"}, {"train", "val", "test"}):
        folders = {name: root / name for name in sorted(names)}
    else:
        folders = {"": root}
    files = {part: _class_files(folder) for part, folder in folders.items()}
    classes = sorted(next(iter(files.values())))
    for part, found in files.items():
        if sorted(found) != classes:
            raise DataError(
                f"{folders[part]}: expected the classes {', '.join(classes)}, "
                f"found {', '.join(sorted(found))}"
            )
    parts = _read_parts(files, classes, decode if preprocessing is None else _reader(preprocessing))
    raw = raw_parts(root, parts, [printable(c) for c in classes])
    return raw if preprocessing is None else replace(raw, white=preprocessing.white)


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _class_files(folder: Path) -> dict[str, list[Path]]:
    """Return the files of every class folder, by class."""
    classes: dict[str, list[Path]] = {}
    for entry in _entries(folder):
        if not entry.is_dir():
            raise DataError(f"{entry}: expected a folder of images of one class, found a file")
        classes[entry.name] = _entries(entry)
        if not classes[entry.name]:
            raise DataError(f"{entry}: expected images of the class, found an empty folder")
    if not classes:
        raise DataError(f"{folder}: expected one folder per class, found an empty folder")
    return classes


def _reader(preprocessing: Preprocessing) -> Callable[[Path], npt.NDArray[np.float32]]:
    """Return what reads a file for a network, in one dtype whatever the file's is."""
    return lambda file: preprocessing.read(file).astype(np.float32)


def _read_parts(
    files: dict[str, dict[str, list[Path]]], classes: list[str], read: Callable[[Path], Any]
) -> Parts:
    parts: Parts = {}
    first: tuple[Path, npt.NDArray[Any]] | None = None
    for part, by_class in files.items():
        images, labels = [], []
        for label, name in enumerate(classes):
            for file in by_class[name]:
                image = read(file)
                first = first or (file, image)
                if image.shape != first[1].shape or image.dtype != first[1].dtype:
                    raise DataError(
                        f"{file}: expected {_describe(first[1])}, as {first[0].name} has, "
                        f"found {_describe(image)}"
                    )
                images.append(image)
                labels.append(label)
        parts[part] = np.stack(images), np.array(labels)
    return parts


def _describe(image: npt.NDArray[Any]) -> str:
    channels, height, width = image.shape
    plural = "s" if channels > 1 else ""
    return f"{width}x{height} pixels of {channels} channel{plural}, {image.dtype}"
