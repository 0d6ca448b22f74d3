"""The space of poolings: popular geometries with sizes of every block."""

from __future__ import annotations

from typing import Any

from convkit.conformance.covering import Point, Space
from convkit.conformance.space import (
    CHANNELS,
    IMAGES,
    LENGTHS,
    THREADS,
    block,
    product,
    residue,
    results,
    window,
    without_images,
)

SHARED = (
    *("2x2/2", "2x2", "2x2/1 end", "2x2/2 one", "2x2/3", "2x2/2 begin", "2x2/2 end", "2x2/4"),
    *("3x3 same", "3x3", "3x3/2", "3x3/2 same", "3x3/2 end", "3x3/3", "3x3/3 same", "3x3/1,2 same"),
    *("3x3/4", "3x3/5 same", "4x4/4", "4x4/2 one", "5x5 same", "5x5/2 same", "5x5/3", "5x5/5"),
    *("7x7", "7x7/2 same", "9x9", "13x13 same", "1x1", "1x1/2", "1x2/1,2", "2x1/2,1", "1x3 same"),
    *("3x1/2,1 same", "2x3/2,3", "3x2/3,2 unequal", "1x16/1,16", "8x8/8", "1x33", "2x4/2,1"),
    *("2/2", "3/2 same", "3 same", "4/4", "33/8", "1/2", "2x2x2/2", "3x3x3 same", "3x3x3/2 same"),
    *("1x2x2/1,2,2", "2x2x2", "3x1x1", "1x1x1/2"),
)
FLAGS = ("", "ceil_mode")
DILATED = ("2x2/2 d2", "3x3 d2 same", "2x2/2 d1,2", "3x3/2 d3", "3 d2", "2x2x2 d2", "3x3/2,1 d1,2")

SIZES = {"N": IMAGES, "C": CHANNELS, "H": LENGTHS, "W": LENGTHS}


def build(point: Point) -> dict[str, Any] | None:
    """Return the pooling that a point stands for; None where its padding is too large."""
    shape = window(point["geometry"])
    pixels = shape.pixels(results(point, len(shape.kernel)), point["leftover"])
    pairs = shape.padding()
    if pixels is None or any(max(p) >= n for p, n in zip(pairs, shape.sizes, strict=True)):
        return None
    if any(p >= n for pair, n in zip(pairs, pixels, strict=True) for p in pair):
        return None  # a window may lie in padding alone
    made: dict[str, Any] = {
        "x": (point["N"], point["C"], *pixels),
        "kernel": shape.kernel,
        "stride": shape.stride,
        "pad": pairs,
    }
    if max(shape.dilation) > 1:
        made["dilation"] = shape.dilation
    for flag in filter(None, point["flags"].split("+")):
        made[flag] = True
    return made


def cost(made: dict[str, Any]) -> int:
    """Return about how many pixels windows read, with a share for every pixel."""
    overlap = product(made["kernel"]) / product(made["stride"])
    return int(product(made["x"]) * (4 + overlap))


def spaces(geometries: tuple[str, ...], flags: tuple[str, ...]) -> tuple[Space, ...]:
    """Return the space of one kind of pooling."""
    features: dict[str, tuple[Any, ...]] = {
        "geometry": geometries,
        "flags": flags,
        **SIZES,
        "square": (False, False, True),
        "leftover": (0, 1, 7),
        "dtype": ("float32", "float64"),
        "threads": THREADS,
    }
    blocks = {f"{name} block": (name, block) for name in SIZES}
    views = blocks | {"W mod": ("W", residue), "H mod": ("H", residue)}
    tuples = (
        *(("geometry", name) for name in (*blocks, "dtype", "square", "W mod", "H mod", "threads")),
        ("geometry", "flags", "leftover"),
        ("flags", "H block", "W block"),
        ("H mod", "W mod"),
        *(("geometry", name) for name in SIZES),
        ("geometry", "H block", "W block"),
        ("geometry", "N block", "C block"),
    )
    space = Space("popular geometries", features, views, tuples, build, cost)
    return (without_images(space, ("geometry", "flags")), space)
