"""The NumPy backend: a convolution is one matrix product with the matrix of all windows.

Convolution copies the windows of a few images at a time into columns (im2col), so that the column
matrix stays in the processor's cache, and leaves the arithmetic to BLAS. Pooling walks over the
taps of its window with whole-array operations. There is no Python loop over pixels, and no state.
Chellapilla, Puri and Simard (2006), "High Performance Convolutional Neural Networks for Document
Processing".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convkit.contract import API_VERSION, Array, hookimpl
from convkit.spec import ConvSpec, Geometry, PoolSpec

BLOCK_BYTES = 2 << 20
"""How large the column matrix of one block of images may grow, unless one image needs more."""


def batches(spec: Geometry, bytes_per_image: int) -> Iterator[slice]:
    """Cut the batch into blocks of images whose scratch memory fits BLOCK_BYTES."""
    size = max(1, BLOCK_BYTES // max(1, bytes_per_image))
    for start in range(0, spec.x_shape[0], size):
        yield slice(start, min(start + size, spec.x_shape[0]))


def columns(spec: ConvSpec, x: Array) -> Array:
    """Return the windows of some images as a (n, groups, C / groups * taps, outputs) matrix.

    The copy is made by the last reshape; a 1x1 convolution without stride needs none.
    """
    axes = range(2, 2 + spec.axes)
    if any(map(any, spec.pad)):
        x = np.pad(x, ((0, 0), (0, 0), *spec.pad))
    windows = sliding_window_view(x, spec.window, axis=tuple(axes))
    steps = tuple(slice(None, None, s) for s in (*spec.stride, *spec.dilation))
    windows = windows[:, :, *steps]
    taps_first = (0, 1, *(a + spec.axes for a in axes), *axes)
    rows = spec.w_shape[1] * math.prod(spec.kernel)
    return windows.transpose(taps_first).reshape(len(x), spec.groups, rows, -1)


class Im2colNumpy:
    """Matrix products on windows laid out as columns."""

    name = "im2col_numpy"
    api_version = API_VERSION

    def supports(self, spec: ConvSpec | PoolSpec) -> str | None:
        """Everything is supported."""
        return None

    def conv_forward(
        self, spec: ConvSpec, x: Array, w: Array, b: Array | None
    ) -> tuple[Array, None]:
        """out = w as (F, C * taps) times columns, for each group and image."""
        filters, outputs = self._matrix_sizes(spec)
        matrix = w.reshape(spec.groups, filters, -1)
        out = np.empty(spec.out_shape, spec.dtype)
        result = out.reshape(spec.x_shape[0], spec.groups, filters, outputs)
        for block in batches(spec, matrix.shape[2] * spec.groups * outputs * x.itemsize):
            np.matmul(matrix, columns(spec, x[block]), out=result[block])
        if b is not None:
            out += b.reshape(-1, *(1,) * spec.axes)
        return out, None

    def conv_backward(
        self, spec: ConvSpec, dout: Array, x: Array, w: Array, saved: None, needs: tuple[str, ...]
    ) -> tuple[Array | None, Array | None, Array | None]:
        """dw = dout times columns transposed; dx = w transposed times dout, put back by tap."""
        dx = self._dx(spec, dout, w) if "dx" in needs else None
        dw = self._dw(spec, dout, x) if "dw" in needs else None
        db = None
        if "db" in needs:
            db = dout.sum(axis=tuple(range(2, dout.ndim))).sum(axis=0)
        return dx, dw, db

    def _dx(self, spec: ConvSpec, dout: Array, w: Array) -> Array:
        filters, outputs = self._matrix_sizes(spec)
        matrix = w.reshape(spec.groups, filters, -1).transpose(0, 2, 1)
        rows = dout.reshape(spec.x_shape[0], spec.groups, filters, outputs)
        if {*spec.kernel, *spec.stride} == {1} and not any(map(any, spec.pad)) and filters > 1:
            return (matrix @ rows).reshape(spec.x_shape)  # nothing to put back: one tap, at home
        dx = np.zeros(spec.x_shape, spec.dtype)
        taps = list(spec.taps())
        for block in batches(spec, matrix.shape[1] * spec.groups * outputs * dout.itemsize):
            # One filter a group, as in a depthwise convolution: the product is an outer one.
            spread = matrix @ rows[block] if filters > 1 else matrix * rows[block]
            spread = spread.reshape(-1, spec.x_shape[1], *spec.kernel, *spec.out_shape[2:])
            for tap, outs, ins in taps:
                dx[block][:, :, *ins] += spread[:, :, *tap, *outs]
        return dx

    def _dw(self, spec: ConvSpec, dout: Array, x: Array) -> Array:
        filters, outputs = self._matrix_sizes(spec)
        rows = dout.reshape(spec.x_shape[0], spec.groups, filters, outputs)
        taps = spec.w_shape[1] * math.prod(spec.kernel)
        dw = np.zeros(spec.w_shape, spec.dtype)
        total = dw.reshape(spec.groups, filters, taps)
        with np.errstate(invalid="ignore"):  # see below
            for block in batches(spec, taps * spec.groups * outputs * x.itemsize):
                matrix = columns(spec, x[block]).swapaxes(2, 3)
                if spec.x_shape[0] == 1:  # no sum, nor memory for one
                    np.matmul(rows[0], matrix[0], out=total)
                else:
                    total += (rows[block] @ matrix).sum(axis=0)
        if any(map(any, spec.pad)) and not np.isfinite(dw).all():
            # Padding times an infinite dout is NaN in the product above, but is no term of dw.
            return self._dw_by_tap(spec, dout, x)
        return dw

    def _dw_by_tap(self, spec: ConvSpec, dout: Array, x: Array) -> Array:
        """The same sum, each tap over the outputs alone for which it meets a real pixel."""
        filters, _ = self._matrix_sizes(spec)
        per_group = spec.w_shape[1]
        dw = np.zeros((spec.groups, filters, per_group, *spec.kernel), spec.dtype)
        for tap, outs, ins in spec.taps():
            pixels = x[:, :, *ins].reshape(len(x), spec.groups, per_group, -1)
            grads = dout[:, :, *outs].reshape(len(x), spec.groups, filters, -1)
            dw[:, :, :, *tap] = (grads @ pixels.swapaxes(2, 3)).sum(axis=0)
        return dw.reshape(spec.w_shape)

    def pool_forward(self, spec: PoolSpec, x: Array) -> tuple[Array, Array | None]:
        """Saved is, for a maximum, the tap it came from."""
        if spec.kind == "avg":
            return self.pool_infer(spec, x), None
        out = self.pool_infer(spec, x)
        parts = [
            self._winner(spec, x[block], out[block]) for block in batches(spec, out[:1].nbytes * 3)
        ]
        return out, np.concatenate(parts) if parts else out

    def pool_infer(self, spec: PoolSpec, x: Array) -> Array:
        """Without the taps that won."""
        out = np.empty(spec.out_shape, spec.dtype)
        fill, combine = (-np.inf, np.maximum) if spec.kind == "max" else (0.0, np.add)
        for block in batches(spec, out[:1].nbytes * 3):
            part = out[block]
            part.fill(fill)
            for _, outs, ins in spec.taps():
                target = part[:, :, *outs]
                combine(target, x[block][:, :, *ins], out=target)
        if spec.kind == "avg":
            out /= self._divisor(spec)
        return out

    @staticmethod
    def _winner(spec: PoolSpec, x: Array, out: Array) -> Array:
        """Count, for every output, the taps before the first that holds its maximum."""
        winner = np.zeros(out.shape, np.min_scalar_type(math.prod(spec.kernel)))
        searching = np.ones(out.shape, bool)
        with_nan = bool(np.isnan(out).any())
        for _, outs, ins in spec.taps():
            value = x[:, :, *ins]
            differs = value != out[:, :, *outs]
            if with_nan:
                differs &= value == value  # a NaN here is the maximum
            target = searching[:, :, *outs]
            target &= differs
            winner += searching
        return winner

    def pool_backward(self, spec: PoolSpec, dout: Array, saved: Array | None) -> Array:
        """Each tap's gradients, added where the tap reads."""
        dx = np.zeros(spec.x_shape, spec.dtype)
        share = dout if saved is not None else dout / self._divisor(spec)
        for block in batches(spec, dout[:1].nbytes * 3):
            for i, (_, outs, ins) in enumerate(spec.taps()):
                part = share[block][:, :, *outs]
                if saved is not None:
                    # Not a product: an infinite gradient times 0 would be NaN.
                    part = np.where(saved[block][:, :, *outs] == i, part, 0)
                dx[block][:, :, *ins] += part
        return dx

    def info(self) -> dict[str, Any]:
        """Facts for the tables."""
        return {"dtypes": ("float32", "float64"), "instruction_set": "BLAS", "threads": "BLAS"}

    @staticmethod
    def _matrix_sizes(spec: ConvSpec) -> tuple[int, int]:
        return spec.w_shape[0] // spec.groups, math.prod(spec.out_shape[2:])

    @staticmethod
    def _divisor(spec: PoolSpec) -> Array:
        divisor = np.ones((1,) * spec.axes, spec.dtype)
        for axis, counts in enumerate(spec.counts):
            shape = [1] * spec.axes
            shape[axis] = -1
            divisor = divisor * np.array(counts, spec.dtype).reshape(shape)
        return divisor


@hookimpl
def convkit_backend() -> Im2colNumpy:
    """Hand the backend to convkit."""
    return Im2colNumpy()
