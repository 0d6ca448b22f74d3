"""Where each maximum is, as max_pool_indices says it: convkit's own, over any backend's maxima."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from conformance_mutants.base import Taps
from conformance_mutants.registry import host, mutant
from convkit.calls import windows

right = windows.first_maxima


def indices(function):
    """Put on the list: ``function(spec, x, out)`` takes the place of what finds the indices."""
    return host((windows, "first_maxima", function))


def afterwards(change):
    """Put on the list: what is found right is changed by ``change(spec, found)``."""
    return indices(lambda spec, x, out: change(spec, right(spec, x, out)))


def misread(change):
    """Put on the list: windows are searched as another spec has them, anything else where none is.

    Pixels outside the image are clipped to it.
    """

    def found(spec, x, out):
        wrong = right(change(spec), x, out)
        return np.where(wrong < 0, 0, wrong)

    return indices(found)


def coordinates(spec, found):
    """Flat indices as one array for each axis."""
    return np.unravel_index(found, spec.x_shape[2:])


def flat(spec, places):
    """One array for each axis as flat indices, clipped to the plane."""
    sizes = spec.x_shape[2:]
    inside = [np.clip(p, 0, n - 1) for p, n in zip(places, sizes, strict=True)]
    return np.ravel_multi_index(inside, sizes).astype(np.int64)


def search(spec, x, out, order=reversed, equal=None):
    """The definition with an order of taps and a comparison of its own."""
    found = np.full(spec.out_shape, -1, np.int64)
    plane = np.arange(math.prod(spec.x_shape[2:])).reshape(spec.x_shape[2:])
    for _, outs, ins in order(list(spec.taps())):
        value, top = x[:, :, *ins], out[:, :, *outs]
        same = (value == top) | ((value != value) & (top != top))
        if equal is not None:
            same = equal(value, top)
        np.copyto(found[:, :, *outs], plane[ins], where=same)
    return np.maximum(found, 0)


# --- which of equal maxima --------------------------------------------------------------------


@indices(lambda spec, x, out: search(spec, x, out, order=iter))
def last_of_equal_maxima():
    """Of equal maxima the last pixel is named."""


@indices(lambda spec, x, out: search(spec, x, out, order=_by_columns))
def first_by_columns():
    """Of equal maxima the first in column-major order is named."""


def _by_columns(taps):
    return sorted(taps, key=lambda tap: tap[0][::-1], reverse=True)


@indices(lambda spec, x, out: _nan(spec, x, out, last=True))
def last_nan():
    """Of several NaN in a window the last is named, as PyTorch does."""


def _nan(spec, x, out, last):
    found = right(spec, x, out)
    other = search(spec, x, out, order=iter if last else reversed)
    return np.where(np.isnan(out), other, found)


@indices(lambda spec, x, out: search(spec, x, out, equal=lambda v, t: v == t))
def nan_not_found():
    """NaN equals nothing, so a window with NaN names pixel 0."""


@indices(lambda spec, x, out: search(spec, np.nan_to_num(x), np.nan_to_num(out)))
def nan_taken_for_zero():
    """NaN is replaced by 0 before the search."""


@indices(lambda spec, x, out: search(spec, x, out, equal=lambda v, t: np.abs(v) == np.abs(t)))
def magnitudes_compared():
    """The search compares absolute values."""


@indices(
    lambda spec, x, out: search(
        spec, x, out, equal=lambda v, t: (v.astype("f2") == t.astype("f2")) | np.isnan(v)
    )
)
def half_precision_compared():
    """The search compares in half precision, where close pixels tie."""


@indices(lambda spec, x, out: search(spec, x, out, equal=lambda v, t: v >= np.floor(t)))
def integers_compared():
    """The search takes the first pixel that reaches the integer part."""


@indices(lambda spec, x, out: np.where(np.isneginf(out), 0, right(spec, x, out)))
def nothing_above_minus_infinity():
    """The search starts at -inf and moves only for more, so windows of it name pixel 0."""


@indices(lambda spec, x, out: np.where(np.isposinf(out), 0, right(spec, x, out)))
def infinity_not_found():
    """An infinite maximum names pixel 0."""


# --- which numbering --------------------------------------------------------------------------


@afterwards(lambda spec, found: flat(spec, coordinates(spec, found)[::-1]))
def axes_exchanged():
    """The flat index is made of the coordinates in reverse order."""


@afterwards(lambda spec, found: found % spec.x_shape[-1])
def column_alone():
    """The index is that of the column; the row is lost."""


@afterwards(lambda spec, found: found // spec.x_shape[-1])
def row_alone():
    """The index is that of the row; the column is lost."""


@afterwards(lambda spec, found: found + 1)
def counted_from_one():
    """Indices begin with 1."""


@afterwards(lambda spec, found: found + _planes(spec, channels=True))
def counted_over_channels():
    """Indices go on from one channel to the next."""


@afterwards(lambda spec, found: found + _planes(spec, channels=False))
def counted_over_images():
    """Indices go on from one image to the next."""


def _planes(spec, channels):
    n, c, size = *spec.x_shape[:2], math.prod(spec.x_shape[2:])
    ones = (1,) * spec.axes
    if channels:
        return (np.arange(c) * size).reshape(1, c, *ones)
    return (np.arange(n) * size).reshape(n, 1, *ones)


@afterwards(
    lambda spec, found: np.ravel_multi_index(
        coordinates(spec, found), [n + 1 for n in spec.x_shape[2:]]
    )
)
def rows_one_too_long():
    """The flat index takes rows to have one pixel more."""


@afterwards(lambda spec, found: _in_padded(spec, found))
def index_in_the_padded_image():
    """The index counts the padding."""


def _in_padded(spec, found):
    places = [p + pad[0] for p, pad in zip(coordinates(spec, found), spec.pad, strict=True)]
    sizes = [n + sum(pad) for n, pad in zip(spec.x_shape[2:], spec.pad, strict=True)]
    return np.ravel_multi_index(places, sizes)


@afterwards(lambda spec, found: _in_window(spec, found))
def index_in_the_window():
    """The index is that of the tap, not of the pixel."""


def _in_window(spec, found):
    taps = []
    for axis, place in enumerate(coordinates(spec, found)):
        ones = [1] * found.ndim
        ones[2 + axis] = -1
        start = np.arange(found.shape[2 + axis]).reshape(ones) * spec.stride[axis]
        taps.append((place - start + spec.pad[axis][0]) // spec.dilation[axis])
    return np.ravel_multi_index(taps, spec.kernel)


@afterwards(lambda spec, found: found.astype(np.int32))
def narrow_indices():
    """Indices are of int32."""


@afterwards(lambda spec, found: found.astype(spec.dtype))
def floating_indices():
    """Indices have the dtype of x."""


@afterwards(lambda spec, found: found.astype(np.uint8).astype(np.int64))
def indices_in_a_byte():
    """Indices are kept in a byte on the way."""


@afterwards(lambda spec, found: found.reshape(*found.shape[:2], -1))
def indices_without_axes():
    """The indices' spatial axes are joined."""


@afterwards(lambda spec, found: np.minimum(found, math.prod(spec.x_shape[2:]) - 2).clip(0))
def last_pixel_out_of_reach():
    """The last pixel of a plane is never named."""


@afterwards(lambda spec, found: np.maximum(found, 1))
def first_pixel_out_of_reach():
    """The first pixel of a plane is never named."""


@afterwards(lambda spec, found: np.concatenate([found[:1]] * len(found)) if len(found) else found)
def indices_of_the_first_image():
    """Every image has the first one's indices."""


@afterwards(lambda spec, found: np.repeat(found[:, :1], found.shape[1], axis=1))
def indices_of_the_first_channel():
    """Every channel has the first one's indices."""


@afterwards(lambda spec, found: found % math.prod(spec.x_shape[-2:]))
def depth_lost():
    """3-D: the index is that within its slice."""


@afterwards(lambda spec, found: math.prod(spec.x_shape[2:]) - 1 - found)
def counted_from_the_end():
    """Indices run backwards."""


@afterwards(lambda spec, found: np.asfortranarray(found))
def indices_by_columns_in_memory():
    """Indices come in Fortran order."""


@afterwards(lambda spec, found: found[::-1].copy())
def indices_of_images_reversed():
    """The first image has the last one's indices."""


# --- which windows ----------------------------------------------------------------------------


@misread(lambda spec: replace(spec, stride=(1,) * spec.axes))
def stride_ignored():
    """Windows are searched with stride 1."""


@misread(lambda spec: replace(spec, stride=spec.stride[::-1]))
def strides_exchanged():
    """The strides of the axes are exchanged in the search."""


@misread(lambda spec: replace(spec, dilation=(1,) * spec.axes))
def dilation_ignored():
    """Windows are searched without dilation."""


@misread(lambda spec: replace(spec, pad=((0, 0),) * spec.axes))
def padding_ignored():
    """Windows are searched as if nothing were padded."""


@misread(lambda spec: replace(spec, pad=tuple(pair[::-1] for pair in spec.pad)))
def padding_ends_exchanged():
    """Beginning and end of the padding are exchanged in the search."""


@misread(lambda spec: replace(spec, kernel=spec.kernel[::-1]))
def window_transposed():
    """Height and width of the window are exchanged in the search."""


@misread(lambda spec: replace(spec, kernel=tuple(max(1, k - 1) for k in spec.kernel)))
def last_tap_not_searched():
    """The last tap of every axis is left out of the search."""


@indices(lambda spec, x, out: _without_overhang(spec, x, out))
def overhang_not_searched():
    """Results of ceil_mode's last windows name pixel 0."""


def _without_overhang(spec, x, out):
    found = right(spec, x, out)
    for axis in range(spec.axes):
        size, pad = spec.x_shape[2 + axis], spec.pad[axis]
        inside = (size + sum(pad) - spec.window[axis]) // spec.stride[axis] + 1
        np.moveaxis(found, 2 + axis, 0)[inside:] = 0
    return found


# --- the function around it -------------------------------------------------------------------


@mutant
class MaximumOfNoPixel(Taps):
    """The maximum is rounded to a float16's precision, so that no pixel of the window is it."""

    def pool_infer(self, spec, x):
        out, _ = self.pool_forward(spec, x)
        return (out * (1 + 2.0**-10)).astype(spec.dtype) if spec.kind == "max" else out


@mutant
class InferenceGivesTheSmallest(Taps):
    """Without a cache, max pooling gives the smallest of all maxima everywhere."""

    def pool_infer(self, spec, x):
        out, _ = self.pool_forward(spec, x)
        if spec.kind == "max":
            out[...] = out.min(initial=np.inf)
        return out
