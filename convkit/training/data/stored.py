"""Images in one file of raw rows, read by their indices: what memory does not hold.

The rows, one after the other and unpadded, then what is known of them as JSON, then the length of
that and a mark. The file is written whole or not at all, and its name says of which source it is,
so one that is there can be used. Rows are read with ``pread``: unlike a memory map's, their pages
are the system's and not the process's, and threads and forked processes do not meet.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.files import atomic_write
from convkit.training.arrays import positions

__all__ = ["SUFFIX", "StoredImages", "open_stored", "write_stored"]

SUFFIX = ".images"
DAY = 24 * 3600.0  # seconds
MARK = b"convkit1"
TAIL = 8 + len(MARK)  # bytes: the length of the JSON, and the mark
_SEEKING = threading.Lock()


class StoredImages:
    """Rows (N, ...) of a file, read by an array of indices. It can be sent to other processes.

    ``about`` is what was written beside them. Raises DataError where the file has been cut.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], about: dict[str, Any]
    ) -> None:
        self.path, self.shape, self.dtype, self.about = path, shape, dtype, about
        self._file: IO[bytes] = open(path, "rb", buffering=0)  # noqa: SIM115 - as long as it lives

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        indices = positions(key, len(self))
        rows = np.empty((len(indices), *self.shape[1:]), self.dtype)
        if not len(rows):
            return rows
        size = rows.nbytes // len(rows)
        content = rows.reshape(-1).view(np.uint8).data
        ends = np.flatnonzero(np.diff(indices) != 1) + 1  # of runs that lie side by side
        starts = [0, *ends.tolist()]
        for start, end in zip(starts, [*starts[1:], len(indices)], strict=True):
            self._fill(content[start * size : end * size], int(indices[start]) * size)
        return rows

    def _fill(self, buffer: memoryview, offset: int) -> None:
        """Read as many bytes as a buffer has."""
        while len(buffer):
            if hasattr(os, "preadv"):
                count = os.preadv(self._file.fileno(), [buffer], offset)
            else:
                with _SEEKING:
                    self._file.seek(offset)
                    count = self._file.readinto(buffer)  # type: ignore[attr-defined]
            if not count:
                raise DataError(f"{self.path}: expected {self.shape[0]} images, found it cut short")
            buffer, offset = buffer[count:], offset + count

    def __reduce__(self) -> Any:
        return open_again, (self.path, self.about)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


def open_stored(path: Path) -> StoredImages | None:
    """Return the images of a file, or None where there is none, or one that is not whole."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            tail = file.read()
            length = int.from_bytes(tail[:8], "little")
            if len(tail) != TAIL or not tail.endswith(MARK) or length > size - TAIL:
                return None
            file.seek(size - TAIL - length)
            about = json.loads(file.read(length))
        shape, dtype = tuple(about["shape"]), np.dtype(about["dtype"])
        if math.prod(shape) * dtype.itemsize != size - TAIL - length:
            return None
        return StoredImages(path, shape, dtype, about)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def open_again(path: Path, about: dict[str, Any]) -> StoredImages:
    """Return the images of a file that was open in another process."""
    images = open_stored(path)
    if images is None or images.about != about:
        raise DataError(f"{path}: expected the images that were there, found none or others")
    return images


def _tidy(folder: Path) -> None:
    """Remove what processes that were killed have left half written: it is large."""
    for rest in folder.glob(f".*{SUFFIX}.*.tmp"):
        try:
            if time.time() - rest.stat().st_mtime > DAY:
                rest.unlink()
        except OSError:  # another process was faster
            continue


def write_stored(
    path: Path, rows: Iterable[npt.NDArray[Any]], about: dict[str, Any]
) -> StoredImages:
    """Write rows of one shape and dtype, and ``about`` as it is when they have all come.

    Its "shape" is that of one row, and "dtype" theirs. Raises DataError where the file cannot be
    written; what ``rows`` raises leaves none behind.
    """
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent)
        with atomic_write(path) as file:
            for row in rows:
                file.write(np.ascontiguousarray(row, about["dtype"]))
                count += 1
            whole = {**about, "shape": [count, *about["shape"]]}
            content = json.dumps(whole).encode("ascii")
            file.write(content + len(content).to_bytes(8, "little") + MARK)
    except OSError as error:
        raise DataError(
            f"{path.parent}: expected a folder to keep images in, found that it cannot be written "
            f"({error.strerror or error}); name another one as cache (--cache-dir)"
        ) from None
    images = open_stored(path)
    if images is None:
        raise DataError(f"{path}: expected the images that were written, found others")
    return images
