"""Functions of windows that no backend has a method for, re-exported by :mod:`convkit.api`.

`unfold` and `fold` are each other's adjoint, so that either is the other's backward; the gradient
of `max_pool_indices`' out is that of :func:`convkit.max_pool_backward`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit.calls import arrays, dispatch, windows
from convkit.calls.params import merge
from convkit.errors import BackendResultError, ShapeError
from convkit.operations import MAX_POOL, MAX_POOL_PARAM
from convkit.spec import Axes, Pad, PoolSpec, UnfoldSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from convkit.contract import Array
    from convkit.selection.request import Choice

__all__ = ["fold", "max_pool_indices", "unfold"]


def max_pool_indices(
    x: npt.ArrayLike,
    pool_param: Mapping[str, Any] | None = None,
    *,
    kernel: Axes | None = None,
    stride: Axes | None = None,
    pad: Pad | None = None,
    dilation: Axes | None = None,
    ceil_mode: bool | None = None,
    backend: Choice | None = None,
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the maximum of every window of x, and where it is.

    Arguments and errors are those of :func:`convkit.max_pool`, whose result out is. The index is
    that of the pixel within its image and channel, over all spatial axes in row-major order, as in
    PyTorch: ``x.reshape(N, C, -1)`` holds out at the indices. Of equal maxima it is the first;
    where a window holds NaN, it is the first NaN.

    Returns
    -------
    out, indices:
        Both (N, C, OH, OW); indices are int64.
    """
    if pool_param is not None:
        given = (kernel, stride, pad, dilation, ceil_mode, backend)
        kernel, stride, pad, dilation, ceil_mode, backend = merge(MAX_POOL_PARAM, pool_param, given)
    x = arrays.as_input("x", x)
    out: Array = dispatch.pool(
        False, MAX_POOL, x, kernel, stride, pad, dilation, ceil_mode, None, backend
    )
    geometry = MAX_POOL_PARAM.given((kernel, stride, pad, dilation, ceil_mode))
    spec = PoolSpec.of(x, kind="max", **geometry)
    indices = windows.first_maxima(spec, x, out)
    if (indices < 0).any():
        place = tuple(map(int, np.argwhere(indices < 0)[0]))
        raise BackendResultError(
            f"the backend returned {out[place]} as out{list(place)} of {spec}, which no pixel of "
            "its window is; convkit.explain says which backend it is"
        )
    return out, indices


def unfold(
    x: npt.ArrayLike,
    *,
    kernel: Axes,
    stride: Axes = 1,
    pad: Pad = 0,
    dilation: Axes = 1,
) -> Array:
    """Return the windows of x as columns (im2col), as PyTorch lays them out.

    Parameters
    ----------
    x:
        (N, C, H, W), or with any number of spatial axes.
    kernel, stride, pad, dilation:
        As of a convolution; padding is 0.

    Returns
    -------
    columns:
        (N, C * KH * KW, L), where L = OH * OW is the number of windows. Row c * KH * KW + i * KW
        + j holds what tap (i, j) reads in channel c, so ``w.reshape(F, -1) @ columns`` is a
        convolution.

    Raises
    ------
    ShapeError, ParameterError, DtypeError:
        Where an argument does not fit.
    """
    x = arrays.as_input("x", x)
    spec = UnfoldSpec.of(x, kernel=kernel, stride=stride, pad=pad, dilation=dilation)
    return windows.to_columns(spec, x)


def fold(
    columns: npt.ArrayLike,
    x_shape: tuple[int, ...],
    *,
    kernel: Axes,
    stride: Axes = 1,
    pad: Pad = 0,
    dilation: Axes = 1,
) -> Array:
    """Add columns up in the pixels that they were read from (col2im): the adjoint of `unfold`.

    ``columns`` has the shape that `unfold` gives for an x of ``x_shape``, which is whole,
    (N, C, H, W), and with these parameters. What lies in the padding is left out. Raises as
    `unfold` does.
    """
    columns = arrays.as_input("columns", columns)
    spec = UnfoldSpec.of(
        x_shape, kernel=kernel, stride=stride, pad=pad, dilation=dilation, dtype=columns.dtype
    )
    if columns.shape != spec.columns_shape:
        raise ShapeError(
            f"columns.shape (={columns.shape}) must be (N, C * taps, windows) = "
            f"{spec.columns_shape} for {spec}"
        )
    return windows.from_columns(spec, columns)
