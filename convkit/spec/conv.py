"""ConvSpec: one frozen, hashable description of a convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
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
from convkit.spec.padding import ZEROS, check_pad_fits, check_pad_mode, sources


@dataclass(frozen=True)
class ConvSpec(Geometry):
    """A convolution: x (N, C, ...), w (F, C / groups, ...), b (F,) or none, out (N, F, ...).

    ``pad_mode`` says what the padding holds: "zeros", or copies of the image's own pixels. It is
    "zeros" where nothing is padded.
    """

    w_shape: Shape
    groups: int
    has_bias: bool
    pad_mode: str = ZEROS

    @property
    def operation(self) -> str:
        """``"conv"``."""
        return "conv"

    @property
    def b_shape(self) -> Shape | None:
        """(F,), or None where there is no bias."""
        return self.w_shape[:1] if self.has_bias else None

    @cached_property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """Per spatial axis, which pixel of x each pixel of the padded x copies.

        Only where ``pad_mode`` is not "zeros".
        """
        pairs = zip(self.x_shape[2:], self.pad, strict=True)
        return tuple(sources(self.pad_mode, size, pair) for size, pair in pairs)

    @cached_property
    def padded(self) -> ConvSpec:
        """The same convolution of an x that is padded already: it pads nothing itself."""
        sizes = (n + sum(pair) for n, pair in zip(self.x_shape[2:], self.pad, strict=True))
        nothing = ((0, 0),) * self.axes
        x_shape = (*self.x_shape[:2], *sizes)
        return replace(self, x_shape=x_shape, pad=nothing, pad_mode=ZEROS)

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
        pad_mode: str = ZEROS,
        dtype: Any = None,
    ) -> ConvSpec:
        """Check the arguments and work out every size.

        ``x``, ``w`` and ``b`` are arrays, or shapes together with ``dtype``. Raises ShapeError,
        ParameterError or DtypeError.
        """
        pad_mode = check_pad_mode(pad_mode)
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
        check_pad_fits(pad_mode, pad, pads, x_shape[2:])
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
            pad_mode=pad_mode if any(map(any, pads)) else ZEROS,
        )

    def __str__(self) -> str:
        mode = "" if self.pad_mode == ZEROS else f", pad_mode={self.pad_mode}"
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        bias = "" if self.has_bias else ", no bias"
        geometry = f"{self._geometry_text()}{mode}{groups}{bias}"
        return f"conv(x {self.x_shape}, w {self.w_shape}, {geometry}, {self.dtype})"


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
