"""The plane of a result around its first wrong element, as plain data that a page can draw.

A failure carries it out of the process that found it, so it holds text and numbers only, and no
more than `SIDE` x `SIDE` elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from convkit import bounds
from convkit.conformance.reference import FloatArray

SIDE = 16
"""How many rows and columns a plane holds at most."""
BEFORE = 5
"""How many rows and columns it holds before the first wrong element, where there are as many."""

DRAWN = 20
"""How many failures of a run keep theirs: its first ones. The others keep the message alone."""

Texts: TypeAlias = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Plane:
    """A window of at most two axes of a result, with what was expected there.

    Attributes
    ----------
    name:
        The result, as the failure's message names it.
    shape, index:
        The whole result's shape, and its first wrong element.
    axes:
        The axes along the rows and the columns of the window; of an array of one axis that one.
        The other axes are fixed at ``index``.
    start:
        The first row and column of the window, counted in the whole result.
    got, expected:
        The window's values by rows. They are text, the shortest that means the same number, because
        JSON has no NaN and no infinities.
    wrong:
        Where they differ by more than the bound.
    """

    name: str
    shape: tuple[int, ...]
    index: tuple[int, ...]
    axes: tuple[int, ...]
    start: tuple[int, int]
    got: Texts
    expected: Texts
    wrong: tuple[tuple[bool, ...], ...]

    @classmethod
    def around(
        cls, name: str, index: tuple[int, ...], got: FloatArray, ref: FloatArray, bound: Any = 0.0
    ) -> Plane:
        """Cut the plane around ``index`` out of two arrays of one shape and their bound."""
        axes = _axes(got.shape)
        spans = {axis: _span(index[axis], got.shape[axis]) for axis in axes}
        where = tuple(slice(*spans.get(axis, (i, i + 1))) for axis, i in enumerate(index))
        cut, wanted, limit = (
            a[where].reshape(-1, len(range(*spans[axes[-1]])))
            for a in (got, ref, np.broadcast_to(bound, ref.shape))
        )
        first = (0, *(spans[axis][0] for axis in axes))
        return cls(
            name=name,
            shape=tuple(map(int, got.shape)),
            index=tuple(map(int, index)),
            axes=axes,
            start=(first[-2], first[-1]),
            got=_texts(cut),
            expected=_texts(wanted),
            wrong=tuple(map(tuple, bounds.wrong(cut, wanted, limit).tolist())),
        )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Plane:
        """Return the plane that ``dataclasses.asdict`` wrote, also where it went through JSON."""
        found: dict[str, Any] = dict(values)
        for key in ("shape", "index", "axes", "start"):
            found[key] = tuple(found[key])
        for key in ("got", "expected", "wrong"):
            found[key] = tuple(map(tuple, found[key]))
        return cls(**found)


def _axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the last two axes that are longer than 1, as far as there are two; else the last."""
    long = [axis for axis, size in enumerate(shape) if size > 1]
    short = [axis for axis, size in enumerate(shape) if size <= 1]
    return tuple(sorted([*short, *long][-2:]))


def _span(at: int, size: int) -> tuple[int, int]:
    """Return the first and the end of at most `SIDE` indices of an axis, with ``at`` among them."""
    start = max(0, min(at - BEFORE, size - SIDE))
    return start, min(size, start + SIDE)


def _texts(values: FloatArray) -> Texts:
    """Return numbers as text; what is wider than float64 rounded to it, as messages give it."""
    if values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    return tuple(tuple(map(str, row)) for row in values)
