"""The text-book: convolution and pooling as the formula reads, one output at a time.

Read it beside the definition; never make it clever. Every output ``o`` looks at the input pixels
``o * stride - pad + k * dilation``; taps ``k`` that fall outside the image meet padding, which
adds nothing, and so are left out. Works for any number of spatial axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convkit.contract import API_VERSION, Array, hookimpl
from convkit.spec import ConvSpec, Geometry, PoolSpec


def window(spec: Geometry, o: tuple[int, ...]) -> tuple[Any, Any]:
    """Return the pixels that output ``o`` looks at, and the taps that meet them, as slices."""
    pixels, taps = [], []
    for axis, index in enumerate(o):
        start = index * spec.stride[axis] - spec.pad[axis][0]
        inside = [
            k
            for k in range(spec.kernel[axis])
            if 0 <= start + k * spec.dilation[axis] < spec.x_shape[2 + axis]
        ]
        first, count = (inside[0], len(inside)) if inside else (0, 0)
        begin = start + first * spec.dilation[axis]
        step = spec.dilation[axis]
        pixels.append(slice(begin, begin + (count - 1) * step + 1, step) if count else slice(0, 0))
        taps.append(slice(first, first + count))
    return tuple(pixels), tuple(taps)


class Naive:
    """Loops over images, filters and output pixels."""

    name = "naive"
    api_version = API_VERSION
    reproducible = True

    def supports(self, spec: ConvSpec | PoolSpec) -> str | None:
        """Everything is supported."""
        return None

    def conv_forward(
        self, spec: ConvSpec, x: Array, w: Array, b: Array | None
    ) -> tuple[Array, None]:
        """out[n, f, o] = b[f] + sum of w[f] * x[n, channels of the group, window of o]."""
        out = np.zeros(spec.out_shape, spec.dtype)
        for o in np.ndindex(spec.out_shape[2:]):
            pixels, taps = window(spec, o)
            for n, f, channels in self._pairs(spec):
                out[n, f, *o] = np.sum(w[f, :, *taps] * x[n, channels, *pixels])
                if b is not None:
                    out[n, f, *o] += b[f]
        return out, None

    def conv_backward(
        self, spec: ConvSpec, dout: Array, x: Array, w: Array, saved: None, needs: tuple[str, ...]
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Each term w * x of an output sends dout * w to its pixel and dout * x to its weight."""
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for o in np.ndindex(spec.out_shape[2:]):
            pixels, taps = window(spec, o)
            for n, f, channels in self._pairs(spec):
                if "dx" in needs:
                    dx[n, channels, *pixels] += w[f, :, *taps] * dout[n, f, *o]
                if "dw" in needs:
                    dw[f, :, *taps] += x[n, channels, *pixels] * dout[n, f, *o]
        db = dout.sum(axis=(0, *range(2, dout.ndim))) if "db" in needs else None
        return dx, dw, db

    def pool_forward(self, spec: PoolSpec, x: Array) -> tuple[Array, Array | None]:
        """The maximum or the average of every window; saved is x, to find the maxima again."""
        out = np.zeros(spec.out_shape, spec.dtype)
        for o in np.ndindex(spec.out_shape[2:]):
            pixels, _ = window(spec, o)
            for n, c in np.ndindex(spec.out_shape[:2]):
                if spec.kind == "max":
                    out[n, c, *o] = x[n, c, *pixels].max()  # NaN wins
                else:
                    out[n, c, *o] = x[n, c, *pixels].sum() / self._count(spec, o)
        return out, x if spec.kind == "max" else None

    def pool_backward(self, spec: PoolSpec, dout: Array, saved: Array | None) -> Array:
        """To the first maximum in row-major order, or in equal parts to every pixel."""
        dx = np.zeros(spec.x_shape, spec.dtype)
        for o in np.ndindex(spec.out_shape[2:]):
            pixels, _ = window(spec, o)
            for n, c in np.ndindex(spec.out_shape[:2]):
                part = dx[n, c, *pixels]
                if saved is not None:
                    values = saved[n, c, *pixels]
                    # argmax finds the first maximum, and the first NaN where there is one.
                    part[np.unravel_index(values.argmax(), values.shape)] += dout[n, c, *o]
                else:
                    part += dout[n, c, *o] / self._count(spec, o)
        return dx

    def info(self) -> dict[str, Any]:
        """Facts for the tables."""
        return {"dtypes": ("float32", "float64"), "instruction_set": "NumPy", "threads": 1}

    @staticmethod
    def _pairs(spec: ConvSpec) -> list[tuple[int, int, Any]]:
        """Every image and filter, with the input channels that the filter's group sees."""
        per_group, filters = spec.w_shape[1], spec.w_shape[0] // spec.groups
        starts = [f // filters * per_group for f in range(spec.w_shape[0])]
        return [
            (n, f, slice(c, c + per_group))
            for n in range(spec.x_shape[0])
            for f, c in enumerate(starts)
        ]

    @staticmethod
    def _count(spec: PoolSpec, o: tuple[int, ...]) -> int:
        count = 1
        for axis, index in enumerate(o):
            count *= spec.counts[axis][index]
        return count


@hookimpl
def convkit_backend() -> Naive:
    """Hand the backend to convkit."""
    return Naive()
