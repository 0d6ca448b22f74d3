"""PoolSpec: one frozen, hashable description of a max or average pooling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from convkit.errors import ParameterError
from convkit.spec.arguments import Axes, Pad, check_flag, check_x, per_axis, shape_and_dtype
from convkit.spec.geometry import Geometry, output_sizes, resolve_pad


@dataclass(frozen=True)
class PoolSpec(Geometry):
    """A pooling: x (N, C, ...), out (N, C, ...), ``kind`` "max" or "avg"."""

    kind: str
    ceil_mode: bool
    count_include_pad: bool

    @property
    def operation(self) -> str:
        """``"max_pool"`` or ``"avg_pool"``."""
        return f"{self.kind}_pool"

    @classmethod
    def of(
        cls,
        x: Any,
        *,
        kind: str,
        kernel: Axes,
        stride: Axes | None = None,
        pad: Pad = 0,
        dilation: Axes = 1,
        ceil_mode: bool = False,
        count_include_pad: bool = False,
        dtype: Any = None,
    ) -> PoolSpec:
        """Check the arguments and work out every size; ``stride`` defaults to ``kernel``.

        ``x`` is an array, or a shape together with ``dtype``. Raises ShapeError, ParameterError
        or DtypeError.
        """
        x_shape, x_dtype = shape_and_dtype("x", x, dtype)
        check_x(x_shape)
        if kind not in ("max", "avg"):
            raise ParameterError(f"kind (={kind!r}) must be 'max' or 'avg'")
        axes = len(x_shape) - 2
        kernels = per_axis("kernel", kernel, axes)
        strides = kernels if stride is None else per_axis("stride", stride, axes)
        dilations = per_axis("dilation", dilation, axes)
        ceil_mode = check_flag("ceil_mode", ceil_mode)
        count_include_pad = check_flag("count_include_pad", count_include_pad)
        if kind == "avg" and max(dilations) > 1:
            raise ParameterError(f"dilation (={dilation!r}) must be 1 for average pooling")
        if kind == "max" and count_include_pad:
            raise ParameterError("count_include_pad (=True) is for average pooling only")
        windows = tuple((k - 1) * d + 1 for k, d in zip(kernels, dilations, strict=True))
        pads = resolve_pad(pad, x_shape[2:], windows, strides)
        sizes = output_sizes(x_shape, kernels, windows, strides, dilations, pads, ceil=ceil_mode)
        spec = cls(
            x_shape=x_shape,
            out_shape=(*x_shape[:2], *sizes),
            kernel=kernels,
            stride=strides,
            dilation=dilations,
            pad=pads,
            dtype=x_dtype,
            kind=kind,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )
        spec._check_windows(pad)
        return spec

    def _check_windows(self, pad: Pad) -> None:
        """A pool's padding is smaller than its window, and every window holds a real pixel."""
        for axis, (window, pair) in enumerate(zip(self.window, self.pad, strict=True)):
            if max(pair) >= window:
                raise ParameterError(
                    f"pad (={pad!r}) must be smaller than the pooling window, which is {window} "
                    f"along spatial axis {axis}"
                )
            if self._misses_pixels(axis):
                raise ParameterError(
                    f"pad (={pad!r}) with dilation (={self.dilation[axis]}) leaves a pooling "
                    f"window without a real pixel along spatial axis {axis}"
                )

    def _misses_pixels(self, axis: int) -> bool:
        """Whether a window lies around all real pixels: a tap before the first, the next after.

        Only windows that start in the padding can. Their first tap beyond it reads pixel
        (o * stride - pad) mod dilation, and there is such a tap, because pad is smaller than the
        window.
        """
        size, dilation, begin = self.x_shape[2 + axis], self.dilation[axis], self.pad[axis][0]
        starting = min(self.out_shape[2 + axis], -(-begin // self.stride[axis]))
        if dilation <= size or not starting:
            return False
        first = np.arange(starting) * (self.stride[axis] % dilation) - begin
        return bool((first % dilation >= size).any())

    @cached_property
    def counts(self) -> tuple[tuple[int, ...], ...]:
        """Per spatial axis, how many pixels each window counts for the average.

        Real pixels, or with ``count_include_pad`` the pixels inside the padded image. The divisor
        of an output is the product of its axes' counts.
        """
        return tuple(self._axis_counts(axis) for axis in range(self.axes))

    def _axis_counts(self, axis: int) -> tuple[int, ...]:
        size, (begin, end) = self.x_shape[2 + axis], self.pad[axis]
        low, high = (-begin, size + end) if self.count_include_pad else (0, size)
        window = self.window[axis]
        starts = np.arange(self.out_shape[2 + axis]) * self.stride[axis] - begin
        counts = np.minimum(starts + window, high) - np.maximum(starts, low)
        return tuple(counts.tolist())

    def __str__(self) -> str:
        flags = "".join(
            f", {name}" for name in ("ceil_mode", "count_include_pad") if getattr(self, name)
        )
        return f"{self.operation}(x {self.x_shape}, {self._geometry_text()}{flags}, {self.dtype})"
