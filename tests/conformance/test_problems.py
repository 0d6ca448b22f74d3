"""The problems of the space at each level, and the check that asks them."""

from __future__ import annotations

import numpy as np
import pytest

from convkit.conformance import CHECKS, data, problems
from convkit.conformance.entries import ENTRIES

SUMS = [op for op, entry in ENTRIES.items() if not entry.curved]
"""Operations whose results of integers are sums, exact in any order; others have no fast way."""


@pytest.mark.parametrize("op", SUMS)
def test_data_are_integers_whose_sums_are_exact(op: str) -> None:
    """With absolute values nothing exceeds 2**24 or 2**53, the largest problems included."""
    cases = [found for _, _, found in problems.chosen(op, "quick", 0)][::40]
    cases += [c for c in CHECKS["large"].make(op, "quick", 0) if c.work < 10**7]
    for found in cases:
        given = data.inputs.__wrapped__(found)
        sums = ENTRIES[op].fast(found, given.map(np.abs))
        limit = 2**24 if found.dtype == "float32" else 2**53
        assert all(np.abs(s).max(initial=0) <= limit for s in sums.values()), str(found)
        assert all((a == np.round(a)).all() for a in given.all if a is not None)


@pytest.mark.long
@pytest.mark.sampled(usual=3)
@pytest.mark.parametrize("op", ENTRIES)
def test_a_level_begins_with_the_problems_of_the_level_below(op: str, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """And asks twice as many, or all that there are at its cost."""
    quick = {case for _, _, case in problems.chosen(op, "quick", 0)}
    default = {case for _, _, case in problems.chosen(op, "default", 0)}
    assert quick <= default
    if len(default) <= 2 * len(quick):
        monkeypatch.setitem(problems.SPENT, "default", 2 * problems.SPENT["default"])
        with_more_to_spend = problems.chosen.__wrapped__(op, "default", 0)
        assert len(default) == len(with_more_to_spend)


def test_a_popular_geometry_wrong_beyond_a_block_in_one_gradient_is_found() -> None:
    from convkit_im2col_numpy import Im2colNumpy

    from convkit.conformance import run

    class Wrong(Im2colNumpy):
        name = "wrong_beyond_sixteen"

        def conv_backward(self, spec, dout, x, w, saved, needs):  # type: ignore[no-untyped-def]
            dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
            special = spec.kernel == (5, 5) and spec.stride == (3, 3) and spec.w_shape[1] > 16
            if dw is not None and special:
                dw[:, 16:] = 0
            return dx, dw, db

    report = run(Wrong(), "quick", checks=["space"], ops=["conv"], maxfail=1)
    assert report.failed_checks() == ["space"]
    assert "dw" in report.failures[0].message
