"""CIFAR-10 (Krizhevsky, 2009), from the official files or smaller ones of their layout.

The binary version or the Python pickles; an unpacked folder, the folder that contains it, or the
archive, which is read in memory, so that none of its members is written to disk. Without a folder
it is downloaded, and used only where its size and SHA-256 are the published ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError, ParameterError
from convkit.training.data.cifar10_files import BINARY, PICKLED, Files, Layout, find_files
from convkit.training.data.dataset import Dataset, Parts, Preparation, Raw, assembled
from convkit.training.data.download import download
from convkit.training.data.pickles import read_pickle

__all__ = ["CLASSES", "get_CIFAR10_data", "read_CIFAR10"]

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
RECORD = 1 + PIXELS  # bytes: the label, then the red, the green and the blue plane

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SIZE = 170052171
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"

Part: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.integer[Any]]]


def get_CIFAR10_data(
    num_training: int = 49000,
    num_validation: int = 1000,
    num_test: int = 1000,
    subtract_mean: bool = True,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    preparation: Preparation | None = None,
) -> Dataset:
    """Return CIFAR-10: raw pixels 0 to 255 less the mean training image.

    The first ``num_training`` images, the ``num_validation`` after them and the first ``num_test``
    test images. Files with fewer training images than asked for are divided 49 : 1 (with at least
    500 for validation where there are 5,000), and all their test images are kept.
    """
    raw = read_CIFAR10(num_training, num_validation, num_test, data_dir=data_dir)
    return assembled(raw, preparation or ("mean" if subtract_mean else "plain"))


def read_CIFAR10(
    num_training: int = 49000,
    num_validation: int = 1000,
    num_test: int = 1000,
    *,
    data_dir: str | os.PathLike[str] | None = None,
) -> Raw:
    """Return the images that :func:`get_CIFAR10_data` returns, as they are in the files."""
    for name, count in (
        ("num_training", num_training),
        ("num_validation", num_validation),
        ("num_test", num_test),
    ):
        if not isinstance(count, int) or count < 1:
            raise ParameterError(f"{name} (={count!r}) must be an integer of at least 1")
    where = download(URL, SIZE, SHA256) if data_dir is None else data_dir
    files = find_files(Path(where))
    batches = [_read_batch(files, name) for name in files.layout.training]
    x = np.concatenate([images for images, _ in batches])
    y = np.concatenate([labels for _, labels in batches])
    x_test, y_test = _read_batch(files, files.layout.test)
    if num_training + num_validation > len(y):
        num_training, num_validation = _divide(files, len(y))
        num_test = len(y_test)
    end = num_training + num_validation
    parts: Parts = {
        "train": (x[:num_training], y[:num_training]),
        "val": (x[num_training:end], y[num_training:end]),
        "test": (x_test[:num_test], y_test[:num_test]),
    }
    return Raw(parts, _class_names(files), white=255.0, scale=1.0, where=str(files.where))


def _divide(files: Files, count: int) -> tuple[int, int]:
    """Return the sizes of the training and validation parts of a small set of images."""
    if count < 2:
        raise DataError(f"{files.where}: expected at least 2 training images, found {count}")
    validation = max(count // 50, 500 if count >= 5000 else 1)
    return count - validation, validation


def _read_batch(files: Files, name: str) -> Part:
    """Return the images (N, 3, 32, 32) and labels (N,) of one file."""
    where, content = files.read(name)
    x, y = _decode(files.layout, where, content)
    outside = (y < 0) | (y >= len(CLASSES))
    if outside.any():
        bad = int(np.argmax(outside))
        raise DataError(
            f"{where}: expected labels 0 to {len(CLASSES) - 1}, found {y[bad]} in record {bad}"
        )
    return x.reshape(-1, *SHAPE), y


def _decode(layout: Layout, where: str, content: bytes) -> Part:
    if layout is PICKLED:
        return _decode_pickle(where, read_pickle(where, content))
    if not content or len(content) % RECORD:
        raise DataError(
            f"{where}: expected records of {RECORD} bytes, at least one and none cut short, "
            f"found {len(content)} bytes"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return records[:, 1:], records[:, 0]


def _decode_pickle(where: str, batch: Any) -> Part:
    data, labels = _get(batch, "data"), _get(batch, "labels")
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.ndim != 2
        or data.shape[1] != PIXELS
        or not len(data)
    ):
        found = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else None
        raise DataError(
            f"{where}: expected under 'data' bytes of shape (N, {PIXELS}), "
            f"found {found or _kind(data)}"
        )
    if not isinstance(labels, list) or len(labels) != len(data):
        found = f"a list of {len(labels)}" if isinstance(labels, list) else _kind(labels)
        raise DataError(
            f"{where}: expected under 'labels' a list of {len(data)} labels, found {found}"
        )
    if not all(isinstance(label, int) for label in labels):
        raise DataError(f"{where}: expected integers under 'labels', found other objects")
    return data, np.array(labels)


def _get(batch: Any, key: str) -> Any:
    """Return a dictionary's entry; its keys are bytes when Python 2 wrote it."""
    if not isinstance(batch, Mapping):
        return None
    return batch.get(key.encode(), batch.get(key))


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _class_names(files: Files) -> list[str]:
    """Return the names in the files' own list, or the official ones where they have none."""
    if files.layout.names not in files:
        return list(CLASSES)
    where, content = files.read(files.layout.names)
    if files.layout is BINARY:
        names = content.decode("utf-8", errors="replace").split()
    else:
        listed = _get(read_pickle(where, content), "label_names")
        names = [
            name.decode("utf-8", errors="replace") if isinstance(name, bytes) else str(name)
            for name in (listed if isinstance(listed, list) else [])
        ]
    if len(names) != len(CLASSES):
        raise DataError(f"{where}: expected {len(CLASSES)} class names, found {len(names)}")
    return names
