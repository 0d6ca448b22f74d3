"""ConvSpec: one frozen, hashable description of a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convkit.errors import ShapeError
from convkit.spec.arguments import (
    Axes,
    Pad,
    Shape,
    check_groups,
    check_same_dtype,
    check_x,
    per_axis,
    shape_and_dtype,
)
from convkit.spec.geometry import Geometry, output_sizes, resolve_pad


@dataclass(frozen=True)
class ConvSpec(Geometry):
    """A convolution: x (N, C, ...), w (F, C / groups, ...), b (F,) or none, out (N, F, ...)."""

    w_shape: Shape
    groups: int
    has_bias: bool

    @property
    def operation(self) -> str:
        """``"conv"``."""
        return "conv"

    @property
    def b_shape(self) -> Shape | None:
        """(F,), or None where there is no bias."""
        return self.w_shape[:1] if self.has_bias else None

    @classmethod
    def of(
        cls,
        x: Any,
        w: Any,
        b: Any = None,
        *,
        stride: Axes = 1,
        pad: Pad = 0,
        dilation: Axes = 1,
        groups: int = 1,
        dtype: Any = None,
    ) -> ConvSpec:
        """Check the arguments and work out every size.

        ``x``, ``w`` and ``b`` are arrays, or shapes together with ``dtype``. Raises ShapeError,
        ParameterError or DtypeError.
        """
        x_shape, x_dtype = shape_and_dtype("x", x, dtype)
        w_shape, w_dtype = shape_and_dtype("w", w, dtype)
        check_same_dtype("w", w_dtype, x_dtype)
        check_x(x_shape)
        groups = check_groups(groups)
        _check_w(x_shape, w_shape, groups)
        if b is not None:
            b_shape, b_dtype = shape_and_dtype("b", b, dtype)
            check_same_dtype("b", b_dtype, x_dtype)
            if b_shape != w_shape[:1]:
                raise ShapeError(
                    f"b.shape (={b_shape}) must be (F,) = {w_shape[:1]}, one bias per filter of w"
                )
        kernel = w_shape[2:]
        axes = len(kernel)
        strides = per_axis("stride", stride, axes)
        dilations = per_axis("dilation", dilation, axes)
        windows = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
        pads = resolve_pad(pad, x_shape[2:], windows, strides)
        sizes = output_sizes(x_shape, kernel, windows, strides, dilations, pads, ceil=False)
        return cls(
            x_shape=x_shape,
            out_shape=(x_shape[0], w_shape[0], *sizes),
            kernel=kernel,
            stride=strides,
            dilation=dilations,
            pad=pads,
            dtype=x_dtype,
            w_shape=w_shape,
            groups=groups,
            has_bias=b is not None,
        )

    def __str__(self) -> str:
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        bias = "" if self.has_bias else ", no bias"
        return (
            f"conv(x {self.x_shape}, w {self.w_shape}, {self._geometry_text()}{groups}{bias}, "
            f"{self.dtype})"
        )


def _check_w(x_shape: Shape, w_shape: Shape, groups: int) -> None:
    if len(w_shape) != len(x_shape):
        raise ShapeError(
            f"w.shape (={w_shape}) must have as many axes as x.shape (={x_shape}): "
            "(F, C / groups, spatial axes ...)"
        )
    if min(w_shape) == 0:
        raise ShapeError(f"w.shape (={w_shape}) must have no empty axis")
    if w_shape[1] * groups != x_shape[1]:
        raise ShapeError(
            f"w.shape[1] (={w_shape[1]}) times groups (={groups}) must equal "
            f"x.shape[1] (={x_shape[1]})"
        )
    if w_shape[0] % groups:
        raise ShapeError(f"w.shape[0] (={w_shape[0]}) must be divisible by groups (={groups})")
