"""The layer functions: normalise -> select -> call -> cache.

This is the stable API. It holds no loop over pixels and no geometry: :mod:`convkit.spec` works out
the sizes, :mod:`convkit.calls.dispatch` makes the call, and the values come from a backend.

Shapes, for any number of spatial axes (shown for two): x (N, C, H, W), w (F, C / groups, KH, KW),
b (F,), out (N, F, OH, OW). Every geometry argument is an int or one int per spatial axis; ``pad``
is also one (begin, end) pair per axis, ``"same"`` or ``"valid"``. An argument that is None was not
given: the default stated for it holds. All arrays of a call are of one dtype, float32 or float64,
in any layout; results are new C-contiguous arrays of that dtype, and inputs are never written to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from convkit.calls import dispatch
from convkit.calls.dispatch import Cache
from convkit.calls.params import merge
from convkit.conv_bn import conv_bn_relu, conv_bn_relu_backward, conv_bn_relu_forward
from convkit.fused import conv_relu, conv_relu_backward, conv_relu_forward
from convkit.norms import (
    batch_norm,
    batch_norm_backward,
    batch_norm_forward,
    group_norm,
    group_norm_backward,
    group_norm_forward,
)
from convkit.operations import (
    AVG_POOL,
    AVG_POOL_PARAM,
    CONV,
    CONV_PARAM,
    CONV_RELU_POOL,
    CONV_TRANSPOSE,
    CONV_TRANSPOSE_PARAM,
    MAX_POOL,
    MAX_POOL_PARAM,
)
from convkit.spec import Axes, Pad, PadMode
from convkit.windows import fold, max_pool_indices, unfold

if TYPE_CHECKING:
    import numpy.typing as npt

    from convkit.contract import Array
    from convkit.selection.request import Choice

    Gradients: TypeAlias = tuple[Array | None, Array | None, Array | None]
    Param: TypeAlias = Mapping[str, Any]

__all__ = [
    "Cache",
    "avg_pool",
    "avg_pool_backward",
    "avg_pool_forward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_forward",
    "conv",
    "conv_backward",
    "conv_bn_relu",
    "conv_bn_relu_backward",
    "conv_bn_relu_forward",
    "conv_forward",
    "conv_relu",
    "conv_relu_backward",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
    "conv_transpose",
    "conv_transpose_backward",
    "conv_transpose_forward",
    "fold",
    "group_norm",
    "group_norm_backward",
    "group_norm_forward",
    "max_pool",
    "max_pool_backward",
    "max_pool_forward",
    "max_pool_indices",
    "unfold",
]

# --- convolution ----------------------------------------------------------------------------


def conv_forward(
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
    """Cross-correlate x with the filters w and add the bias b.

    out[n, f, o] = b[f] + sum over c, k of w[f, c, k] * x[n, c', o * stride - pad + k * dilation],
    where c' runs over the channels of the filter's group and pixels outside x are as ``pad_mode``
    says.
    Output size: floor((H + pads - ((KH - 1) * dilation + 1)) / stride) + 1.

    Parameters
    ----------
    x, w, b:
        (N, C, H, W), (F, C / groups, KH, KW) and (F,) or None.
    conv_param:
        The keywords as a dictionary, as in CS231n: ``{"stride": 1, "pad": 0}``.
    stride, pad, dilation, groups:
        Default 1, 0, 1 and 1.
    pad_mode:
        Default "zeros". Or what NumPy calls so: "circular" (the image repeats), "reflect" (mirrored
        without its outermost pixel), "symmetric" (mirrored with it) or "edge" (its outermost pixel
        repeats). Then padding holds copies of pixels, dx sums what all copies of a pixel received,
        and pad is at most the image's size ("reflect": below it; "edge": any).
    backend:
        A name, a comma list of names, or a backend object, for this call only.

    Returns
    -------
    out, cache:
        (N, F, OH, OW), and what :func:`conv_backward` needs.

    Raises
    ------
    ShapeError, ParameterError, DtypeError:
        Where an argument does not fit.
    BackendNotFoundError, BackendLoadError, BackendUnsupportedError:
        Where the chosen backend cannot compute it.
    """
    if conv_param is not None:
        given = (stride, pad, dilation, groups, pad_mode, backend)
        stride, pad, dilation, groups, pad_mode, backend = merge(CONV_PARAM, conv_param, given)
    pair: tuple[Array, Cache] = dispatch.conv(
        True, x, w, b, stride, pad, dilation, groups, pad_mode, backend
    )
    return pair


def conv_backward(
    dout: npt.ArrayLike, cache: Cache, *, needs: tuple[str, ...] = CONV.gradients
) -> Gradients:
    """Return the gradients (dx, dw, db) of a convolution, given dout, the gradient of its out.

    ``needs`` names the gradients wanted; the others are None, as db is where there is no bias.
    Raises CacheError, ShapeError, DtypeError or ParameterError.
    """
    gradients: Gradients = dispatch.backward(CONV, dout, cache, needs)
    return gradients


def conv(
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
    """Return :func:`conv_forward`'s out alone: inference, nothing is kept for backward."""
    if conv_param is not None:
        given = (stride, pad, dilation, groups, pad_mode, backend)
        stride, pad, dilation, groups, pad_mode, backend = merge(CONV_PARAM, conv_param, given)
    out: Array = dispatch.conv(False, x, w, b, stride, pad, dilation, groups, pad_mode, backend)
    return out


# --- transposed convolution -----------------------------------------------------------------


def conv_transpose_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    conv_param: Param | None = None,
    *,
    stride: Axes | None = None,
    pad: Pad | None = None,
    output_pad: Axes | None = None,
    dilation: Axes | None = None,
    groups: int | None = None,
    backend: Choice | None = None,
) -> tuple[Array, Cache]:
    """Spread each pixel of x over a window of out, weighted by the filters w, and add the bias b.

    out[n, f, o * stride - pad + k * dilation] sums w[c, f, k] * x[n, c, o] over c, o and k. It is
    the adjoint of the convolution with the same w: <conv(y, w), x> = <y, conv_transpose(x, w)>
    (Dumoulin & Visin, 2016, arXiv:1603.07285). Output size:
    (H - 1) * stride - pads + (KH - 1) * dilation + 1 + output_pad.

    Parameters
    ----------
    x, w, b:
        (N, C, H, W), (C, F / groups, KH, KW) and (F,) or None.
    conv_param:
        The keywords as a dictionary.
    stride, pad, output_pad, dilation, groups:
        Default 1, 0, 0, 1 and 1. ``pad="same"`` makes the output size H * stride.
        0 <= output_pad < max(stride, dilation) is added at the end of out. What lies beyond all
        that x reaches is b, and no result depends on what dout has there but db.
    backend:
        As in :func:`conv_forward`.

    Returns
    -------
    out, cache:
        (N, F, OH, OW), and what :func:`conv_transpose_backward` needs.

    Raises
    ------
    The same as :func:`conv_forward`.
    """
    geometry = (stride, pad, output_pad, dilation, groups)
    pair: tuple[Array, Cache] = _conv_transpose(True, x, w, b, conv_param, geometry, backend)
    return pair


def conv_transpose_backward(
    dout: npt.ArrayLike, cache: Cache, *, needs: tuple[str, ...] = CONV_TRANSPOSE.gradients
) -> Gradients:
    """Return the gradients (dx, dw, db) of :func:`conv_transpose_forward`.

    ``needs`` and errors are those of :func:`conv_backward`.
    """
    gradients: Gradients = dispatch.backward(CONV_TRANSPOSE, dout, cache, needs)
    return gradients


def conv_transpose(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    conv_param: Param | None = None,
    *,
    stride: Axes | None = None,
    pad: Pad | None = None,
    output_pad: Axes | None = None,
    dilation: Axes | None = None,
    groups: int | None = None,
    backend: Choice | None = None,
) -> Array:
    """Return :func:`conv_transpose_forward`'s out alone: inference, nothing is kept."""
    geometry = (stride, pad, output_pad, dilation, groups)
    out: Array = _conv_transpose(False, x, w, b, conv_param, geometry, backend)
    return out


def _conv_transpose(
    want_cache: bool, x: Any, w: Any, b: Any, param: Any, geometry: tuple[Any, ...], backend: Any
) -> Any:
    if param is not None:
        *geometry, backend = merge(CONV_TRANSPOSE_PARAM, param, (*geometry, backend))  # type: ignore[assignment]
    return dispatch.call(want_cache, CONV_TRANSPOSE, (x, w, b), (geometry,), backend)


# --- pooling --------------------------------------------------------------------------------


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


# --- convolution, relu and max pooling in one ------------------------------------------------


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
    derivative is 1 where z > 0, else 0. Parameters are those of :func:`conv_forward` and
    :func:`max_pool_forward`; returns out and the cache for :func:`conv_relu_pool_backward`.
    """
    geometry = []
    for parameters, param in ((CONV_PARAM, conv_param), (MAX_POOL_PARAM, pool_param)):
        nothing = (None,) * len(parameters.defaults)
        *values, backend = merge(parameters, param, (*nothing, backend))
        geometry.append(values)
    pair: tuple[Array, Cache] = dispatch.call(True, CONV_RELU_POOL, (x, w, b), geometry, backend)
    return pair


def conv_relu_pool_backward(
    dout: npt.ArrayLike, cache: Cache, *, needs: tuple[str, ...] = CONV_RELU_POOL.gradients
) -> Gradients:
    """Return the gradients (dx, dw, db) of :func:`conv_relu_pool_forward`.

    ``needs`` and errors are those of :func:`conv_backward`.
    """
    gradients: Gradients = dispatch.backward(CONV_RELU_POOL, dout, cache, needs)
    return gradients
