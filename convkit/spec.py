"""ConvSpec and PoolSpec: one frozen, hashable description of a problem.

All output-size and padding arithmetic of convkit is here and nowhere else, for any number of
spatial axes. A spec is made by ``ConvSpec.of`` or ``PoolSpec.of``, which check every argument;
a backend reads it and never has to check again. Nothing here touches the values of an array.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from convkit.errors import DtypeError, ParameterError, ShapeError

Axes: TypeAlias = int | tuple[int, ...]
Pad: TypeAlias = int | tuple[int, ...] | tuple[tuple[int, int], ...] | Literal["same", "valid"]
Shape: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def freeze(name: str, value: Any) -> Any:
    """Return a geometry argument as hashable plain ints, nested tuples of them, or a str.

    Lists become tuples and NumPy integers ints. Bools and floats raise: as dictionary keys they
    equal ints, as geometry they are mistakes.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list):
        return tuple(freeze(name, v) for v in value)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return tuple(freeze(name, v) for v in value)
    if not isinstance(value, bool | np.bool_):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise ParameterError(
        f"{name} (={value!r}) must be an int or a tuple of ints, not {type(value).__name__}"
    )


def check_flag(name: str, value: Any) -> bool:
    """Return a bool argument; anything but a bool raises."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ParameterError(f"{name} (={value!r}) must be True or False")


def per_axis(name: str, value: Any, axes: int) -> tuple[int, ...]:
    """Return one positive int per spatial axis from an int or a flat tuple of ``axes`` ints."""
    frozen = freeze(name, value)
    if isinstance(frozen, int):
        frozen = (frozen,) * axes
    if not isinstance(frozen, tuple) or not all(isinstance(v, int) for v in frozen):
        raise ParameterError(f"{name} (={value!r}) must be an int or a flat tuple of {axes} ints")
    if len(frozen) != axes:
        raise ParameterError(
            f"{name} (={value!r}) must be an int or have one value per spatial axis ({axes}); "
            f"it has {len(frozen)}"
        )
    if any(v < 1 for v in frozen):
        raise ParameterError(f"{name} (={value!r}) must be at least 1 along every axis")
    return frozen


def resolve_pad(
    value: Any, sizes: Shape, windows: Shape, stride: tuple[int, ...], name: str = "pad"
) -> Pairs:
    """Return one (begin, end) pair per spatial axis.

    ``value`` is an int, one int per axis, one (begin, end) pair per axis, ``"valid"`` (none) or
    ``"same"``: out = ceil(size / stride), the odd one at the end. ``windows`` are the dilated
    kernel sizes.
    """
    axes = len(sizes)
    frozen = freeze(name, value)
    if isinstance(frozen, str):
        if frozen == "valid":
            return ((0, 0),) * axes
        if frozen == "same":
            return tuple(map(_same_pad, sizes, windows, stride))
        raise ParameterError(f"{name} (={value!r}) must be 'same', 'valid', an int or a tuple")
    if isinstance(frozen, int):
        frozen = (frozen,) * axes
    if len(frozen) != axes:
        raise ParameterError(
            f"{name} (={value!r}) must have one entry per spatial axis ({axes}), each an int or "
            f"a (begin, end) pair; it has {len(frozen)}"
        )
    if all(isinstance(v, int) for v in frozen):
        frozen = tuple((v, v) for v in frozen)
    for pair in frozen:
        if (
            not isinstance(pair, tuple)
            or len(pair) != 2
            or not all(isinstance(v, int) for v in pair)
        ):
            raise ParameterError(
                f"{name} (={value!r}) must be all ints or all (begin, end) pairs, one per axis"
            )
        if min(pair) < 0:
            raise ParameterError(f"{name} (={value!r}) must not be negative; crop x instead")
    return tuple(frozen)


def _same_pad(size: int, window: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _shape_and_dtype(name: str, value: Any, dtype: Any) -> tuple[Shape, np.dtype[Any]]:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        shape, found = tuple(value.shape), np.dtype(value.dtype)
        if dtype is not None and np.dtype(dtype).newbyteorder("=") != found.newbyteorder("="):
            raise DtypeError(
                f"{name}.dtype (={found}) must equal dtype (={np.dtype(dtype)}); "
                f"cast with {name}.astype(np.{np.dtype(dtype)})"
            )
    else:
        shape = freeze(f"the shape of {name}", value)
        if not isinstance(shape, tuple) or not all(isinstance(v, int) and v >= 0 for v in shape):
            raise ShapeError(f"the shape of {name} (={value!r}) must be a tuple of ints >= 0")
        if dtype is None:
            raise DtypeError(f"dtype is needed where {name} is given as a shape")
        found = np.dtype(dtype)
    found = found.newbyteorder("=")
    if found not in FLOATS:
        raise DtypeError(
            f"{name}.dtype (={found}) must be float32 or float64; cast with "
            f"{name}.astype(np.float32)"
        )
    return shape, FLOATS[FLOATS.index(found)]  # NumPy's own object, so that ``is`` compares


def _check_x(shape: Shape) -> None:
    if len(shape) < 3:
        raise ShapeError(
            f"x.shape (={shape}) must be (N, C, spatial axes ...), so at least 3 axes; "
            "add the missing ones with x[None] or x[:, None]"
        )
    if min(shape[1:]) == 0:
        raise ShapeError(f"x.shape (={shape}) must have no empty axis but the first (N)")


@dataclass(frozen=True)
class Geometry:
    """What convolution and pooling share: how windows lie on the input.

    Attributes hold one entry per spatial axis; ``x_shape`` and ``out_shape`` are whole, N first.
    """

    x_shape: Shape
    out_shape: Shape
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: Pairs
    dtype: np.dtype[Any]

    @property
    def axes(self) -> int:
        """The number of spatial axes."""
        return len(self.kernel)

    @property
    def window(self) -> tuple[int, ...]:
        """The dilated kernel sizes, (k - 1) * dilation + 1."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def tap_range(self, axis: int, tap: int) -> tuple[slice, slice]:
        """Where tap ``tap`` of axis ``axis`` meets a real pixel: slices of output and of input.

        Output ``o`` reads input ``o * stride - pad_begin + tap * dilation``. The two slices have
        the same length, which may be 0; outputs outside read padding through this tap.
        """
        size, out = self.x_shape[2 + axis], self.out_shape[2 + axis]
        stride, shift = self.stride[axis], tap * self.dilation[axis] - self.pad[axis][0]
        first = max(0, -(shift // stride))
        last = min(out - 1, (size - 1 - shift) // stride)
        if last < first:
            return slice(0, 0), slice(0, 0)
        start = first * stride + shift
        return slice(first, last + 1), slice(start, start + (last - first) * stride + 1, stride)

    def taps(
        self,
    ) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]]:
        """For every tap of the kernel, in row-major order: (tap, output slices, input slices)."""
        ranges = [[self.tap_range(a, t) for t in range(k)] for a, k in enumerate(self.kernel)]
        for tap in itertools.product(*(range(k) for k in self.kernel)):
            pairs = [ranges[a][t] for a, t in enumerate(tap)]
            yield tap, tuple(o for o, _ in pairs), tuple(i for _, i in pairs)

    def _geometry_text(self) -> str:
        parts = [f"kernel={self.kernel}", f"stride={self.stride}", f"pad={self.pad}"]
        if any(d != 1 for d in self.dilation):
            parts.append(f"dilation={self.dilation}")
        return ", ".join(parts)


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
        x_shape, x_dtype = _shape_and_dtype("x", x, dtype)
        w_shape, w_dtype = _shape_and_dtype("w", w, dtype)
        _check_same_dtype("w", w_dtype, x_dtype)
        _check_x(x_shape)
        if isinstance(groups, bool) or not isinstance(groups, int | np.integer) or groups < 1:
            raise ParameterError(f"groups (={groups!r}) must be an int of at least 1")
        _check_w(x_shape, w_shape, int(groups))
        if b is not None:
            b_shape, b_dtype = _shape_and_dtype("b", b, dtype)
            _check_same_dtype("b", b_dtype, x_dtype)
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
        sizes = _output_sizes(x_shape, kernel, windows, strides, dilations, pads, ceil=False)
        return cls(
            x_shape=x_shape,
            out_shape=(x_shape[0], w_shape[0], *sizes),
            kernel=kernel,
            stride=strides,
            dilation=dilations,
            pad=pads,
            dtype=x_dtype,
            w_shape=w_shape,
            groups=int(groups),
            has_bias=b is not None,
        )

    def __str__(self) -> str:
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        bias = "" if self.has_bias else ", no bias"
        return (
            f"conv(x {self.x_shape}, w {self.w_shape}, {self._geometry_text()}{groups}{bias}, "
            f"{self.dtype})"
        )


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
        x_shape, x_dtype = _shape_and_dtype("x", x, dtype)
        _check_x(x_shape)
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
        sizes = _output_sizes(x_shape, kernels, windows, strides, dilations, pads, ceil=ceil_mode)
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
            covered: set[int] = set()
            for tap in range(self.kernel[axis]):
                out, _ = self.tap_range(axis, tap)
                covered.update(range(out.start, min(out.stop, -(-pair[0] // self.stride[axis]))))
            # Windows that start on a real pixel hold it; only the first few start in padding.
            starts_in_padding = min(self.out_shape[2 + axis], -(-pair[0] // self.stride[axis]))
            if len(covered) < starts_in_padding:
                raise ParameterError(
                    f"pad (={pad!r}) with dilation (={self.dilation[axis]}) leaves a pooling "
                    f"window without a real pixel along spatial axis {axis}"
                )

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
        starts = (o * self.stride[axis] - begin for o in range(self.out_shape[2 + axis]))
        return tuple(min(s + window, high) - max(s, low) for s in starts)

    def __str__(self) -> str:
        flags = "".join(
            f", {name}" for name in ("ceil_mode", "count_include_pad") if getattr(self, name)
        )
        return f"{self.operation}(x {self.x_shape}, {self._geometry_text()}{flags}, {self.dtype})"


def _check_same_dtype(name: str, found: np.dtype[Any], expected: np.dtype[Any]) -> None:
    if found != expected:
        raise DtypeError(
            f"{name}.dtype (={found}) must equal x.dtype (={expected}); "
            f"cast with {name}.astype(np.{expected})"
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


def _output_sizes(
    x_shape: Shape,
    kernel: Shape,
    windows: Shape,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    pad: Pairs,
    *,
    ceil: bool,
) -> tuple[int, ...]:
    """Return floor or ceil of (size + pads - window) / stride, plus 1, per spatial axis."""
    sizes = []
    for axis, (size, window) in enumerate(zip(x_shape[2:], windows, strict=True)):
        begin, end = pad[axis]
        room = size + begin + end - window
        if room < 0:
            raise ShapeError(
                f"the window (={window}, kernel {kernel[axis]} with dilation {dilation[axis]}) "
                f"must not be larger than the padded input (={size + begin + end}) along spatial "
                f"axis {axis}; x.shape is {x_shape}, pad {pad[axis]}"
            )
        out = room // stride[axis] + 1
        if ceil:
            out = -(-room // stride[axis]) + 1
            # A window that would start in the end padding is dropped, as PyTorch does.
            if (out - 1) * stride[axis] >= size + begin:
                out -= 1
        sizes.append(out)
    return tuple(sizes)
