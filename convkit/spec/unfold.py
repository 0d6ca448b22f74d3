"""UnfoldSpec: one frozen, hashable description of how windows of an image become columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from convkit.spec.arguments import Axes, Pad, Shape, check_x, per_axis, shape_and_dtype
from convkit.spec.geometry import Geometry, output_sizes, resolve_pad


@dataclass(frozen=True)
class UnfoldSpec(Geometry):
    """The windows of x (N, C, ...), one column each.

    ``out_shape`` is (N, C * taps, ...), with the number of windows along each spatial axis.
    """

    @property
    def columns_shape(self) -> Shape:
        """(N, C * taps, windows), the windows of all spatial axes in row-major order."""
        return (*self.out_shape[:2], math.prod(self.out_shape[2:]))

    @classmethod
    def of(
        cls,
        x: Any,
        *,
        kernel: Axes,
        stride: Axes = 1,
        pad: Pad = 0,
        dilation: Axes = 1,
        dtype: Any = None,
    ) -> UnfoldSpec:
        """Check the arguments and work out every size, as for a convolution.

        ``x`` is an array, or a shape together with ``dtype``. Raises ShapeError, ParameterError
        or DtypeError.
        """
        x_shape, x_dtype = shape_and_dtype("x", x, dtype)
        check_x(x_shape)
        axes = len(x_shape) - 2
        kernels = per_axis("kernel", kernel, axes)
        strides = per_axis("stride", stride, axes)
        dilations = per_axis("dilation", dilation, axes)
        windows = tuple((k - 1) * d + 1 for k, d in zip(kernels, dilations, strict=True))
        pads = resolve_pad(pad, x_shape[2:], windows, strides)
        sizes = output_sizes(x_shape, kernels, windows, strides, dilations, pads, ceil=False)
        return cls(
            x_shape=x_shape,
            out_shape=(x_shape[0], x_shape[1] * math.prod(kernels), *sizes),
            kernel=kernels,
            stride=strides,
            dilation=dilations,
            pad=pads,
            dtype=x_dtype,
        )

    def __str__(self) -> str:
        return f"unfold(x {self.x_shape}, {self._geometry_text()}, {self.dtype})"
