"""Images that are not in memory: some of them, and all of them prepared.

What :class:`~convkit.training.data.dataset.Raw` divides and a Dataset prepares may be a NumPy array
or a source, as :mod:`convkit.training.arrays` has it. Of a source, both are said here and done when
rows are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError
from convkit.preprocessing import Preprocessing
from convkit.training.arrays import positions

__all__ = ["Prepared", "Subset", "choose", "chunks", "joined", "prepared"]

Array: TypeAlias = npt.NDArray[Any]

CHUNK = 2**22
"""So many numbers are read at a time where all are needed once."""


class Lazy:
    """Rows of ``base`` by indices.

    A slice, a list or a mask of them is read as an array, and one row by its number.
    """

    base: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        rows = self._read(positions(key, len(self)))
        return rows[0] if isinstance(key, int | np.integer) else rows

    def _read(self, indices: npt.NDArray[np.intp]) -> Array:
        raise NotImplementedError

    def take(self, indices: npt.NDArray[np.integer[Any]]) -> Lazy:
        """Return the rows of these indices, unread."""
        raise NotImplementedError


class Subset(Lazy):
    """The rows of a source at ``indices``, in their order."""

    def __init__(self, base: Any, indices: npt.NDArray[np.integer[Any]]) -> None:
        self.base, self.indices = base, indices
        self.shape, self.dtype = (len(indices), *base.shape[1:]), base.dtype

    def _read(self, indices: npt.NDArray[np.intp]) -> Array:
        return np.asarray(self.base[self.indices[indices]])

    def take(self, indices: npt.NDArray[np.integer[Any]]) -> Subset:
        """Return the rows of these indices, unread."""
        return Subset(self.base, self.indices[indices])


class Prepared(Lazy):
    """The rows of a source after a preprocessing, float32."""

    def __init__(self, base: Any, preprocessing: Preprocessing) -> None:
        self.base, self.preprocessing = base, preprocessing
        self.shape, self.dtype = tuple(base.shape), np.dtype(np.float32)

    def _read(self, indices: npt.NDArray[np.intp]) -> Array:
        return self.preprocessing.apply(self.base[indices])

    def take(self, indices: npt.NDArray[np.integer[Any]]) -> Prepared:
        """Return the rows of these indices, unread."""
        return Prepared(choose(self.base, indices), self.preprocessing)


def choose(rows: Any, indices: npt.NDArray[np.integer[Any]]) -> Any:
    """Return the rows of an array at ``indices``; those of a source stay unread."""
    if isinstance(rows, np.ndarray):
        return rows[indices]
    return rows.take(indices) if isinstance(rows, Lazy) else Subset(rows, indices)


def joined(pieces: Sequence[Any]) -> Any:
    """Return the rows of several arrays, or of several subsets of one source, as one."""
    if all(isinstance(piece, np.ndarray) for piece in pieces):
        return np.concatenate(list(pieces))
    base = getattr(pieces[0], "base", None)
    if not all(isinstance(piece, Subset) and piece.base is base for piece in pieces):
        raise ParameterError("parts that are joined must be arrays, or subsets of one source")
    return Subset(base, np.concatenate([piece.indices for piece in pieces]))


def prepared(rows: Any, preprocessing: Preprocessing) -> Any:
    """Return rows after a preprocessing: an array as one in memory, a source as one."""
    if isinstance(rows, np.ndarray):
        return preprocessing.apply(rows)
    return Prepared(rows, preprocessing)


def chunks(rows: Any) -> Iterator[Array]:
    """Yield all rows in their order, a few at a time."""
    count = max(1, CHUNK // max(1, int(np.prod(rows.shape[1:]))))
    for start in range(0, len(rows), count):
        yield np.asarray(rows[np.arange(start, min(start + count, len(rows)))])
