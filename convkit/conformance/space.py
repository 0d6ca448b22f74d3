"""What kernels branch on: the sizes, geometries and residues that problems are drawn from.

A kernel has a path of its own for a popular geometry and works in blocks. So a space pairs every
popular geometry with sizes on the edges of blocks and beside them, along every axis. Each
operation builds its spaces of these parts (`convkit.conformance.operations`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from convkit.conformance.covering import Space

Pairs: TypeAlias = tuple[tuple[int, int], ...]

#: Channels or filters: on and beside the edges of the blocks that kernels use.
CHANNELS = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65),
    *(95, 96, 97, 127, 128, 129, 160, 257),
)
#: Results along an axis.
LENGTHS = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 23, 24, 25, 31, 32, 33),
    *(47, 48, 49, 63, 64, 65, 96, 97, 127, 128, 129),
)
IMAGES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65)
EDGES = (1, 2, 4, 8, 16, 32, 64)
THREADS = (1, 2, 3, 9, 16)


def block(size: int) -> str:
    """Say between which edges of blocks a size lies: ``"5-8"``."""
    low = 0
    for edge in EDGES:
        if size <= edge:
            return f"{low + 1}-{edge}" if low + 1 < edge else str(edge)
        low = edge
    return f">{EDGES[-1]}"


def residue(size: int) -> str:
    """Say what a size leaves in blocks of 8, and whether it fills one."""
    return f"{size % 8} mod 8" if size > 8 else "within 8"


@dataclass(frozen=True)
class Window:
    """How windows lie: one entry per axis. ``pad`` names a style, see `padding`."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """The dilated kernel sizes."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def padding(self) -> Pairs:
        """Return the (begin, end) pairs that the style stands for."""
        return tuple(_PADS[self.pad](size, axis) for axis, size in enumerate(self.sizes))

    def pixels(self, results: tuple[int, ...], leftover: int) -> tuple[int, ...] | None:
        """Return the input sizes for so many results, None where there are none.

        ``leftover`` pixels, fewer where the stride is smaller, are seen by no window.
        """
        sizes = tuple(
            (count - 1) * step + size - sum(pair) + min(leftover, step - 1)
            for count, step, size, pair in zip(
                results, self.stride, self.sizes, self.padding(), strict=True
            )
        )
        return sizes if min(sizes) > 0 else None


def _half(size: int, axis: int) -> tuple[int, int]:
    return (size - 1) // 2, size // 2


_PADS: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "none": lambda size, axis: (0, 0),
    "same": _half,
    "one": lambda size, axis: (1, 1),
    "begin": lambda size, axis: (max(1, size // 2), 0),
    "end": lambda size, axis: (0, max(1, size // 2)),
    "unequal": lambda size, axis: (size // 2 + axis, (size - 1) // 2 + 1 - axis % 2),
    "one axis": lambda size, axis: (size // 2, size // 2) if axis == 0 else (0, 0),
    "last axis": lambda size, axis: (size // 2, size // 2) if axis else (0, 0),
    "wide": lambda size, axis: (size + 6, size + 1 + axis),
    "very wide": lambda size, axis: (33 + axis, size),
    "before the end": lambda size, axis: (0, size + 2),
}
PADS = tuple(_PADS)


@cache
def window(text: str) -> Window:
    """Read a geometry: ``"3x3/2 d2 same"``; stride 1, dilation 1 and no padding where not said.

    A number that stands alone after ``/`` or ``d`` holds for every axis.
    """
    head, _, rest = text.partition(" ")
    kernel_text, _, stride_text = head.partition("/")
    kernel = tuple(int(k) for k in kernel_text.split("x"))
    dilation, pad = (1,) * len(kernel), "none"
    if rest.startswith("d") and rest[1:2].isdigit():
        word, _, rest = rest.partition(" ")
        dilation = _per_axis(word[1:], len(kernel))
    if rest:
        pad = rest
    return Window(kernel, _per_axis(stride_text or "1", len(kernel)), dilation, pad)


def _per_axis(text: str, axes: int) -> tuple[int, ...]:
    values = tuple(int(v) for v in text.split(","))
    return values * axes if len(values) == 1 else values


def results(point: dict[str, Any], axes: int) -> tuple[int, ...]:
    """Return the sizes of out that a point asks for: H and W, and a short third axis."""
    high, wide = point["H"], point["W"]
    if point["square"]:
        high = wide
    return {1: (wide,), 2: (high, wide), 3: (min(high, 5), min(high, 9), wide)}[axes]


def product(*numbers: Any) -> int:
    """Return the product of numbers and of tuples of them."""
    return math.prod(math.prod(n) if isinstance(n, tuple) else n for n in numbers)


SMALL = 9


def without_images(space: Space, *tuples: tuple[str, ...]) -> Space:
    """Return a space whose batches are empty, of which the combinations given are to be covered.

    It is a space apart, because a batch without images tells of no size of block. Sizes are small,
    for a backend may prepare its weights whether or not there are images.
    """
    features = {**space.features, "N": (0,)}
    for name in ("C", "F", "H", "W"):
        if name in features:
            features[name] = tuple(v for v in features[name] if v <= SMALL)
    return dataclasses.replace(space, name="no images", features=features, views={}, tuples=tuples)
