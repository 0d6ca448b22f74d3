"""The problems every backend is asked: structured ones first, then random ones.

Every axis gets its own value wherever it can, because equal values hide swapped axes; where all
are equal it is on purpose (C == H == W read as another layout). Lists are by level: ``quick`` is
part of ``default``, which is part of ``full``. Only geometry stands here; checks add the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from convkit.conformance.cases import Case, case
from convkit.errors import ConvkitError

LEVELS = ("quick", "default", "full")
RANDOM = {"quick": 24, "default": 150, "full": 2000}
BLOCKS = {
    "quick": (3, 5, 8, 9, 17, 24, 33, 64, 65),
    "default": (3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65),
    "full": (*range(1, 81), 127, 128, 129),
}

_CONV: tuple[tuple[str, dict[str, Any]], ...] = (
    ("plain", {"x": (2, 3, 7, 5), "w": (4, 3, 3, 2)}),
    ("plain", {"x": (2, 3, 6, 9), "w": (5, 3, 2, 4), "bias": False}),
    ("pad", {"x": (2, 3, 5, 7), "w": (4, 3, 3, 2), "pad": ((1, 0), (2, 1))}),
    ("pad", {"x": (1, 2, 5, 6), "w": (3, 2, 3, 5), "pad": ((0, 2), (1, 3))}),
    ("pad", {"x": (2, 3, 6, 7), "w": (2, 3, 3, 3), "pad": (1, 1)}),
    ("pad", {"x": (1, 2, 3, 4), "w": (3, 2, 2, 1), "pad": ((3, 2), (1, 4))}),
    ("stride", {"x": (2, 3, 11, 13), "w": (4, 3, 3, 4), "stride": (2, 3)}),
    ("stride", {"x": (2, 2, 12, 11), "w": (3, 2, 4, 3), "stride": (3, 2)}),
    ("stride", {"x": (1, 2, 13, 14), "w": (3, 2, 2, 1), "stride": (3, 4)}),
    ("stride", {"x": (2, 2, 9, 10), "w": (3, 2, 2, 3), "stride": (2, 4), "pad": ((1, 0), (0, 2))}),
    ("stride", {"x": (2, 3, 8, 8), "w": (4, 3, 3, 3), "stride": (2, 2), "pad": (1, 1)}),
    ("dilation", {"x": (1, 2, 11, 13), "w": (3, 2, 3, 4), "dilation": (2, 3)}),
    (
        "dilation",
        {"x": (2, 2, 9, 8), "w": (3, 2, 3, 2), "dilation": (3, 2), "pad": ((2, 1), (0, 3))},
    ),
    (
        "dilation",
        {
            "x": (2, 3, 12, 10),
            "w": (2, 3, 2, 3),
            "stride": (2, 3),
            "dilation": (3, 2),
            "pad": ((1, 2), (3, 0)),
        },
    ),
    ("dilation", {"x": (1, 2, 14, 9), "w": (3, 2, 3, 2), "stride": (4, 2), "dilation": (2, 4)}),
    ("leftover", {"x": (2, 2, 10, 12), "w": (3, 2, 3, 2), "stride": (4, 5)}),
    ("leftover", {"x": (1, 3, 8, 9), "w": (2, 3, 1, 2), "stride": (3, 4), "pad": ((0, 1), (1, 0))}),
    ("1x1", {"x": (2, 5, 4, 6), "w": (3, 5, 1, 1)}),
    ("1x1", {"x": (2, 3, 7, 8), "w": (4, 3, 1, 1), "stride": (2, 3)}),
    ("1x1", {"x": (2, 3, 4, 3), "w": (4, 3, 1, 1), "pad": ((1, 2), (0, 1))}),
    ("1x1", {"x": (2, 4, 5, 6), "w": (6, 2, 1, 1), "groups": 2, "stride": (2, 1)}),
    ("whole image", {"x": (2, 3, 5, 4), "w": (3, 3, 5, 4)}),
    ("whole image", {"x": (1, 1, 1, 1), "w": (1, 1, 1, 1)}),
    ("whole image", {"x": (3, 2, 1, 1), "w": (4, 2, 3, 2), "pad": ((1, 1), (1, 0))}),
    ("groups", {"x": (2, 6, 5, 4), "w": (4, 3, 3, 2), "groups": 2}),
    ("groups", {"x": (2, 6, 6, 5), "w": (9, 2, 2, 3), "groups": 3, "pad": ((1, 0), (0, 1))}),
    ("groups", {"x": (1, 8, 9, 7), "w": (12, 2, 3, 2), "groups": 4, "stride": (2, 3)}),
    ("groups", {"x": (2, 4, 7, 8), "w": (6, 2, 2, 3), "groups": 2, "dilation": (3, 2)}),
    ("depthwise", {"x": (2, 5, 6, 7), "w": (5, 1, 3, 2), "groups": 5}),
    ("depthwise", {"x": (2, 3, 8, 7), "w": (6, 1, 3, 3), "groups": 3, "stride": (2, 3)}),
    ("depthwise", {"x": (1, 24, 5, 6), "w": (24, 1, 3, 3), "groups": 24, "pad": (1, 1)}),
    ("depthwise", {"x": (2, 9, 8, 9), "w": (9, 1, 2, 3), "groups": 9, "dilation": (2, 3)}),
    ("same sizes", {"x": (3, 6, 6, 6), "w": (6, 6, 3, 3), "pad": (1, 1)}),
    ("same sizes", {"x": (5, 5, 5, 5), "w": (5, 5, 2, 2)}),
    ("wide and tall", {"x": (1, 2, 3, 70), "w": (3, 2, 2, 5), "pad": ((0, 1), (2, 2))}),
    ("wide and tall", {"x": (1, 2, 67, 3), "w": (3, 2, 5, 2), "stride": (3, 1)}),
    ("one axis", {"x": (2, 3, 17), "w": (4, 3, 5), "stride": (2,), "pad": ((1, 3),)}),
    ("one axis", {"x": (2, 4, 15), "w": (6, 2, 3), "dilation": (2,), "groups": 2}),
    (
        "three axes",
        {
            "x": (2, 2, 5, 4, 6),
            "w": (3, 2, 2, 3, 2),
            "stride": (2, 1, 3),
            "pad": ((1, 0), (0, 2), (1, 1)),
        },
    ),
    (
        "three axes",
        {"x": (1, 4, 4, 5, 3), "w": (4, 2, 2, 1, 2), "groups": 2, "dilation": (2, 1, 1)},
    ),
    # The kernel that everybody writes code of its own for, and what such code forgets.
    ("special-cased", {"x": (1, 2, 7, 8), "w": (3, 2, 3, 3), "pad": 1, "dilation": 2}),
    ("special-cased", {"x": (1, 4, 5, 6), "w": (4, 2, 3, 3), "pad": 1, "groups": 2}),
    ("special-cased", {"x": (1, 2, 5, 6), "w": (3, 2, 3, 3), "pad": ((1, 1), (0, 1))}),
    ("special-cased", {"x": (1, 2, 5, 6), "w": (3, 2, 1, 1), "dilation": 3, "stride": (1, 2)}),
    # As many results as pixels, and yet a stride: the last ones see padding alone.
    (
        "special-cased",
        {"x": (2, 3, 2, 9), "w": (4, 3, 1, 2), "stride": (3, 2), "pad": ((0, 3), (1, 0))},
    ),
    (
        "special-cased",
        {"x": (1, 3, 2, 3), "w": (2, 3, 1, 1), "stride": (3, 2), "pad": ((0, 3), (0, 2))},
    ),
    ("large sums", {"x": (1, 72, 5, 6), "w": (3, 72, 3, 3), "pad": (1, 1)}),
    ("large sums", {"x": (3, 40, 7, 9), "w": (33, 40, 3, 3), "pad": (1, 1)}),
    ("course", {"x": (2, 3, 4, 4), "w": (3, 3, 4, 4), "stride": 2, "pad": 1}),
    ("course", {"x": (4, 3, 5, 5), "w": (2, 3, 3, 3), "stride": 1, "pad": 1}),
)

_CONV_DEFAULT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("large sums", {"x": (2, 256, 6, 5), "w": (5, 256, 3, 3), "pad": (1, 1)}),
    ("large sums", {"x": (9, 4, 30, 31), "w": (6, 4, 3, 3)}),
    ("course", {"x": (2, 3, 16, 16), "w": (3, 3, 3, 3), "stride": 1, "pad": 1}),
    ("course", {"x": (20, 3, 31, 31), "w": (25, 3, 3, 3), "stride": 2, "pad": 1}),
    ("course", {"x": (10, 3, 32, 32), "w": (32, 3, 7, 7), "stride": 1, "pad": 3}),
    ("wide and tall", {"x": (1, 1, 2, 700), "w": (2, 1, 1, 9), "pad": ((0, 0), (4, 5))}),
    ("wide and tall", {"x": (1, 1, 700, 2), "w": (2, 1, 9, 1), "pad": ((5, 4), (0, 0))}),
    ("wide and tall", {"x": (2, 16, 57, 59), "w": (16, 16, 3, 3), "pad": (1, 1)}),
)

_POOL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("plain", {"x": (2, 3, 8, 6), "kernel": (2, 2)}),
    ("plain", {"x": (2, 3, 6, 8), "kernel": (2, 4)}),
    ("plain", {"x": (2, 3, 9, 10), "kernel": (3, 2), "stride": (3, 2)}),
    ("overlap", {"x": (2, 3, 7, 9), "kernel": (3, 4), "stride": (2, 1)}),
    ("overlap", {"x": (2, 2, 8, 7), "kernel": (4, 2), "stride": (1, 1)}),
    ("stride", {"x": (2, 3, 11, 9), "kernel": (2, 1), "stride": (3, 4)}),
    ("stride", {"x": (1, 3, 9, 13), "kernel": (2, 2), "stride": (2, 3)}),
    ("leftover", {"x": (2, 3, 9, 11), "kernel": (2, 4), "stride": (3, 5)}),
    ("leftover", {"x": (2, 3, 7, 9), "kernel": (2, 2)}),
    ("pad", {"x": (2, 3, 6, 5), "kernel": (2, 4), "stride": (2, 1), "pad": ((1, 0), (2, 1))}),
    ("pad", {"x": (1, 2, 5, 6), "kernel": (4, 2), "stride": (3, 1), "pad": ((0, 3), (1, 1))}),
    ("pad", {"x": (2, 3, 7, 7), "kernel": (3, 3), "stride": (2, 2), "pad": (1, 1)}),
    ("pad", {"x": (2, 3, 6, 8), "kernel": (2, 2), "stride": (2, 2), "pad": (1, 1)}),
    ("ceil mode", {"x": (2, 3, 8, 6), "kernel": (2, 4), "stride": (3, 4), "ceil_mode": True}),
    (
        "ceil mode",
        {
            "x": (1, 2, 7, 8),
            "kernel": (4, 2),
            "stride": (2, 3),
            "pad": ((1, 1), (0, 1)),
            "ceil_mode": True,
        },
    ),
    ("ceil mode", {"x": (1, 2, 6, 6), "kernel": (3, 3), "stride": (2, 2), "ceil_mode": True}),
    ("whole image", {"x": (2, 4, 5, 3), "kernel": (5, 3)}),
    ("whole image", {"x": (2, 4, 4, 8), "kernel": (4, 8)}),
    ("whole image", {"x": (2, 2, 1, 1), "kernel": (1, 1)}),
    ("same sizes", {"x": (6, 6, 6, 6), "kernel": (2, 2), "stride": (1, 1)}),
    ("wide and tall", {"x": (1, 2, 4, 66), "kernel": (2, 2), "stride": (2, 2)}),
    ("wide and tall", {"x": (1, 2, 69, 3), "kernel": (4, 2), "stride": (2, 1)}),
    ("wide and tall", {"x": (1, 2, 18, 19), "kernel": (16, 17), "stride": (1, 1)}),
    ("one axis", {"x": (2, 3, 15), "kernel": (4,), "stride": (2,), "pad": ((1, 2),)}),
    (
        "three axes",
        {
            "x": (2, 2, 5, 4, 6),
            "kernel": (2, 1, 4),
            "stride": (2, 3, 1),
            "pad": ((1, 0), (0, 0), (2, 1)),
        },
    ),
    # The window that everybody writes a kernel of its own for, and what such a kernel forgets.
    ("special-cased", {"x": (1, 2, 7, 9), "kernel": 2, "stride": 2, "ceil_mode": True}),
    ("special-cased", {"x": (1, 2, 8, 6), "kernel": 2, "stride": 2, "pad": ((1, 0), (0, 1))}),
    ("special-cased", {"x": (1, 2, 4, 6, 8), "kernel": 2, "stride": 2}),
    ("course", {"x": (2, 3, 4, 4), "kernel": 2, "stride": 2}),
    ("course", {"x": (3, 2, 8, 8), "kernel": 2, "stride": 2}),
)

_MAX_POOL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("special-cased", {"x": (1, 2, 9, 8), "kernel": 2, "stride": 2, "dilation": 2}),
    ("special-cased", {"x": (1, 2, 9, 8), "kernel": 2, "stride": 2, "dilation": (1, 2)}),
    ("dilation", {"x": (2, 3, 9, 8), "kernel": (3, 2), "stride": (1, 2), "dilation": (2, 3)}),
    (
        "dilation",
        {
            "x": (1, 2, 10, 11),
            "kernel": (2, 3),
            "stride": (2, 1),
            "dilation": (3, 2),
            "pad": ((1, 2), (2, 1)),
        },
    ),
)

_AVG_POOL: tuple[tuple[str, dict[str, Any]], ...] = (
    *(
        ("count_include_pad", {**geometry, "count_include_pad": True})
        for feature, geometry in _POOL
        if feature in ("pad", "ceil mode", "one axis", "three axes")
    ),
    # Windows that leave the image its size, with the padding on one side.
    ("pad", {"x": (1, 2, 3, 15), "kernel": (3, 3), "stride": (1, 1), "pad": ((0, 2), (2, 0))}),
)

_FUSED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("plain", {"x": (2, 3, 8, 9), "w": (4, 3, 3, 2), "pool_kernel": (2, 2)}),
    (
        "pad",
        {
            "x": (2, 3, 7, 6),
            "w": (4, 3, 3, 3),
            "pad": (1, 1),
            "pool_kernel": (2, 2),
            "pool_stride": (2, 2),
        },
    ),
    (
        "overlap",
        {
            "x": (1, 2, 9, 8),
            "w": (5, 2, 2, 3),
            "pad": ((1, 0), (0, 2)),
            "pool_kernel": (3, 2),
            "pool_stride": (1, 2),
        },
    ),
    (
        "stride",
        {
            "x": (2, 3, 13, 14),
            "w": (3, 3, 2, 3),
            "stride": (2, 1),
            "pool_kernel": (2, 3),
            "pool_stride": (3, 2),
            "pool_pad": ((1, 0), (1, 2)),
        },
    ),
    (
        "groups",
        {"x": (2, 4, 9, 8), "w": (6, 2, 3, 3), "groups": 2, "pad": (1, 1), "pool_kernel": (2, 2)},
    ),
    (
        "leftover",
        {
            "x": (1, 3, 8, 8),
            "w": (9, 3, 2, 2),
            "bias": False,
            "pool_kernel": (2, 3),
            "pool_stride": (2, 2),
            "pool_ceil_mode": True,
        },
    ),
    (
        "special-cased",
        {"x": (1, 2, 7, 9), "w": (3, 2, 3, 3), "pad": 1, "pool_kernel": 2, "pool_ceil_mode": True},
    ),
    (
        "course",
        {"x": (2, 3, 16, 16), "w": (3, 3, 3, 3), "pad": 1, "pool_kernel": 2, "pool_stride": 2},
    ),
)


def geometries(op: str, level: str, seed: int = 0) -> list[Case]:
    """Return the problems of an operation at a level: structured, block remainders, random."""
    return list(_geometries(op, level, seed))


@lru_cache(maxsize=64)
def _geometries(op: str, level: str, seed: int) -> tuple[Case, ...]:
    chance = random_cases(op, RANDOM[level], seed)
    return (*structured(op, level), *blocks(op, level), *extremes(op, level), *chance)


def structured(op: str, level: str) -> list[Case]:
    """Return the hand-made problems of an operation."""
    table = {
        "conv": _CONV + (_CONV_DEFAULT if level != "quick" else ()),
        "max_pool": _POOL + _MAX_POOL,
        "avg_pool": _POOL + _AVG_POOL,
        "conv_relu_pool": _FUSED,
    }[op]
    return [case(op, feature, **geometry) for feature, geometry in table]


def blocks(op: str, level: str) -> Iterator[Case]:
    """Sizes just below, at and above what kernels unroll by, one dimension at a time."""
    for size in BLOCKS[level]:
        if op == "conv":
            yield case(op, "blocks: F", x=(1, 3, 4, 5), w=(size, 3, 2, 3))
            yield case(op, "blocks: C", x=(2, size, 4, 3), w=(3, size, 3, 2), pad=((1, 0), (0, 1)))
            yield case(op, "blocks: N", x=(size, 2, 4, 3), w=(3, 2, 2, 2))
            yield case(op, "blocks: OW", x=(1, 2, 3, size + 2), w=(3, 2, 2, 3))
            yield case(op, "blocks: OH", x=(1, 2, size + 1, 4), w=(3, 2, 2, 3))
            yield case(op, "blocks: depthwise", x=(1, size, 5, 6), w=(size, 1, 3, 2), groups=size)
            yield case(op, "blocks: 1x1", x=(1, size, 3, size), w=(5, size, 1, 1))
        elif op == "conv_relu_pool":
            yield case(op, "blocks: F", x=(1, 2, 5, 6), w=(size, 2, 2, 3), pool_kernel=(2, 2))
            yield case(
                op, "blocks: OW", x=(1, 2, 5, size * 2 + 2), w=(3, 2, 2, 3), pool_kernel=(2, 2)
            )
        else:
            yield case(op, "blocks: C", x=(2, size, 4, 6), kernel=(2, 4), stride=(2, 1))
            yield case(op, "blocks: N", x=(size, 2, 4, 5), kernel=(2, 2), stride=(1, 2))
            yield case(op, "blocks: OW", x=(1, 2, 4, size + 1), kernel=(2, 2), stride=(2, 1))
            yield case(op, "blocks: OW", x=(1, 3, 4, size * 2), kernel=(2, 2))
            yield case(op, "blocks: OH", x=(1, 2, size * 2, 4), kernel=(2, 4), stride=(2, 2))


def extremes(op: str, level: str) -> Iterator[Case]:
    """Sizes that no byte, no short and no fixed buffer holds; cheap, because all else is 1.

    A window of more than 2**16 pixels is not, for a backend that walks over them: beyond quick.
    """
    if op == "conv":
        for x, w in (
            ((1, 1, 2, 45), (2, 1, 1, 37)),
            ((1, 1, 47, 2), (2, 1, 39, 1)),
            ((1, 1, 18, 20), (2, 1, 17, 18)),
            ((1, 1, 1, 1101), (2, 1, 1, 2)),
            ((1, 1, 1102, 1), (2, 1, 2, 1)),
            ((1, 1, 1, 33_001), (1, 1, 1, 2)),
            ((1, 1, 33_002, 1), (1, 1, 2, 1)),
            ((1, 1, 2, 2), (300, 1, 1, 2)),
            ((1, 300, 2, 2), (2, 300, 2, 1)),
            ((300, 1, 2, 3), (1, 1, 2, 2)),
        ):
            yield case(op, "extremes", x=x, w=w)
        yield case(op, "extremes", x=(1, 300, 2, 3), w=(300, 1, 2, 2), groups=300)
    elif op == "conv_relu_pool":
        yield case(op, "extremes", x=(1, 1, 2, 1105), w=(2, 1, 1, 2), pool_kernel=(2, 2))
        yield case(op, "extremes", x=(1, 1, 3, 4), w=(300, 1, 1, 2), pool_kernel=(2, 2))
        yield case(op, "extremes", x=(1, 1, 19, 20), w=(1, 1, 2, 2), pool_kernel=(17, 18))
    else:
        for x, kernel in (
            ((1, 1, 18, 20), (17, 18)),
            ((1, 1, 1, 2203), (1, 2)),
            ((1, 1, 2204, 1), (2, 1)),
            ((1, 1, 1, 66_001), (1, 2)),
            ((1, 1, 66_002, 1), (2, 1)),
            ((1, 300, 2, 3), (2, 2)),
            ((1, 1, 182, 183), (2, 2)),
            ((300, 1, 2, 3), (1, 2)),
        ):
            yield case(op, "extremes", x=x, kernel=kernel)
        if level != "quick" and op == "max_pool":  # the few pixels are the window's last taps
            pad = ((255, 0), (253, 0))
            yield case(op, "extremes", x=(2, 3, 2, 3), kernel=(257, 256), pad=pad)


def empty_batches(op: str) -> list[Case]:
    """Return problems with N = 0."""
    table = {"conv": _CONV, "conv_relu_pool": _FUSED}.get(op, _POOL)
    found = []
    for feature, geometry in table:
        if feature in ("plain", "groups", "1x1", "pad"):
            shape = (0, *geometry["x"][1:])
            found.append(case(op, "empty batch", **{**geometry, "x": shape}))
    return found


def random_cases(op: str, count: int, seed: int) -> Iterator[Case]:
    """Valid random problems, every axis with values of its own."""
    rng = np.random.default_rng([seed, *op.encode()])
    made = 0
    while made < count:
        geometry = _random_conv(rng) if op.startswith("conv") else _random_pool(rng, op)
        if op == "conv_relu_pool":
            geometry |= {"pool_kernel": _ints(rng, 2, 1, 3), "pool_stride": _ints(rng, 2, 1, 3)}
        found = case(op, "random", seed=made, **geometry)
        try:
            fits = min(found.out_shape) > 0 and found.work < 400_000
        except ConvkitError:
            continue
        if fits:
            made += 1
            yield found


def _ints(rng: np.random.Generator, axes: int, low: int, high: int) -> tuple[int, ...]:
    """Ints in [low, high], all different where the range allows."""
    different = high - low + 1 >= axes
    return tuple(int(v) for v in rng.choice(np.arange(low, high + 1), axes, replace=not different))


def _axes(rng: np.random.Generator) -> int:
    return int(rng.choice([2, 2, 2, 2, 2, 2, 1, 3]))


def _pads(rng: np.random.Generator, axes: int, high: int) -> tuple[tuple[int, int], ...]:
    return tuple((int(b), int(e)) for b, e in rng.integers(0, high + 1, (axes, 2)))


def _random_conv(rng: np.random.Generator) -> dict[str, Any]:
    axes = _axes(rng)
    groups = int(rng.choice([1, 1, 1, 2, 3, 4]))
    per_group, filters = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    return {
        "x": (int(rng.integers(1, 5)), per_group * groups, *_ints(rng, axes, 3, 14)),
        "w": (filters * groups, per_group, *_ints(rng, axes, 1, 5)),
        "bias": bool(rng.random() < 0.7),
        "stride": _ints(rng, axes, 1, 4),
        "pad": _pads(rng, axes, 3),
        "dilation": _ints(rng, axes, 1, 3) if rng.random() < 0.5 else (1,) * axes,
        "groups": groups,
    }


def _random_pool(rng: np.random.Generator, op: str) -> dict[str, Any]:
    axes = _axes(rng)
    kernel = _ints(rng, axes, 1, 5)
    geometry: dict[str, Any] = {
        "x": (int(rng.integers(1, 4)), int(rng.integers(1, 6)), *_ints(rng, axes, 3, 14)),
        "kernel": kernel,
        "stride": _ints(rng, axes, 1, 4),
        "pad": tuple((int(rng.integers(0, k)), int(rng.integers(0, k))) for k in kernel),
        "ceil_mode": bool(rng.random() < 0.4),
    }
    if op == "max_pool" and rng.random() < 0.4:
        geometry["dilation"] = _ints(rng, axes, 1, 3)
    if op == "avg_pool" and rng.random() < 0.4:
        geometry["count_include_pad"] = True
    return geometry
