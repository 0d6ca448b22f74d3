"""A second reference for exact data: matrix products in float64.

Every sum of exact data stays below 2**53, so a float64 matrix product is exact in any order, and
`==` decides. It shares no code with the definition in `convkit.conformance.reference`, by which a
test checks it. Real data go through the definition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from convkit.conformance.reference import NUMPY_MODES, FloatArray
from convkit.spec import ConvSpec, Geometry, PoolSpec


def padded(spec: Geometry, x: FloatArray, fill: float = 0.0) -> FloatArray:
    """Return x with its padding, and with what the windows of ceil_mode overhang, in float64."""
    grown = np.full((*x.shape[:2], *_padded_sizes(spec)), fill)
    grown[_inside(spec, x.shape)] = x
    for axis, picks in _copied(spec):
        grown = _along(grown[_only(spec, axis)], picks, axis)
    return grown


def _padded_sizes(spec: Geometry) -> tuple[int, ...]:
    return tuple(
        max(n + begin + end, (out - 1) * step + window)
        for n, (begin, end), out, step, window in zip(
            spec.x_shape[2:], spec.pad, spec.out_shape[2:], spec.stride, spec.window, strict=True
        )
    )


def _copied(spec: Geometry) -> Iterator[tuple[int, FloatArray]]:
    """Return for each axis the matrix that pads it, where padding copies pixels.

    Row p has its one in the column of the pixel that stands at place p.
    """
    mode = NUMPY_MODES.get(getattr(spec, "pad_mode", ""))
    if mode:
        for axis, (size, pair) in enumerate(zip(spec.x_shape[2:], spec.pad, strict=True)):
            yield axis, np.pad(np.eye(size), (pair, (0, 0)), mode=mode)  # type: ignore[call-overload]


def _along(a: FloatArray, matrix: FloatArray, axis: int) -> FloatArray:
    """Return a with a matrix applied along a spatial axis."""
    return np.ascontiguousarray(np.moveaxis(np.moveaxis(a, 2 + axis, -1) @ matrix.T, -1, 2 + axis))


def _only(spec: Geometry, axis: int) -> tuple[Any, ...]:
    """Return the place of the image along one axis."""
    begin = spec.pad[axis][0]
    inside = slice(begin, begin + spec.x_shape[2 + axis])
    return (slice(None),) * (2 + axis) + (inside,)


def _inside(spec: Geometry, shape: tuple[int, ...]) -> tuple[Any, ...]:
    pairs = zip(shape[2:], spec.pad, strict=True)
    return (slice(None), slice(None), *(slice(begin, begin + n) for n, (begin, _) in pairs))


def windows(spec: Geometry, grown: FloatArray) -> FloatArray:
    """Return a view (N, C, kernel..., out...) of a padded array."""
    outer, inner = grown.strides[:2], grown.strides[2:]
    taps = tuple(s * d for s, d in zip(inner, spec.dilation, strict=True))
    steps = tuple(s * t for s, t in zip(inner, spec.stride, strict=True))
    shape = (*grown.shape[:2], *spec.kernel, *spec.out_shape[2:])
    return as_strided(grown, shape, (*outer, *taps, *steps), writeable=False)


def columns(spec: ConvSpec, x: FloatArray) -> FloatArray:
    """Return (N, groups, channels * taps, pixels of out)."""
    found = windows(spec, padded(spec, x))
    rows = spec.w_shape[1] * math.prod(spec.kernel)
    return found.reshape(len(x), spec.groups, rows, math.prod(spec.out_shape[2:]))


def conv_out(spec: ConvSpec, cols: FloatArray, w: FloatArray, b: FloatArray | None) -> FloatArray:
    """Return out from the columns of x."""
    filters = w.reshape(spec.groups, -1, cols.shape[2]).astype(np.float64)
    out = (filters @ cols).reshape(spec.out_shape)
    return out if b is None else out + b.reshape(-1, *(1,) * spec.axes)


def conv_gradients(
    spec: ConvSpec, cols: FloatArray, w: FloatArray, dout: FloatArray
) -> tuple[FloatArray, ...]:
    """Return (dx, dw) or, with a bias, (dx, dw, db), from the columns of x."""
    images, pixels = len(cols), cols.shape[3]
    filters = w.reshape(spec.groups, -1, cols.shape[2]).astype(np.float64)
    grads = dout.astype(np.float64).reshape(images, spec.groups, filters.shape[1], pixels)
    dw = (grads @ cols.swapaxes(2, 3)).sum(axis=0)
    back = filters.swapaxes(1, 2) @ grads
    db = (grads.sum(axis=(0, 3)).reshape(-1),) if spec.has_bias else ()
    return fold(spec, back), dw.reshape(spec.w_shape), *db


def fold(spec: Geometry, back: FloatArray) -> FloatArray:
    """Add (N, ..., taps, pixels of out) up in the pixels of x that they were read from."""
    grown = np.zeros((*spec.x_shape[:2], *_padded_sizes(spec)))
    shares = back.reshape(*spec.x_shape[:2], math.prod(spec.kernel), *spec.out_shape[2:])
    for number, tap in enumerate(np.ndindex(*spec.kernel)):
        place = tuple(
            slice(t * d, t * d + (out - 1) * step + 1, step)
            for t, d, out, step in zip(
                tap, spec.dilation, spec.out_shape[2:], spec.stride, strict=True
            )
        )
        grown[(slice(None), slice(None), *place)] += shares[:, :, number]
    for axis, picks in _copied(spec):
        folded = _along(grown, picks.T, axis)
        grown = np.zeros_like(grown)
        grown[_only(spec, axis)] = folded
    return np.ascontiguousarray(grown[_inside(spec, spec.x_shape)])


def max_pool(spec: PoolSpec, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the maxima of finite x, and for each the tap that holds the first of them."""
    found = windows(spec, padded(spec, x, -np.inf))
    flat = found.reshape(*x.shape[:2], math.prod(spec.kernel), *spec.out_shape[2:])
    return flat.max(axis=2), flat.argmax(axis=2)


def max_pool_dx(spec: PoolSpec, taps: FloatArray, dout: FloatArray) -> FloatArray:
    """Return dx: each result's gradient goes to the pixel of its tap."""
    count = math.prod(spec.kernel)
    each = np.arange(count).reshape(1, 1, count, *(1,) * spec.axes)
    return fold(spec, np.where(taps[:, :, None] == each, dout[:, :, None], 0.0))


def divisors(spec: PoolSpec) -> FloatArray:
    """Return how many pixels each average counts, of the shape of one plane of out."""
    counted = 1.0 if spec.count_include_pad else 0.0
    plane = np.zeros((1, 1, *spec.x_shape[2:]))
    grown = np.zeros((1, 1, *_padded_sizes(spec)))
    image: tuple[Any, ...] = tuple(
        slice(0, n + begin + end)
        for n, (begin, end) in zip(spec.x_shape[2:], spec.pad, strict=True)
    )
    grown[(0, 0, *image)] = counted
    grown[_inside(spec, plane.shape)] = 1.0
    return np.asarray(windows(spec, grown).sum(axis=tuple(range(2, 2 + spec.axes)))[0, 0])


def avg_pool(spec: PoolSpec, x: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the averages, with the divisors given."""
    sums = windows(spec, padded(spec, x)).sum(axis=tuple(range(2, 2 + spec.axes)))
    return np.asarray(sums / counts)


def avg_pool_dx(spec: PoolSpec, dout: FloatArray, counts: FloatArray) -> FloatArray:
    """Return dx: each result's gradient in equal shares."""
    share = (dout / counts)[:, :, None]
    return fold(spec, np.repeat(share, math.prod(spec.kernel), axis=2))
