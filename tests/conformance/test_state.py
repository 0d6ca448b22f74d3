"""What calls leave behind: each fault is found by the check that is for it."""

from __future__ import annotations

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance


class SharesItsResult(Im2colNumpy):
    """Returns what it returned for the same x before."""

    name = "shares_its_result"

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[object, np.ndarray] = {}

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        return self.results.setdefault((spec, x.tobytes()), out), saved


class LastCallWins(Im2colNumpy):
    """Keeps what backward needs of the last call alone."""

    name = "last_call_wins"
    last = None

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, self.last = super().pool_forward(spec, x)
        return out, np.zeros(0)

    def pool_backward(self, spec, dout, saved):  # type: ignore[no-untyped-def]
        return super().pool_backward(spec, dout, self.last)


class Drifts(Im2colNumpy):
    """Adds a little more at every call."""

    name = "drifts"
    calls = 0

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        self.calls += 1
        out, saved = super().pool_forward(spec, x)
        return out + self.calls, saved


@pytest.mark.parametrize(
    ("wrong", "check"),
    [(SharesItsResult, "out-overwritten"), (LastCallWins, "pairs"), (Drifts, "repeat")],
)
def test_a_fault_of_state_is_found(wrong: type, check: str) -> None:
    assert conformance.run(Im2colNumpy(), "quick", checks=[check], ops=["max_pool"]).ok
    report = conformance.run(wrong(), "quick", checks=[check], ops=["max_pool"], maxfail=1)
    assert report.failed_checks() == [check]
