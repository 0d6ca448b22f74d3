"""The space of a convolution, relu and maximum pooling in one."""

from __future__ import annotations

from typing import Any

from convkit.conformance.covering import Point, Space
from convkit.conformance.operations import conv_space
from convkit.conformance.space import block, residue, results, window, without_images

CONVOLUTIONS = (
    *(
        "3x3 same",
        "3x3",
        "5x5 same",
        "5x5",
        "7x7/2 same",
        "1x1",
        "3x3/2 same",
        "2x2",
        "3x3 d2 same",
    ),
    *("3x3 same @two", "3x3 same @depthwise", "11x11/4 same", "3x2 unequal", "4x4/4", "3x3 wide"),
    *("3x3 same @four", "3 same", "5/2", "3x3x3 same", "1x1x1", "3x3 end", "7x7 same"),
)
POOLS = (
    *("2", "2 d2", "3/2", "3/2 same", "3/3", "3/1 same", "2/1", "2 ceil", "3/2 ceil", "2/3", "4"),
    *("3/2 same ceil", "1"),
)


def build(point: Point) -> dict[str, Any] | None:
    """Return the problem that a point stands for; H and W are results of the pooling."""
    text, _, groups = point["convolution"].partition(" @")
    shape = window(text)
    axes = len(shape.kernel)
    words = point["pool"].split()
    head, *rest = [w for w in words if w != "ceil"]
    kernel, _, stride = head.partition("/")
    pool = window(f"{'x'.join([kernel] * axes)}/{stride or kernel} {' '.join(rest)}".strip())
    asked = results(point, axes)
    between = pool.pixels(asked, point["leftover"])
    if between is None or any(max(p) >= n for p, n in zip(pool.padding(), between, strict=True)):
        return None
    pixels = shape.pixels(between, point["leftover"])
    made = conv_space.geometry(point | {"leftover": 0}, shape, groups)
    if pixels is None or made is None:
        return None
    made["x"] = (*made["x"][:2], *pixels)
    made |= {"pool_kernel": pool.kernel, "pool_stride": pool.stride, "pool_pad": pool.padding()}
    if max(pool.dilation) > 1:
        made["pool_dilation"] = pool.dilation
    if "ceil" in words:
        made["pool_ceil_mode"] = True
    return made


def padded(point: Point) -> dict[str, Any] | None:
    """Return the problem of a point whose padding copies pixels; None where x has too few."""
    made = build(point)
    if made is not None:
        made["pad_mode"] = point["pad mode"]
        for n, pair in zip(made["x"][2:], made["pad"], strict=True):
            if max(pair) > n - (made["pad_mode"] == "reflect"):
                return None
    return made


_SIZES = conv_space.SIZES
_BLOCKS = {f"{name} block": (name, block) for name in _SIZES}
_SPACES = (
    Space(
        "popular geometries",
        {"convolution": CONVOLUTIONS, "pool": POOLS, **conv_space.FEATURES},
        _BLOCKS | {"W mod": ("W", residue)},
        (
            ("convolution", "pool"),
            *(("convolution", name) for name in (*_BLOCKS, "square", "dtype", "leftover", "W mod")),
            *(("pool", name) for name in (*_BLOCKS, "square", "dtype", "leftover", "W mod")),
            ("pool", "threads"),
            *(("convolution", name) for name in _SIZES),
            *(("pool", name) for name in _SIZES),
            *((name, "C block", "F block") for name in ("convolution", "pool")),
            *((name, "H block", "W block") for name in ("convolution", "pool")),
        ),
        build,
        conv_space.cost,
    ),
    Space(
        "padding that copies",
        {
            "pad mode": conv_space.MODES,
            "convolution": (
                "3x3 same",
                "5x5 same",
                "3x3/2 same",
                "3x2 unequal",
                "3x3 end",
                "3 same",
            ),
            "pool": ("2", "3/2", "2/1", "2 ceil"),
            **conv_space.FEATURES,
        },
        _BLOCKS | {"W mod": ("W", residue)},
        (
            *(("pad mode", name) for name in ("convolution", "pool", *_BLOCKS, "dtype", "W mod")),
            ("pad mode", "convolution", "pool"),
        ),
        padded,
        conv_space.cost,
    ),
)
SPACES = (without_images(_SPACES[0], ("convolution",), ("pool",)), *_SPACES)
