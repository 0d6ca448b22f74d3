"""A convolution, relu and maximum pooling in one, in the suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from convkit import bounds
from convkit.conformance import fast_reference, reference
from convkit.conformance.arrays import Arrays, Expected, Inputs, magnitudes
from convkit.conformance.cases import Case
from convkit.conformance.covering import Space
from convkit.conformance.entry import FastResults, Geometry, Problems, draw_ints
from convkit.conformance.operations import fused_space
from convkit.conformance.operations.conv import Conv, apart, gradients, linear, rectified

STRUCTURED: Problems = (
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
    *(
        (
            "pad mode",
            {
                "x": (2, 3, 6, 5), "w": (4, 3, 3, 2), "pad": ((1, 2), (3, 0)), "pad_mode": mode,
                "pool_kernel": (2, 3), "pool_stride": (2, 1),
            },
        )
        for mode in ("circular", "reflect", "symmetric", "edge")
    ),
)  # fmt: skip


class ConvReluPool(Conv):
    """Rounding may decide which element of a window is largest, or whether it is above 0."""

    structured: ClassVar[Problems] = STRUCTURED
    structured_beyond_quick: ClassVar[Problems] = ()
    spaces: ClassVar[tuple[Space, ...]] = fused_space.SPACES
    selects = True
    decided_by_rounding = True
    ties: ClassVar[tuple[str, ...]] = ("small", "zero", "equal")
    laws: ClassVar[tuple[str, ...]] = ()
    several_paths: ClassVar[tuple[str, ...]] = ("plain", "pad", "overlap", "stride", "groups")
    larger: ClassVar[Geometry] = {"x": (2, 8, 15, 17), "w": (16, 8, 3, 3), "pool_kernel": (2, 2)}
    parallel: ClassVar[tuple[Geometry, ...]] = (
        {"x": (5, 4, 15, 17), "w": (9, 4, 3, 3), "pool_kernel": (2, 2)},
    )
    twins: ClassVar[tuple[Geometry, ...]] = tuple(
        {"x": (1, 4, 9, 9), "w": (4, 4, 3, 3), "pool_kernel": (2, 2), **other}
        for other in (
            {},
            {"pool_pad": ((0, 1), (1, 0))},
            {"pool_pad": ((1, 0), (0, 1))},
            {"pad": 1, "dilation": 2},
            {"w": (4, 2, 3, 3), "groups": 2},
            {"pad": 1, "pad_mode": "circular"},
            {"pad": 1, "pad_mode": "edge"},
        )
    )
    spelled: ClassVar[Geometry] = {}
    padded_same: ClassVar[tuple[Geometry, ...]] = ()
    wide: ClassVar[Geometry] = {}

    def blocks(self, size: int) -> Iterator[tuple[str, Geometry]]:
        """One dimension at a time."""
        yield "F", {"x": (1, 2, 5, 6), "w": (size, 2, 2, 3), "pool_kernel": (2, 2)}
        yield "OW", {"x": (1, 2, 5, size * 2 + 2), "w": (3, 2, 2, 3), "pool_kernel": (2, 2)}

    def extremes(self, level: str) -> Iterator[Geometry]:
        """A long row, many filters and a large window."""
        yield {"x": (1, 1, 2, 1105), "w": (2, 1, 1, 2), "pool_kernel": (2, 2)}
        yield {"x": (1, 1, 3, 4), "w": (300, 1, 1, 2), "pool_kernel": (2, 2)}
        yield {"x": (1, 1, 19, 20), "w": (1, 1, 2, 2), "pool_kernel": (17, 18)}

    def random(self, rng: np.random.Generator) -> Geometry:
        """Draw a small problem; it need not be valid."""
        geometry = super().random(rng)
        geometry["pool_kernel"] = draw_ints(rng, 2, 1, 3)
        geometry["pool_stride"] = draw_ints(rng, 2, 1, 3)
        return geometry

    def large(self, level: str) -> Iterator[Geometry]:
        """Many images and filters, a large image, a long signal, and long sums."""
        yield {"x": (1030, 2, 4, 4), "w": (3, 2, 3, 3), "pad": 1, "pool_kernel": 2}
        yield {"x": (1, 2, 4, 4), "w": (1030, 2, 3, 3), "pad": 1, "pool_kernel": 2}
        yield {"x": (1, 2, 190, 364), "w": (3, 2, 3, 3), "pad": 1, "pool_kernel": 2}
        yield {"x": (1, 1, 368, 370), "w": (2, 1, 3, 3), "pad": 1, "pool_kernel": 2}
        yield {"x": (1, 463, 4, 6), "w": (3, 463, 3, 3), "pad": 1, "pool_kernel": 2}
        yield {"x": (1, 1150, 3, 4), "w": (2, 1150, 3, 3), "pad": 1, "pool_kernel": 2}
        yield {"x": (40, 2, 3, 4), "w": (900, 2, 1, 1), "pool_kernel": 2}
        yield {"x": (1, 1, 2, 140_002), "w": (1, 1, 1, 3), "pool_kernel": (1, 2)}
        yield {"x": (1, 1, 3, 70_000), "w": (1, 1, 2, 2), "pool_kernel": (2, 70), "pool_stride": 1}
        if level != "quick":  # more pixels than a float32 counts, for an index that is kept as one
            yield {"x": (1, 1, 4098, 4098), "w": (1, 1, 1, 1), "pool_kernel": 2}

    def fast(self, case: Case, given: Inputs) -> FastResults:
        """Return out, dx, dw and, with a bias, db."""
        spec, pool = case.specs
        cols = fast_reference.columns(spec, given.x)
        z = fast_reference.conv_out(spec, cols, given.w, given.b)
        out, taps = fast_reference.max_pool(pool, np.maximum(z, 0))
        dz = np.where(z > 0, fast_reference.max_pool_dx(pool, taps, given.dout), 0.0)
        return {"out": out, **gradients(spec, cols, given.w, dz)}

    def overlap(self, case: Case) -> int:
        """How many windows of the pooling may hold one pixel."""
        return bounds.terms(case.specs[1], "dx")

    def separated(self, case: Case, arrays: Arrays) -> Arrays:
        """Kernels of a single one, pixels far apart: rounding moves no maximum and no sign."""
        return apart(case, arrays)

    def expected(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        """Return out, dx, dw and, with a bias, db."""
        spec, pool = case.specs
        x, w, b, dout = (arrays[name] for name in ("x", "w", "b", "dout"))
        on, relu = rectified(reference.conv_forward(spec, x, w, b))
        out, winner = reference.max_pool_forward(pool, relu)
        dz = np.where(on, reference.max_pool_dx(pool, dout, winner), 0)
        parts = linear(case, {**arrays, "dout": dz}, rounds)
        ax, aw, ab = magnitudes(x, w, b)
        S, _ = reference.max_pool_forward(pool, reference.conv_forward(spec, ax, aw, ab))
        terms = bounds.terms(spec, "out")
        return {**parts, "out": Expected.of(out, S, terms, exact=not rounds)}
