"""Convolution and transposed convolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from convkit.calls import dispatch
from convkit.calls.dispatch import Cache
from convkit.calls.params import merge
from convkit.functions.calling import call_merged
from convkit.operations import CONV, CONV_PARAM, CONV_TRANSPOSE
from convkit.spec import Axes, Pad, PadMode

if TYPE_CHECKING:
    import numpy.typing as npt

    from convkit.contract import Array
    from convkit.selection.request import Choice

    Gradients: TypeAlias = tuple[Array | None, Array | None, Array | None]
    Param: TypeAlias = Mapping[str, Any]

__all__ = [
    "conv",
    "conv_backward",
    "conv_forward",
    "conv_transpose",
    "conv_transpose_backward",
    "conv_transpose_forward",
]


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
    values = (stride, pad, output_pad, dilation, groups, backend)
    pair: tuple[Array, Cache] = call_merged(True, CONV_TRANSPOSE, (x, w, b), conv_param, values)
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
    values = (stride, pad, output_pad, dilation, groups, backend)
    out: Array = call_merged(False, CONV_TRANSPOSE, (x, w, b), conv_param, values)
    return out
