"""How windows lie on the input: padding, output sizes, and which pixels a tap meets.

All size arithmetic that convolution and pooling share, for any number of spatial axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from convkit.errors import ParameterError, ShapeError
from convkit.spec.arguments import Pairs, Shape, freeze


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
            return tuple(map(same_pad, sizes, windows, stride))
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


def same_pad(size: int, window: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def output_sizes(
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
