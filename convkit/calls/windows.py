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
    taps = list(spec.taps())
    # A tap's score falls with its number, so that the first of equal ones has the highest: a
    # maximum is found without a branch, unlike an assignment under a mask.
    scores = np.zeros(spec.out_shape, np.min_scalar_type(len(taps)))
    with_nan = bool(np.isnan(out).any())
    for number, (_, outs, ins) in enumerate(taps):
        value, top, place = x[:, :, *ins], out[:, :, *outs], scores[:, :, *outs]
        equal = value == top
        if with_nan:
            equal |= (value != value) & (top != top)
        score = scores.dtype.type(len(taps) - number)
        np.maximum(place, np.multiply(equal, score, dtype=scores.dtype), out=place)
    indices = _flat_indices(spec, len(taps) - scores)
    indices[scores == 0] = -1
    return indices


def _flat_indices(spec: PoolSpec, taps: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the flat index, within its plane, of the tap of each window that has a number.

    The number after the last tap's is allowed, and means no pixel in particular. Place o reads
    pixel o * stride - pad + k * dilation by tap k, so the flat index is a sum of one number for
    each place and one for each tap.
    """
    first, offset = np.zeros((), np.int64), np.zeros((), np.int64)
    for axis, size in enumerate(spec.x_shape[2:]):
        starts = np.arange(spec.out_shape[2 + axis]) * spec.stride[axis] - spec.pad[axis][0]
        steps = np.arange(spec.kernel[axis]) * spec.dilation[axis]
        first = np.add.outer(first * size, starts)
        offset = np.add.outer(offset * size, steps)
    indices: npt.NDArray[np.int64] = np.append(offset, 0)[taps]
    indices += first
    return indices
