"""Maximum pooling in the suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from convkit import bounds
from convkit.conformance import fast_reference, reference
from convkit.conformance.arrays import Arrays, Expected, Inputs
from convkit.conformance.cases import Case
from convkit.conformance.covering import Space
from convkit.conformance.entry import FastResults, Geometry, Problems, draw_ints
from convkit.conformance.operations import pool_space
from convkit.conformance.operations.pools import Pool

STRUCTURED: Problems = (
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


class MaxPool(Pool):
    """A maximum rounds nothing; its gradient is a sum where windows overlap."""

    structured: ClassVar[Problems] = (*Pool.structured, *STRUCTURED)
    spaces: ClassVar[tuple[Space, ...]] = pool_space.spaces(
        (*pool_space.SHARED, *pool_space.DILATED), pool_space.FLAGS
    )
    selects = True
    rounds = False
    indexed = True
    step = 0.25
    distinct = "permutation"
    ties: ClassVar[tuple[str, ...]] = (
        *("close", "small", "equal", "zero", "negative", "ninf", "inf", "nan", "mixed"),
        "signed_zero",
    )
    laws: ClassVar[tuple[str, ...]] = (
        "translation",
        "batch-independence",
        "channel-permutation",
        "stride-is-subsampling",
        "max-is-idempotent",
    )
    padded_same: ClassVar[tuple[Geometry, ...]] = (
        *Pool.padded_same,
        {"x": (2, 3, 9, 8), "kernel": (3, 2), "dilation": (2, 2)},
    )

    def extremes(self, level: str) -> Iterator[Geometry]:
        """A window of more than 2**16 pixels as well, beyond quick: some backends walk over them.

        The few pixels are the window's last taps.
        """
        yield from super().extremes(level)
        if level != "quick":
            yield {"x": (2, 3, 2, 3), "kernel": (257, 256), "pad": ((255, 0), (253, 0))}

    def random_options(self, rng: np.random.Generator, axes: int) -> Geometry:
        """Dilation."""
        return {"dilation": draw_ints(rng, axes, 1, 3)} if rng.random() < 0.4 else {}

    def fast(self, case: Case, given: Inputs) -> FastResults:
        """Return out and dx."""
        spec = case.specs[0]
        out, taps = fast_reference.max_pool(spec, given.x)
        return {"out": out, "dx": fast_reference.max_pool_dx(spec, taps, given.dout)}

    def expected(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        """Return out and dx."""
        spec, dout = case.specs[0], arrays["dout"]
        out, winner = reference.max_pool_forward(spec, arrays["x"])
        S = reference.max_pool_dx(spec, np.abs(dout), winner)
        dx = reference.max_pool_dx(spec, dout, winner)
        return {
            "out": Expected.of(out, np.abs(out), bounds.terms(spec, "out")),
            "dx": Expected.of(dx, S, bounds.terms(spec, "dx"), exact=not rounds),
        }

    def indices(self, case: Case, arrays: Arrays) -> Any:
        """Return the flat pixel of each first maximum."""
        return reference.max_pool_forward(case.specs[0], arrays["x"])[1]
