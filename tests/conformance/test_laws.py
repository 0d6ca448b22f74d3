"""A law that does not hold is shrunk to a small counterexample."""

from __future__ import annotations

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance
from convkit.conformance import cases


class AddsOne(Im2colNumpy):
    """Adds 1 to every convolution: not linear."""

    name = "adds_one"

    def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
        out, saved = super().conv_forward(spec, x, w, b)
        return out + 1, saved


class LooksAtTheBatch(Im2colNumpy):
    """Scales by the number of images."""

    name = "looks_at_the_batch"

    def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
        out, saved = super().conv_forward(spec, x, w, b)
        return out * len(x), saved


@pytest.mark.parametrize(
    ("wrong", "law", "images"),
    [(AddsOne, "linearity", 1), (LooksAtTheBatch, "batch-independence", 2)],
)
def test_a_counterexample_is_small(wrong: type, law: str, images: int) -> None:
    report = conformance.run(wrong(), "quick", checks=[law], ops=["conv"])
    found = cases.parse(report.failures[0].case)
    assert found.shapes["x"][0] <= images
    assert found.work <= 50
    assert conformance.run("im2col_numpy", case=f"{law} {found}").ok


def test_laws_hold_for_a_right_wrong() -> None:
    report = conformance.run(
        Im2colNumpy(), "quick", checks=["linearity", "batch-independence"], ops=["conv"]
    )
    assert report.ok
