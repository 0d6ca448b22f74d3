"""Declining is never failing: correct backends that take few problems have no failure.

Each is asked every check that needs problems besides the one it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance
from convkit.conformance import CHECKS
from convkit.conformance.entries import ENTRIES

pytestmark = pytest.mark.long

LAWS = sorted({name for entry in ENTRIES.values() for name in entry.laws})
COMPANIONS = [
    *("twins", "repeat", "repeat-real", "pairs", "needs", "adjoint", "gradient", "parameters"),
    *("parameters-same", "nonfinite-padding", "empty-batch", "threads", *LAWS),
]

DECLINING: dict[str, Callable[[Any], bool]] = {
    "a stride": lambda spec: max(spec.stride) > 1,
    "any kernel but 3x3": lambda spec: spec.kernel != (3, 3),
    "padding": lambda spec: any(map(any, spec.pad)),
    "float64": lambda spec: spec.dtype == np.float64,
    "groups": lambda spec: getattr(spec, "groups", 1) > 1,
    "images that are not square": lambda spec: len(set(spec.x_shape[2:])) > 1,
    "more than one image": lambda spec: spec.x_shape[0] > 1,
    "pooling": lambda spec: spec.operation != "conv",
    "a convolution with or without padding": lambda spec: (
        spec.operation == "conv" or any(map(any, spec.pad))
    ),
    "all but two axes": lambda spec: spec.axes != 2,
}


class Declines(Im2colNumpy):
    """im2col, which declines what it is told to."""

    name = "declines_most"
    reproducible = True

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def supports(self, spec: Any) -> str | None:
        return f"declines {self.what}" if DECLINING[self.what](spec) else None


@pytest.mark.sampled(usual=3)
@pytest.mark.parametrize("what", DECLINING)
def test_declining_is_never_failing(what: str) -> None:
    report = conformance.run(Declines(what), "quick", checks=COMPANIONS, isolated=False)
    failed = [f"{r.check} {r.case}: {r.message}" for r in report.failures]
    assert not failed, failed[:5]
    assert report.counts["unsupported"] > 0
    assert report.counts["pass"] > 50


class RoundsPadding(Im2colNumpy):
    """Says that it rounds, and leaves noise where windows see padding alone, as transforms do."""

    name = "rounds_padding"
    exact = False

    def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
        out, saved = super().conv_forward(spec, x, w, b)
        noise = np.finfo(spec.dtype).eps * np.abs(x).max(initial=0) * np.abs(w).max(initial=0)
        return (out + noise * (out == 0)).astype(spec.dtype), saved


def test_noise_where_windows_see_padding_alone_is_within_the_bound() -> None:
    case = "conv x=1,1,1,1 w=1,1,1,1 bias=0b stride=2,2 pad=0:1,2:0 dtype=float32 data=exact seed=0"
    report = conformance.run(RoundsPadding(), case=f"forward-exact {case}")
    assert report.ok, report.text("x")


class PadsWithZeros(Im2colNumpy):
    """Multiplies padded zeros by dout, as im2col with zeros does: NaN where dout is infinite."""

    name = "pads_with_zeros"

    def conv_backward(self, spec, dout, x, w, saved, needs):  # type: ignore[no-untyped-def]
        dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
        if dw is not None and any(map(any, spec.pad)) and not np.isfinite(dout).all():
            dw[...] = np.nan
        return dx, dw, db


class SaysSo(PadsWithZeros):
    """The same, declared."""

    name = "says_so"
    expected_failures = {"nonfinite-padding": "pads with zeros"}  # noqa: RUF012


class SaysSoForNothing(Im2colNumpy):
    """Declares what it does not do."""

    name = "says_so_for_nothing"
    expected_failures = {"nonfinite-padding": "might pad with zeros"}  # noqa: RUF012


def test_padding_that_meets_an_infinity_is_a_check_of_its_own() -> None:
    checks = ["nonfinite", "nonfinite-padding"]
    report = conformance.run(PadsWithZeros(), "quick", checks=checks, ops=["conv"])
    assert report.failed_checks() == ["nonfinite-padding"]
    report = conformance.run(SaysSo(), "quick", checks=checks, ops=["conv"])
    assert report.ok
    assert report.counts["expected"] > 0
    assert not CHECKS["nonfinite-padding"].strict
    assert conformance.run(SaysSoForNothing(), "quick", checks=checks, ops=["conv"]).ok
