"""Filters and images as arrays to display: values in [0, 1], never NaN inside a tile."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ShapeError

Array: TypeAlias = npt.NDArray[np.floating[Any]]


def to_unit(values: npt.ArrayLike) -> Array:
    """Values of any shape scaled to [0, 1]; a constant array becomes 0.5, not NaN.

    Infinite values become 0 or 1, NaN becomes 0.5, and none of them affects the scaling.
    """
    data = np.asarray(values, dtype=np.float64)
    finite = data[np.isfinite(data)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if high > low:
        # Halved first, so that the difference of two huge values does not overflow.
        scaled = (data / 2 - low / 2) / (high / 2 - low / 2)
    else:
        scaled = np.where(np.isfinite(data), 0.5, data)
    return np.clip(np.nan_to_num(scaled, nan=0.5, posinf=1.0, neginf=0.0), 0.0, 1.0)


def image_to_unit(image: npt.ArrayLike) -> Array:
    """An image (C, H, W) as (H, W, 3) where C = 3 and as (H, W) otherwise, in [0, 1].

    With neither one nor three channels the channels are averaged.
    """
    data = to_unit(image)
    return data.transpose(1, 2, 0) if data.shape[0] == 3 else data.mean(axis=0)


def tile(filters: npt.ArrayLike, seam: int = 1) -> tuple[Array, tuple[int, int]]:
    """Filters (F, C, KH, KW) side by side, each tile scaled to [0, 1] separately.

    Three channels are shown as one coloured tile per filter, one channel as one grey tile, in a
    grid as near to a square as F allows. Any other number of channels gives a row per filter with
    a grey tile per channel. Returns the picture, (H, W, 3) or (H, W), and its (rows, columns) of
    tiles; the seams between tiles and cells without a tile are NaN.

    Raises ShapeError where ``filters`` has not four axes or is empty.
    """
    weights = np.asarray(filters)
    if weights.ndim != 4 or 0 in weights.shape:
        raise ShapeError(
            f"filters.shape (={weights.shape}) must have four axes (F, C, KH, KW), none empty"
        )
    count, channels, high, wide = weights.shape
    if channels in (1, 3):
        columns = int(np.ceil(np.sqrt(count)))
        tiles = [to_unit(one).transpose(1, 2, 0) for one in weights]
    else:
        columns = channels
        tiles = [to_unit(plane)[..., None] for one in weights for plane in one]
    rows = -(-len(tiles) // columns)
    depth = tiles[0].shape[-1]
    picture = np.full((rows * (high + seam) - seam, columns * (wide + seam) - seam, depth), np.nan)
    for cell, one_tile in enumerate(tiles):
        top = cell // columns * (high + seam)
        left = cell % columns * (wide + seam)
        picture[top : top + high, left : left + wide] = one_tile
    return (picture if depth == 3 else picture[..., 0]), (rows, columns)
