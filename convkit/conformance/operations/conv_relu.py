"""A convolution and relu in one, in the suite."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from convkit import bounds
from convkit.conformance import fast_reference, reference
from convkit.conformance.arrays import Arrays, Expected, Inputs, magnitudes
from convkit.conformance.cases import Case
from convkit.conformance.covering import Space
from convkit.conformance.entry import FastResults
from convkit.conformance.operations import conv_space
from convkit.conformance.operations.conv import Conv, apart, gradients, linear, rectified


class ConvRelu(Conv):
    """Rounding may decide whether a result is above 0."""

    selects = True
    decided_by_rounding = True
    ties: ClassVar[tuple[str, ...]] = ("small", "zero")
    laws: ClassVar[tuple[str, ...]] = ()
    spaces: ClassVar[tuple[Space, ...]] = conv_space.SPACES[:2]
    share = 0.5

    def fast(self, case: Case, given: Inputs) -> FastResults:
        """Return out, dx, dw and, with a bias, db."""
        spec = case.specs[0]
        cols = fast_reference.columns(spec, given.x)
        z = fast_reference.conv_out(spec, cols, given.w, given.b)
        dz = np.where(z > 0, given.dout, 0.0)
        return {"out": np.maximum(z, 0), **gradients(spec, cols, given.w, dz)}

    def separated(self, case: Case, arrays: Arrays) -> Arrays:
        """Kernels of a single one, pixels far apart: rounding moves no sign."""
        return apart(case, arrays)

    def expected(self, case: Case, arrays: Arrays, rounds: bool) -> dict[str, Expected]:
        """Return out, dx, dw and, with a bias, db."""
        spec = case.specs[0]
        x, w, b, dout = (arrays[name] for name in ("x", "w", "b", "dout"))
        on, out = rectified(reference.conv_forward(spec, x, w, b))
        parts = linear(case, {**arrays, "dout": np.where(on, dout, 0)}, rounds)
        size = reference.conv_forward(spec, *magnitudes(x, w, b))
        return {**parts, "out": Expected.of(out, size, bounds.terms(spec, "out"), exact=not rounds)}
