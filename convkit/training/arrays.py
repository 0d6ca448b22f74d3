"""Arrays that need not be in memory: what training asks of the arrays of a data set.

That is a shape, a dtype, a length and indexing with an array of integers, so a data set may be a
file, a memory map or an object of another library. Nothing here may read a whole one.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ShapeError

__all__ = ["Indexed", "Source", "in_memory", "positions", "source"]

Array: TypeAlias = npt.NDArray[Any]


class Source(Protocol):
    """What can be trained on: N rows, read by their indices."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, then the shape of one row."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the rows."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, indices: Any) -> Any:
        """Return the rows (n, ...) of an array of n indices, in its order."""


class Indexed:
    """A source whose rows are NumPy arrays, whatever its own are; slices are indices.

    Indexing raises ShapeError where the source returns something else than it was asked for.
    """

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self.shape: tuple[int, ...] = (len(rows), *(int(size) for size in rows.shape[1:]))
        self.dtype = rows.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        indices = positions(key, len(self))
        found = np.asarray(self.rows[indices])
        if found.shape != (len(indices), *self.shape[1:]):
            raise ShapeError(
                f"{type(self.rows).__name__}[{len(indices)} indices] must have the shape "
                f"{(len(indices), *self.shape[1:])}, but it has {found.shape}"
            )
        return found


def positions(key: Any, count: int) -> npt.NDArray[np.intp]:
    """Return a slice, a mask or a list of indices of ``count`` rows as an array of integers."""
    if isinstance(key, np.ndarray) and key.ndim == 1 and key.dtype.kind in "iu" and len(key):
        given: Array = key
        if given.min() >= 0 and given.max() < count:  # each batch: nothing of all rows is made
            return given.astype(np.intp, copy=False)
    return np.atleast_1d(np.arange(count)[key])


def source(array: Any) -> Any:
    """Return what can be indexed with an array of integers, and has a shape and a dtype.

    A NumPy array is returned as it is, and an object that has both and is none as
    :class:`Indexed`; anything else becomes an array.
    """
    if isinstance(array, np.ndarray | Indexed):
        return array
    lazy = all(hasattr(array, name) for name in ("shape", "dtype", "__len__", "__getitem__"))
    return Indexed(array) if lazy and len(array.shape) else np.asarray(array)


def in_memory(array: Any) -> Array:
    """Return all rows of a source, or of anything that NumPy reads, as an array."""
    rows = source(array)
    return rows if isinstance(rows, np.ndarray) else np.asarray(rows[np.arange(len(rows))])
