"""Average pooling in the suite."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from convkit import bounds
from convkit.conformance import fast_reference, reference
from convkit.conformance.arrays import Arrays, Expected, Inputs, magnitudes
from convkit.conformance.cases import Case
from convkit.conformance.covering import Space
from convkit.conformance.entry import FastResults, Geometry, Problems
from convkit.conformance.operations import pool_space
from convkit.conformance.operations.pools import Pool, twice_the_window

STRUCTURED: Problems = (
    *(
        ("count_include_pad", {**geometry, "count_include_pad": True})
        for feature, geometry in Pool.structured
        if feature in ("pad", "ceil mode", "one axis", "three axes")
    ),
    # Windows that leave the image its size, with the padding on one side.
    ("pad", {"x": (1, 2, 3, 15), "kernel": (3, 3), "stride": (1, 1), "pad": ((0, 2), (2, 0))}),
)


class AvgPool(Pool):
    """An average is linear, and exact where it divides by a power of two."""

    structured: ClassVar[Problems] = (*Pool.structured, *STRUCTURED)
    spaces: ClassVar[tuple[Space, ...]] = pool_space.spaces(
        pool_space.SHARED,
        (*pool_space.FLAGS, "count_include_pad", "ceil_mode+count_include_pad"),
    )
    divides = True
    distinct = "permutation"
    laws: ClassVar[tuple[str, ...]] = (
        "linearity",
        "translation",
        "batch-independence",
        "channel-permutation",
        "stride-is-subsampling",
        "average-of-constant",
    )

    def random_options(self, rng: np.random.Generator, axes: int) -> Geometry:
        """count_include_pad."""
        return {"count_include_pad": True} if rng.random() < 0.4 else {}

    def divided_by(self, case: Case) -> int:
        """Room for a division by the window's size."""
        return twice_the_window(case)

    def fast(self, case: Case, given: Inputs) -> FastResults:
        """Return out and dx."""
        spec = case.specs[0]
        counts = fast_reference.divisors(spec)
        return {
            "out": fast_reference.avg_pool(spec, given.x, counts),
            "dx": fast_reference.avg_pool_dx(spec, given.dout, counts),
        }

    def expected(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        """Return out and dx."""
        spec, x, dout = case.specs[0], arrays["x"], arrays["dout"]
        dot = reference.wide_dot if rounds and case.dtype == "float64" else reference.dot
        ax, ad = magnitudes(x, dout)
        powers = np.log2(reference.divisors(spec)) % 1 == 0
        return {
            "out": Expected.of(
                reference.avg_pool_forward(spec, x, dot),
                reference.avg_pool_forward(spec, ax),
                bounds.terms(spec, "out"),
                exact=np.broadcast_to(powers & (not rounds), spec.out_shape),
            ),
            "dx": Expected.of(
                reference.avg_pool_dx(spec, dout),
                reference.avg_pool_dx(spec, ad),
                bounds.terms(spec, "dx"),
                exact=bool(powers.all()) and not rounds,
            ),
        }
