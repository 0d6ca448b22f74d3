"""Windows of an image in NumPy: as columns, back again, and where each one's maximum is.

Whole arrays at a time, one tap of the window after the other. Nothing here calls a backend.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.spec import PoolSpec, UnfoldSpec


def to_columns(spec: UnfoldSpec, x: Array) -> Array:
    """Return (N, C * taps, windows): what each tap of each window reads, 0 for padding."""
    columns = np.zeros(_by_tap(spec), spec.dtype)
    for place, (_, outs, ins) in enumerate(spec.taps()):
        columns[:, :, place, *outs] = x[:, :, *ins]
    return columns.reshape(spec.columns_shape)


def from_columns(spec: UnfoldSpec, columns: Array) -> Array:
    """Return (N, C, ...): each pixel the sum of the places in columns that read it."""
    x = np.zeros(spec.x_shape, spec.dtype)
    by_tap = columns.reshape(_by_tap(spec))
    with np.errstate(all="ignore"):  # infinities of both signs
        for place, (_, outs, ins) in enumerate(spec.taps()):
            x[:, :, *ins] += by_tap[:, :, place, *outs]
    return x


def _by_tap(spec: UnfoldSpec) -> tuple[int, ...]:
    return (*spec.x_shape[:2], math.prod(spec.kernel), *spec.out_shape[2:])


def first_maxima(spec: PoolSpec, x: Array, out: Array) -> npt.NDArray[np.int64]:
    """Return for each window the flat index, within its plane, of the first pixel that is its out.

    NaN counts as equal to NaN. -1 where no pixel of the window is.
    """
    found = np.full(spec.out_shape, -1, np.int64)
    plane: Any = np.arange(math.prod(spec.x_shape[2:])).reshape(spec.x_shape[2:])
    for _, outs, ins in reversed(list(spec.taps())):  # so that the first of equal ones stays
        value, top = x[:, :, *ins], out[:, :, *outs]
        equal = (value == top) | ((value != value) & (top != top))
        np.copyto(found[:, :, *outs], plane[ins], where=equal)
    return found
