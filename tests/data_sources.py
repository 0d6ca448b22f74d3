"""An array of a data set that is no NumPy array: it has what training may use, and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class OnlyIndices:
    """Rows of a shape and a dtype, read by an array of integers; anything else raises."""

    def __init__(self, rows: npt.NDArray[Any], most: int | None = None) -> None:
        self._rows, self._most = rows, most
        self.shape, self.dtype = rows.shape, rows.dtype
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: Any) -> npt.NDArray[Any]:
        assert isinstance(indices, np.ndarray), indices
        assert indices.ndim == 1, indices
        assert indices.dtype.kind in "iu", indices
        assert self._most is None or len(indices) <= self._most, "too many rows at a time"
        self.asked.append(len(indices))
        return self._rows[indices]

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not among what an array of a data set needs to have")

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        raise AssertionError("the whole of it was read")

    def __iter__(self) -> Any:
        raise AssertionError("the whole of it was read")
