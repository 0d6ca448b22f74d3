"""The reference: every operation straight from its definition, by index tables and one dot each.

Independent of every backend, and of the slices that `convkit.spec` works out: for each axis a
table says which input pixel tap k of output o reads (-1: padding), all else follows from it. It
computes in the precision of what it is given, so the caller widens first (`widen`). It is checked
against published values in the tests; it must stay small enough to be checked by reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.spec import ConvSpec, Geometry, PoolSpec

FloatArray: TypeAlias = npt.NDArray[Any]
Dot: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]

LONG_IS_WIDER = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps / 512


# --- precision ------------------------------------------------------------------------------


def widen(a: FloatArray) -> FloatArray:
    """float32 to float64; float64 to longdouble where that is wider, else unchanged."""
    if a.dtype == np.float32:
        return a.astype(np.float64)
    return a.astype(np.longdouble) if LONG_IS_WIDER else a


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return a @ b in the precision of a and b."""
    with np.errstate(all="ignore"):
        return np.asarray(a @ b)


def exact_dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return a @ b of two float64 matrices, each element correctly rounded.

    Every product is split into its rounded value and its error (Dekker, 1971), and `math.fsum`
    adds all of them without error. Slow; for platforms whose longdouble is float64.
    """
    high = a[:, :, None] * b[None, :, :]
    a1, a2 = _split(a)
    b1, b2 = _split(b)
    cross = a1[:, :, None] * b2 + a2[:, :, None] * b1
    low = ((a1[:, :, None] * b1 - high) + cross) + a2[:, :, None] * b2
    terms = np.concatenate([high, low], axis=1)
    return np.array([[math.fsum(column) for column in row.T] for row in terms]).reshape(
        a.shape[0], b.shape[1]
    )


def _split(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Veltkamp's splitting of float64 into two halves of 26 bits."""
    scaled = a * 134217729.0
    high = scaled - (scaled - a)
    return high, a - high


wide_dot: Dot = dot if LONG_IS_WIDER else exact_dot
"""For widened float64 data: longdouble where it is wider, else products without rounding."""


# --- where windows lie ----------------------------------------------------------------------


NUMPY_MODES = {"circular": "wrap", "reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}
"""What `numpy.pad` calls the modes of padding that copy pixels; it says what they mean."""


def reads(spec: Geometry, axis: int) -> npt.NDArray[np.intp]:
    """Return table[k, o], the pixel along ``axis`` that tap k of output o reads, -1 for padding.

    The definition: o * stride - pad_begin + k * dilation. Where padding copies pixels, it is the
    pixel that is copied.
    """
    taps = np.arange(spec.kernel[axis])[:, None] * spec.dilation[axis]
    places = np.arange(spec.out_shape[2 + axis])[None, :] * spec.stride[axis]
    pixels = places + taps
    mode = NUMPY_MODES.get(getattr(spec, "pad_mode", ""))
    size, (begin, end) = spec.x_shape[2 + axis], spec.pad[axis]
    if mode:
        return np.asarray(np.pad(np.arange(size), (begin, end), mode=mode)[pixels])  # type: ignore[call-overload]
    pixels -= begin
    return np.where((pixels >= 0) & (pixels < size), pixels, -1)


def _pixel_table(spec: Geometry) -> npt.NDArray[np.intp]:
    """Return table[k, o] over flattened taps and outputs: the flat input pixel, -1 for padding."""
    table = np.zeros((1, 1), np.intp)
    for axis in range(spec.axes):
        part = reads(spec, axis)
        size = spec.x_shape[2 + axis]
        joined = table[:, None, :, None] * size + part[None, :, None, :]
        outside = (table[:, None, :, None] < 0) | (part[None, :, None, :] < 0)
        table = np.where(outside, -1, joined).reshape(
            table.shape[0] * part.shape[0], table.shape[1] * part.shape[1]
        )
    return table


def _flat(a: FloatArray) -> FloatArray:
    """Return a with its spatial axes joined; -1 in reshape cannot do it for an empty batch."""
    return a.reshape(*a.shape[:2], math.prod(a.shape[2:]))


def _rows(a: FloatArray) -> FloatArray:
    """Return (n, rows, places) as a matrix (rows, n * places)."""
    return a.swapaxes(0, 1).reshape(a.shape[1], a.shape[0] * a.shape[2])


def _gather(a: FloatArray, table: npt.NDArray[np.intp]) -> FloatArray:
    """Return a[..., table] with 0 where the table says -1; a has its places in the last axis."""
    found = np.asarray(a[..., table])
    found[..., table < 0] = 0
    return found


# --- convolution ----------------------------------------------------------------------------


def conv_forward(
    spec: ConvSpec, x: FloatArray, w: FloatArray, b: FloatArray | None, dot: Dot = dot
) -> FloatArray:
    """out[n, f, o] = b[f] + sum over the group's channels c and taps k of w[f,c,k] x[n,c,o+k]."""
    table, groups = _pixel_table(spec), spec.groups
    per_group, filters = spec.w_shape[1], spec.w_shape[0] // groups
    out = np.zeros((*spec.out_shape[:2], table.shape[1]), x.dtype)
    flat = _flat(x)
    for n in range(spec.x_shape[0]):
        for g in range(groups):
            windows = _gather(flat[n, g * per_group : (g + 1) * per_group], table)
            mine = slice(g * filters, (g + 1) * filters)
            columns = windows.reshape(-1, table.shape[1])
            rows = w[mine].reshape(filters, -1)
            if b is not None:  # the bias is a weight whose pixel is 1
                rows = np.concatenate([rows, b[mine, None]], axis=1)
                columns = np.concatenate([columns, np.ones_like(columns[:1])])
            out[n, mine] = dot(rows, columns)
    return out.reshape(spec.out_shape)


def conv_dx(spec: ConvSpec, dout: FloatArray, w: FloatArray, dot: Dot = dot) -> FloatArray:
    """dx[n, c, p] = sum over filters f of c's group and all (k, o) that read p of w[f,c,k] dout."""
    table, groups = _pixel_table(spec), spec.groups
    per_group, filters = spec.w_shape[1], spec.w_shape[0] // groups
    pixels = math.prod(spec.x_shape[2:])
    back = _readers(table, pixels)
    dx = np.zeros((*spec.x_shape[:2], pixels), w.dtype)
    flat = _flat(dout)
    for n in range(spec.x_shape[0]):
        for g in range(groups):
            mine = slice(g * filters, (g + 1) * filters)
            grads = _gather(flat[n, mine], back).reshape(-1, pixels)
            weights = w[mine].reshape(filters, per_group, 1, -1).repeat(len(back), axis=2)
            weights = weights.swapaxes(0, 1)
            dx[n, g * per_group : (g + 1) * per_group] = dot(weights.reshape(per_group, -1), grads)
    return dx.reshape(spec.x_shape)


def _readers(table: npt.NDArray[np.intp], pixels: int) -> npt.NDArray[np.intp]:
    """Return back[i, k, p]: the i-th output that reads pixel p by tap k, -1 where there is none.

    There is at most one, but where padding copies pixels.
    """
    taps, places = np.nonzero(table >= 0)
    read = taps * pixels + table[taps, places]
    order = np.argsort(read, kind="stable")
    firsts = np.searchsorted(read[order], read[order])
    rank = np.empty(len(read), np.intp)
    rank[order] = np.arange(len(read)) - firsts
    back = np.full((1 + rank.max(initial=0), len(table), pixels), -1, np.intp)
    back[rank, taps, table[taps, places]] = places
    return back


def conv_dw(spec: ConvSpec, dout: FloatArray, x: FloatArray, dot: Dot = dot) -> FloatArray:
    """dw[f, c, k] = sum over images and the outputs o whose tap k reads a pixel of dout x."""
    table, groups = _pixel_table(spec), spec.groups
    per_group, filters = spec.w_shape[1], spec.w_shape[0] // groups
    dw = np.zeros((spec.w_shape[0], per_group, len(table)), x.dtype)
    grads, flat = _flat(dout), _flat(x)
    for tap, pixels in enumerate(table):
        real = pixels >= 0  # padding is no term: an infinite dout must not meet it
        for g in range(groups):
            mine = slice(g * filters, (g + 1) * filters)
            left = _rows(grads[:, mine][:, :, real])
            right = flat[:, g * per_group : (g + 1) * per_group][:, :, pixels[real]]
            dw[mine, :, tap] = dot(left, _rows(right).T)
    return dw.reshape(spec.w_shape)


def conv_db(spec: ConvSpec, dout: FloatArray, dot: Dot = dot) -> FloatArray:
    """db[f] = sum over images and outputs of dout."""
    rows = _rows(_flat(dout))
    return np.asarray(dot(rows, np.ones((rows.shape[1], 1), dout.dtype))[:, 0])


# --- pooling --------------------------------------------------------------------------------


def max_pool_forward(spec: PoolSpec, x: FloatArray) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Return the maximum of each window and the flat pixel it came from.

    The first in row-major order wins, NaN before all numbers; padding never does.
    """
    table = _pixel_table(spec)
    real = table >= 0
    windows = np.where(real, _flat(x)[..., table], -np.inf).astype(x.dtype)
    best = windows.max(axis=-2)
    top = best[..., None, :]
    hit = real & ((windows == top) | (np.isnan(windows) & np.isnan(top)))
    winner = table[hit.argmax(axis=-2), np.arange(table.shape[1])]
    return best.reshape(spec.out_shape), winner.reshape(spec.out_shape)


def max_pool_dx(spec: PoolSpec, dout: FloatArray, winner: npt.NDArray[np.intp]) -> FloatArray:
    """dx[n, c, p] = sum of dout over the windows that p won."""
    images = math.prod(spec.x_shape[:2])
    dx = np.zeros((images, math.prod(spec.x_shape[2:])), dout.dtype)
    rows = np.arange(images)[:, None]
    with np.errstate(invalid="ignore"):
        np.add.at(
            dx,
            (rows, winner.reshape(images, math.prod(winner.shape[2:]))),
            dout.reshape(rows.shape[0], math.prod(dout.shape[2:])),
        )
    return dx.reshape(spec.x_shape)


def divisors(spec: PoolSpec) -> npt.NDArray[np.int64]:
    """Return how many pixels each window averages over, of the shape of one output image.

    Real pixels, or with count_include_pad those inside the padded image (not the overhang of
    ceil_mode).
    """
    counts = np.ones((), np.int64)
    for axis in range(spec.axes):
        taps = np.arange(spec.kernel[axis])[:, None]
        pixels = np.arange(spec.out_shape[2 + axis]) * spec.stride[axis] + taps
        pixels -= spec.pad[axis][0]
        low, high = 0, spec.x_shape[2 + axis]
        if spec.count_include_pad:
            low, high = -spec.pad[axis][0], high + spec.pad[axis][1]
        counts = np.multiply.outer(counts, ((pixels >= low) & (pixels < high)).sum(axis=0))
    return counts


def avg_pool_forward(spec: PoolSpec, x: FloatArray, dot: Dot = dot) -> FloatArray:
    """out[n, c, o] = the sum of the window's real pixels over its divisor."""
    table = _pixel_table(spec)
    windows = _gather(x.reshape(-1, math.prod(x.shape[2:])), table)
    ones = np.ones((1, len(table)), x.dtype)
    rows = [dot(ones, row)[0] for row in windows]
    sums = np.array(rows, x.dtype).reshape(spec.out_shape)
    averages: FloatArray = sums / divisors(spec).astype(x.dtype)
    return averages


def avg_pool_dx(spec: PoolSpec, dout: FloatArray) -> FloatArray:
    """dx[n, c, p] = sum of dout / divisor over the windows that hold p."""
    share = _flat(dout / divisors(spec).astype(dout.dtype))
    dx = np.zeros((*spec.x_shape[:2], math.prod(spec.x_shape[2:])), dout.dtype)
    for pixels in _pixel_table(spec):
        real = pixels >= 0  # within one tap no pixel is read twice
        with np.errstate(invalid="ignore"):
            dx[..., pixels[real]] += share[..., real]
    return dx.reshape(spec.x_shape)
