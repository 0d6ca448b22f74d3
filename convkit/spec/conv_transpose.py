"""ConvTransposeSpec: one frozen, hashable description of a transposed convolution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError, ShapeError
from convkit.spec.arguments import (
    Axes,
    Pad,
    Pairs,
    Shape,
    check_groups,
    check_same_dtype,
    check_x,
    per_axis,
    shape_and_dtype,
)
from convkit.spec.conv import ConvSpec
from convkit.spec.geometry import Geometry, resolve_pad

Array: TypeAlias = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ConvTransposeSpec(Geometry):
    """A transposed convolution: x (N, C, ...), w (C, F / groups, ...), b (F,), out (N, F, ...).

    It is the adjoint in x of the convolution with the same w, from out to x: see ``adjoint``.
    ``output_pad`` has one int per spatial axis.
    """

    w_shape: Shape
    groups: int
    has_bias: bool
    output_pad: tuple[int, ...]

    @property
    def operation(self) -> str:
        """``"conv_transpose"``."""
        return "conv_transpose"

    @property
    def b_shape(self) -> Shape | None:
        """(F,), or None where there is no bias."""
        return self.out_shape[1:2] if self.has_bias else None

    @cached_property
    def adjoint(self) -> ConvSpec:
        """The convolution, without bias, whose dx this operation is; its result has x's shape.

        Its input is out, less what ``output_pad`` of a stride or more adds at the end beyond all
        that x reaches: ``out[:, :, *self.reached]``. Where x reaches no pixel of out, it is a
        convolution of one pixel, and whatever it gives is 0 by definition.
        """
        sizes, pads = zip(*self._frames, strict=True)
        return ConvSpec.of(
            (*self.out_shape[:2], *sizes), self.w_shape, None, stride=self.stride, pad=pads,
            dilation=self.dilation, groups=self.groups, dtype=self.dtype,
        )  # fmt: skip

    @cached_property
    def reached(self) -> tuple[slice, ...]:
        """Which pixels of out, along each spatial axis, are the input of ``adjoint``.

        All, as long as ``output_pad`` is smaller than the stride; none, where padding crops
        everything that x reaches.
        """
        return tuple(
            slice(min(max(end, 0), size))
            for end, size in zip(self._ends, self.out_shape[2:], strict=True)
        )

    @property
    def meets(self) -> bool:
        """Whether x reaches any pixel of out."""
        return all(part.stop > 0 for part in self.reached)

    def placed(self, inner: Array) -> Array:
        """Return out, without bias, of the adjoint's dx: 0 where x does not reach."""
        if inner.shape == self.out_shape and self.meets:
            return inner
        out = np.zeros(self.out_shape, self.dtype)
        if self.meets:
            out[:, :, *self.reached] = inner
        return out

    def cropped(self, dout: Array) -> Array:
        """Return the part of dout that is the adjoint's input; C-contiguous."""
        if self.adjoint.x_shape == dout.shape:
            return dout
        if not self.meets:
            return np.zeros(self.adjoint.x_shape, self.dtype)
        return np.ascontiguousarray(dout[:, :, *self.reached])

    @property
    def _ends(self) -> tuple[int, ...]:
        """Where, along each axis of out, a further window would begin to change x's size.

        Beyond the largest tap of the last window lie stride - 1 pixels that still belong to it.
        """
        axes = zip(self.x_shape[2:], self.stride, self.pad, self.window, strict=True)
        return tuple(
            (size - 1) * stride - begin + window + stride - 1
            for size, stride, (begin, _), window in axes
        )

    @property
    def _frames(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """The size and padding of the adjoint's input along each axis."""
        axes = zip(self._ends, self.out_shape[2:], self.pad, strict=True)
        for end, size, (begin, after) in axes:
            if end < 1:  # one pixel before out begins
                yield 1, (begin + end - 1, 0)
            elif end < size:
                yield end, (begin, 0)
            else:
                yield size, (begin, min(after, end - size))

    @classmethod
    def of(
        cls,
        x: Any,
        w: Any,
        b: Any = None,
        *,
        stride: Axes = 1,
        pad: Pad = 0,
        output_pad: Axes = 0,
        dilation: Axes = 1,
        groups: int = 1,
        dtype: Any = None,
    ) -> ConvTransposeSpec:
        """Check the arguments and work out every size.

        Output size: (H - 1) * stride - pads + (KH - 1) * dilation + 1 + output_pad, with
        0 <= output_pad < max(stride, dilation). ``pad="same"`` makes it H * stride: it takes the
        padding of the "same" convolution of that size, and the output_pad that this needs, so none
        may be given. ``x``, ``w`` and ``b`` are arrays, or shapes together with ``dtype``. Raises
        ShapeError, ParameterError or DtypeError.
        """
        x_shape, x_dtype = shape_and_dtype("x", x, dtype)
        w_shape, w_dtype = shape_and_dtype("w", w, dtype)
        check_same_dtype("w", w_dtype, x_dtype)
        check_x(x_shape)
        groups = check_groups(groups)
        _check_w(x_shape, w_shape, groups)
        filters = w_shape[1] * groups
        if b is not None:
            _check_b(b, dtype, x_dtype, filters)
        axes = len(w_shape) - 2
        strides = per_axis("stride", stride, axes)
        dilations = per_axis("dilation", dilation, axes)
        windows = tuple((k - 1) * d + 1 for k, d in zip(w_shape[2:], dilations, strict=True))
        pads, more = _pads(pad, output_pad, x_shape[2:], windows, strides, dilations)
        sizes = []
        for axis, size in enumerate(x_shape[2:]):
            out = (size - 1) * strides[axis] - sum(pads[axis]) + windows[axis] + more[axis]
            if out < 1:
                raise ShapeError(
                    f"pad (={pad!r}) leaves {out} pixels of out along spatial axis {axis}; at "
                    f"least 1 must be left: x.shape is {x_shape}, the window {windows[axis]}"
                )
            sizes.append(out)
        return cls(
            x_shape=x_shape,
            out_shape=(x_shape[0], filters, *sizes),
            kernel=w_shape[2:],
            stride=strides,
            dilation=dilations,
            pad=pads,
            dtype=x_dtype,
            w_shape=w_shape,
            groups=groups,
            has_bias=b is not None,
            output_pad=more,
        )

    def __str__(self) -> str:
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        more = f", output_pad={self.output_pad}" if any(self.output_pad) else ""
        bias = "" if self.has_bias else ", no bias"
        return (
            f"conv_transpose(x {self.x_shape}, w {self.w_shape}, {self._geometry_text()}{more}"
            f"{groups}{bias}, {self.dtype})"
        )


def _check_w(x_shape: Shape, w_shape: Shape, groups: int) -> None:
    if len(w_shape) != len(x_shape):
        raise ShapeError(
            f"w.shape (={w_shape}) must have as many axes as x.shape (={x_shape}): "
            "(C, F / groups, spatial axes ...)"
        )
    if min(w_shape) == 0:
        raise ShapeError(f"w.shape (={w_shape}) must have no empty axis")
    if w_shape[0] != x_shape[1]:
        raise ShapeError(f"w.shape[0] (={w_shape[0]}) must equal x.shape[1] (={x_shape[1]})")
    if w_shape[0] % groups:
        raise ShapeError(f"w.shape[0] (={w_shape[0]}) must be divisible by groups (={groups})")


def _check_b(b: Any, dtype: Any, x_dtype: np.dtype[Any], filters: int) -> None:
    b_shape, b_dtype = shape_and_dtype("b", b, dtype)
    check_same_dtype("b", b_dtype, x_dtype)
    if b_shape != (filters,):
        raise ShapeError(
            f"b.shape (={b_shape}) must be (F,) = ({filters},), with F = w.shape[1] * groups"
        )


def _pads(
    pad: Any, output_pad: Any, sizes: Shape, windows: Shape, strides: Shape, dilations: Shape
) -> tuple[Pairs, tuple[int, ...]]:
    """Return the padding of the adjoint convolution and output_pad, one entry per axis."""
    more = per_axis("output_pad", output_pad, len(sizes), least=0)
    if isinstance(pad, str) and pad == "same":
        if any(more):
            raise ParameterError(
                f"output_pad (={output_pad!r}) must not be given with pad='same', which sets it"
            )
        outs = tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
        pads = resolve_pad("same", outs, windows, strides)
        more = tuple(
            out - ((size - 1) * stride - sum(pair) + window)
            for out, size, stride, pair, window in zip(
                outs, sizes, strides, pads, windows, strict=True
            )
        )
        return pads, more
    for axis, value in enumerate(more):
        largest = max(strides[axis], dilations[axis])
        if value >= largest:
            raise ParameterError(
                f"output_pad (={output_pad!r}) must be smaller than stride or dilation, whichever "
                f"is larger (={largest}), along spatial axis {axis}"
            )
    return resolve_pad(pad, sizes, windows, strides), more
