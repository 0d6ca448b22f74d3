"""A convolution with relu, and with relu and max pooling, in one call.

Shapes and geometry arguments are those of :func:`convkit.conv_forward`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from convkit.calls import dispatch
from convkit.calls.dispatch import Cache
from convkit.functions.calling import call_merged, values_of
from convkit.operations import CONV_PARAM, CONV_RELU, CONV_RELU_POOL, MAX_POOL_PARAM
from convkit.spec import Axes, Pad, PadMode

if TYPE_CHECKING:
    import numpy.typing as npt

    from convkit.contract import Array
    from convkit.selection.request import Choice

    Gradients: TypeAlias = tuple[Array | None, Array | None, Array | None]
    Param: TypeAlias = Mapping[str, Any]

__all__ = [
    "conv_relu",
    "conv_relu_backward",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
]


def conv_relu_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    conv_param: Param | None = None,
    *,
    stride: Axes | None = None,
    pad: Pad | None = None,
    dilation: Axes | None = None,
    groups: int | None = None,
    pad_mode: PadMode | None = None,
    backend: Choice | None = None,
) -> tuple[Array, Cache]:
    """Convolve, and apply relu(z) = max(z, 0).

    One pass where the backend has one, otherwise composed of its convolution. relu keeps NaN; its
    derivative is 1 where z > 0, else 0. Arguments and errors are those of
    :func:`convkit.conv_forward`; returns out and the cache for :func:`conv_relu_backward`.
    """
    values = (stride, pad, dilation, groups, pad_mode, backend)
    pair: tuple[Array, Cache] = call_merged(True, CONV_RELU, (x, w, b), conv_param, values)
    return pair


def conv_relu_backward(
    dout: npt.ArrayLike, cache: Cache, *, needs: tuple[str, ...] = CONV_RELU.gradients
) -> Gradients:
    """Return the gradients (dx, dw, db) of :func:`conv_relu_forward`.

    ``needs`` and errors are those of :func:`convkit.conv_backward`.
    """
    gradients: Gradients = dispatch.backward(CONV_RELU, dout, cache, needs)
    return gradients


def conv_relu(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    conv_param: Param | None = None,
    *,
    stride: Axes | None = None,
    pad: Pad | None = None,
    dilation: Axes | None = None,
    groups: int | None = None,
    pad_mode: PadMode | None = None,
    backend: Choice | None = None,
) -> Array:
    """Return :func:`conv_relu_forward`'s out alone: inference, nothing is kept."""
    values = (stride, pad, dilation, groups, pad_mode, backend)
    out: Array = call_merged(False, CONV_RELU, (x, w, b), conv_param, values)
    return out


def conv_relu_pool_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None,
    conv_param: Param,
    pool_param: Param,
    *,
    backend: Choice | None = None,
) -> tuple[Array, Cache]:
    """Convolve, apply relu(z) = max(z, 0), take the maximum of every window.

    One pass where the backend has one, otherwise composed of its parts. relu keeps NaN; its
    derivative is 1 where z > 0, else 0. Parameters are those of :func:`convkit.conv_forward` and
    :func:`convkit.max_pool_forward`; returns out and the cache for :func:`conv_relu_pool_backward`.
    """
    geometry = []
    for parameters, param in ((CONV_PARAM, conv_param), (MAX_POOL_PARAM, pool_param)):
        values, backend = values_of(parameters, param, backend)
        geometry.append(values)
    pair: tuple[Array, Cache] = dispatch.call(True, CONV_RELU_POOL, (x, w, b), geometry, backend)
    return pair


def conv_relu_pool_backward(
    dout: npt.ArrayLike, cache: Cache, *, needs: tuple[str, ...] = CONV_RELU_POOL.gradients
) -> Gradients:
    """Return the gradients (dx, dw, db) of :func:`conv_relu_pool_forward`.

    ``needs`` and errors are those of :func:`convkit.conv_backward`.
    """
    gradients: Gradients = dispatch.backward(CONV_RELU_POOL, dout, cache, needs)
    return gradients
