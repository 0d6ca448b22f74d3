"""The problems every backend is asked: structured ones first, then random ones.

Every axis gets its own value wherever it can, because equal values hide swapped axes; where all
are equal it is on purpose (C == H == W read as another layout). Lists are by level: ``quick`` is
part of ``default``, which is part of ``full``. The problems are each operation's own; checks add
the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from convkit.conformance.cases import Case, case
from convkit.conformance.entries import ENTRIES
from convkit.errors import ConvkitError

LEVELS = ("quick", "default", "full")
RANDOM = {"quick": 24, "default": 150, "full": 2000}
BLOCKS = {
    "quick": (3, 5, 8, 9, 17, 24, 33, 64, 65),
    "default": (3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65),
    "full": (*range(1, 81), 127, 128, 129),
}


def geometries(op: str, level: str, seed: int = 0) -> list[Case]:
    """Return the problems of an operation at a level: structured, block remainders, random."""
    return list(_geometries(op, level, seed))


@lru_cache(maxsize=64)
def _geometries(op: str, level: str, seed: int) -> tuple[Case, ...]:
    chance = random_cases(op, RANDOM[level], seed)
    return (*structured(op, level), *blocks(op, level), *extremes(op, level), *chance)


def structured(op: str, level: str) -> list[Case]:
    """Return the hand-made problems of an operation."""
    entry = ENTRIES[op]
    table = entry.structured + (entry.structured_beyond_quick if level != "quick" else ())
    return [case(op, feature, **geometry) for feature, geometry in table]


def blocks(op: str, level: str) -> Iterator[Case]:
    """Sizes just below, at and above what kernels unroll by, one dimension at a time."""
    for size in BLOCKS[level]:
        for dimension, geometry in ENTRIES[op].blocks(size):
            yield case(op, f"blocks: {dimension}", **geometry)


def extremes(op: str, level: str) -> Iterator[Case]:
    """Sizes that no byte, no short and no fixed buffer holds."""
    for geometry in ENTRIES[op].extremes(level):
        yield case(op, "extremes", **geometry)


def empty_batches(op: str) -> list[Case]:
    """Return problems with N = 0."""
    entry = ENTRIES[op]
    return [
        case(op, "empty batch", **{**geometry, "x": (0, *geometry["x"][1:])})
        for feature, geometry in entry.empty or entry.structured
        if feature in entry.various
    ]


def random_cases(op: str, count: int, seed: int) -> Iterator[Case]:
    """Valid random problems, every axis with values of its own."""
    rng = np.random.default_rng([seed, *op.encode()])
    made = 0
    while made < count:
        found = case(op, "random", seed=made, **ENTRIES[op].random(rng))
        try:
            fits = min(found.out_shape) > 0 and found.work < 400_000
        except ConvkitError:
            continue
        if fits:
            made += 1
            yield found
