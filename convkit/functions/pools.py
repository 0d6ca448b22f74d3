"""Maximum and average pooling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from convkit.calls import dispatch
from convkit.calls.dispatch import Cache
from convkit.calls.params import merge
from convkit.operations import AVG_POOL, AVG_POOL_PARAM, MAX_POOL, MAX_POOL_PARAM
from convkit.spec import Axes, Pad

if TYPE_CHECKING:
    import numpy.typing as npt

    from convkit.contract import Array
    from convkit.selection.request import Choice

    Param: TypeAlias = Mapping[str, Any]

__all__ = [
    "avg_pool",
    "avg_pool_backward",
    "avg_pool_forward",
    "max_pool",
    "max_pool_backward",
    "max_pool_forward",
]


def max_pool_forward(
    x: npt.ArrayLike,
    pool_param: Param | None = None,
    *,
    kernel: Axes | None = None,
    stride: Axes | None = None,
    pad: Pad | None = None,
    dilation: Axes | None = None,
    ceil_mode: bool | None = None,
    backend: Choice | None = None,
) -> tuple[Array, Cache]:
    """Take the maximum of every window of x.

    Padding never wins; NaN wins; of equal maxima the first in row-major order counts.

    Parameters
    ----------
    x:
        (N, C, H, W).
    pool_param:
        The keywords as a dictionary, as in CS231n, where the window may be given as
        ``pool_height`` and ``pool_width``.
    kernel, stride, pad, dilation:
        The window's size (needed), and by default kernel, 0 and 1.
    ceil_mode:
        Default False. Round the output size up; windows that would start in the end padding are
        dropped.
    backend:
        As in :func:`conv_forward`.

    Returns
    -------
    out, cache:
        (N, C, OH, OW), and what :func:`max_pool_backward` needs.
    """
    if pool_param is not None:
        given = (kernel, stride, pad, dilation, ceil_mode, backend)
        kernel, stride, pad, dilation, ceil_mode, backend = merge(MAX_POOL_PARAM, pool_param, given)
    pair: tuple[Array, Cache] = dispatch.pool(
        True, MAX_POOL, x, kernel, stride, pad, dilation, ceil_mode, None, backend
    )
    return pair


def max_pool_backward(dout: npt.ArrayLike, cache: Cache) -> Array:
    """Return dx of a max pooling: each gradient goes whole to its window's first maximum.

    Where windows overlap, gradients add up. Raises CacheError, ShapeError or DtypeError.
    """
    dx: Array = dispatch.backward(MAX_POOL, dout, cache)
    return dx


def max_pool(
    x: npt.ArrayLike,
    pool_param: Param | None = None,
    *,
    kernel: Axes | None = None,
    stride: Axes | None = None,
    pad: Pad | None = None,
    dilation: Axes | None = None,
    ceil_mode: bool | None = None,
    backend: Choice | None = None,
) -> Array:
    """Return :func:`max_pool_forward`'s out alone: inference, nothing is kept for backward."""
    if pool_param is not None:
        given = (kernel, stride, pad, dilation, ceil_mode, backend)
        kernel, stride, pad, dilation, ceil_mode, backend = merge(MAX_POOL_PARAM, pool_param, given)
    out: Array = dispatch.pool(
        False, MAX_POOL, x, kernel, stride, pad, dilation, ceil_mode, None, backend
    )
    return out


def avg_pool_forward(
    x: npt.ArrayLike,
    pool_param: Param | None = None,
    *,
    kernel: Axes | None = None,
    stride: Axes | None = None,
    pad: Pad | None = None,
    ceil_mode: bool | None = None,
    count_include_pad: bool | None = None,
    backend: Choice | None = None,
) -> tuple[Array, Cache]:
    """Take the average of every window of x.

    The sum is divided by the number of real pixels in the window, or with ``count_include_pad``
    (default False) by the number of pixels inside the padded image. Otherwise as
    :func:`max_pool_forward`.
    """
    if pool_param is not None:
        given = (kernel, stride, pad, ceil_mode, count_include_pad, backend)
        kernel, stride, pad, ceil_mode, count_include_pad, backend = merge(
            AVG_POOL_PARAM, pool_param, given
        )
    pair: tuple[Array, Cache] = dispatch.pool(
        True, AVG_POOL, x, kernel, stride, pad, None, ceil_mode, count_include_pad, backend
    )
    return pair


def avg_pool_backward(dout: npt.ArrayLike, cache: Cache) -> Array:
    """Return dx of an average pooling. Raises CacheError, ShapeError or DtypeError."""
    dx: Array = dispatch.backward(AVG_POOL, dout, cache)
    return dx


def avg_pool(
    x: npt.ArrayLike,
    pool_param: Param | None = None,
    *,
    kernel: Axes | None = None,
    stride: Axes | None = None,
    pad: Pad | None = None,
    ceil_mode: bool | None = None,
    count_include_pad: bool | None = None,
    backend: Choice | None = None,
) -> Array:
    """Return :func:`avg_pool_forward`'s out alone: inference, nothing is kept for backward."""
    if pool_param is not None:
        given = (kernel, stride, pad, ceil_mode, count_include_pad, backend)
        kernel, stride, pad, ceil_mode, count_include_pad, backend = merge(
            AVG_POOL_PARAM, pool_param, given
        )
    out: Array = dispatch.pool(
        False, AVG_POOL, x, kernel, stride, pad, None, ceil_mode, count_include_pad, backend
    )
    return out
