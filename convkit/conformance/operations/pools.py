"""What maximum and average pooling share in the suite: problems, exact data and searches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from convkit import bounds
from convkit.conformance.arrays import Arrays, integers
from convkit.conformance.cases import Case
from convkit.conformance.entry import Entry, Geometry, Problems, draw_axes, draw_ints
from convkit.conformance.operations.pool_problems import STRUCTURED


class Pool(Entry):
    """A pooling; each kind adds its reference and problems of its own."""

    structured: ClassVar[Problems] = STRUCTURED
    empty: ClassVar[Problems] = STRUCTURED
    several_paths: ClassVar[tuple[str, ...]] = ("plain", "overlap", "pad", "stride", "ceil mode")
    larger: ClassVar[Geometry] = {
        "x": (3, 8, 19, 17),
        "kernel": (3, 2),
        "stride": (2, 2),
        "pad": ((1, 1), (0, 1)),
    }
    parallel: ClassVar[tuple[Geometry, ...]] = (
        {"x": (5, 7, 22, 23), "kernel": (3, 2), "stride": (2, 1), "pad": ((1, 1), (0, 1))},
    )
    twins: ClassVar[tuple[Geometry, ...]] = (
        {"x": (1, 2, 9, 9), "kernel": (3, 3), "stride": (2, 2)},
        {"x": (1, 2, 9, 9), "kernel": (3, 3), "stride": (2, 2), "pad": ((1, 0), (0, 1))},
        {"x": (1, 2, 9, 9), "kernel": (3, 3), "stride": (2, 2), "pad": ((0, 1), (1, 0))},
        {"x": (1, 2, 9, 9), "kernel": (2, 4), "stride": (2, 2), "pad": ((0, 0), (0, 1))},
    )
    spelled: ClassVar[Geometry] = {"x": (2, 3, 8, 7), "kernel": 3, "stride": 2, "pad": 1}
    padded_same: ClassVar[tuple[Geometry, ...]] = (
        {"x": (2, 3, 8, 9), "pad": ((0, 1), (1, 2)), "stride": (1, 1), "kernel": (2, 4)},
    )
    wide: ClassVar[Geometry] = {"kernel": (2, 2)}

    def blocks(self, size: int) -> Iterator[tuple[str, Geometry]]:
        """One dimension at a time."""
        yield "C", {"x": (2, size, 4, 6), "kernel": (2, 4), "stride": (2, 1)}
        yield "N", {"x": (size, 2, 4, 5), "kernel": (2, 2), "stride": (1, 2)}
        yield "OW", {"x": (1, 2, 4, size + 1), "kernel": (2, 2), "stride": (2, 1)}
        yield "OW", {"x": (1, 3, 4, size * 2), "kernel": (2, 2)}
        yield "OH", {"x": (1, 2, size * 2, 4), "kernel": (2, 4), "stride": (2, 2)}

    def extremes(self, level: str) -> Iterator[Geometry]:
        """Large windows, long rows and columns, many channels and images."""
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
            yield {"x": x, "kernel": kernel}

    def large(self, level: str) -> Iterator[Geometry]:
        """Many images and planes, long signals and large images."""
        yield {"x": (1100, 2, 4, 5), "kernel": 2}
        yield {"x": (1100, 3, 3, 3), "kernel": 3, "stride": 1, "pad": 1}
        yield {"x": (33, 1000, 2, 2), "kernel": 2}
        yield {"x": (66, 1001, 2, 2), "kernel": 2}
        yield {"x": (65_600, 1, 1, 2), "kernel": (1, 2)}
        yield {"x": (2, 2050, 3, 4), "kernel": 3, "stride": 2, "pad": 1}
        yield {"x": (1, 2, 184, 190), "kernel": 3, "stride": 1, "pad": 1}
        yield {"x": (1, 2, 370, 380), "kernel": 2}
        yield {"x": (1, 1, 370, 381), "kernel": 3, "stride": 2}
        yield {"x": (1, 2, 9001), "kernel": 3, "stride": 2, "pad": 1}
        yield {"x": (1, 1, 80_001), "kernel": 2}
        yield {"x": (1, 1, 70_000), "kernel": 3, "stride": 1}

    def random(self, rng: np.random.Generator) -> Geometry:
        """Draw a small pooling; it need not be valid."""
        axes = draw_axes(rng)
        kernel = draw_ints(rng, axes, 1, 5)
        geometry: Geometry = {
            "x": (int(rng.integers(1, 4)), int(rng.integers(1, 6)), *draw_ints(rng, axes, 3, 14)),
            "kernel": kernel,
            "stride": draw_ints(rng, axes, 1, 4),
            "pad": tuple((int(rng.integers(0, k)), int(rng.integers(0, k))) for k in kernel),
            "ceil_mode": bool(rng.random() < 0.4),
        }
        return geometry | self.random_options(rng, axes)

    def random_options(self, rng: np.random.Generator, axes: int) -> Geometry:
        """Draw what only one kind of pooling takes."""
        return {}

    def searched(self, draw: Any, flag: Any) -> Geometry:
        """Draw what a search of the laws asks; small numbers shrink first."""
        return {
            "x": (draw(1, 3), draw(1, 3), draw(1, 9), draw(1, 9)),
            "kernel": (draw(1, 4), draw(1, 4)),
            "stride": (draw(1, 3), draw(1, 3)),
            "pad": ((draw(0, 2), draw(0, 2)), (draw(0, 2), draw(0, 2))),
            "ceil_mode": flag(),
        }

    def divided_by(self, case: Case) -> int:
        """By how much smaller values have to be, so that dividing keeps them exact."""
        return 1

    def exact(self, case: Case, rng: np.random.Generator) -> Arrays:
        """Integers whose sums over a window, and over windows, are exact."""
        bits = 24 if case.dtype == "float32" else 53
        spec = case.specs[0]
        share = max(bounds.terms(spec, "dx"), bounds.terms(spec, "out")) * self.divided_by(case)
        largest = int(2 ** (bits - 1) // share)
        return {
            "x": integers(rng, case.shapes["x"], largest),
            "dout": integers(rng, case.out_shape, largest),
        }


def twice_the_window(case: Case) -> int:
    """Return twice the number of pixels of a window."""
    return 2 * int(math.prod(case.specs[0].kernel))
