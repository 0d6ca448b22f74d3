"""The table of checks, and the comparisons that they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import conformance
from convkit.conformance import checks
from convkit.conformance.arrays import Inputs
from convkit.conformance.subject import Failed


def test_every_check_has_a_name_of_its_own_and_a_summary() -> None:
    for name, check in conformance.CHECKS.items():
        assert name == check.name
        assert check.summary.endswith((".", ":")), name


def test_a_result_of_another_shape_dtype_or_layout_fails() -> None:
    good = np.zeros((2, 3), np.float32)
    checks.shape("out", good, (2, 3), "float32")
    for bad in (good.T, good.astype(np.float64), np.asfortranarray(good)):
        with pytest.raises(Failed, match="out has shape"):
            checks.shape("out", bad, (2, 3), "float32")


def test_the_sign_of_a_zero_is_a_bit() -> None:
    zero = np.zeros(2)
    checks.bits("out", zero, zero.copy(), "twice")
    with pytest.raises(Failed, match="twice: out in the sign of a zero"):
        checks.bits("out", -zero, zero, "twice")


def test_an_input_that_was_written_to_or_locked_fails() -> None:
    original = Inputs({"x": np.ones(3)}, np.ones(3))
    checks.untouched(original.copies(), original)
    written = original.copies()
    written.x[1] = 2
    with pytest.raises(Failed, match="the input x was written to"):
        checks.untouched(written, original)
    locked = original.copies()
    locked.dout.flags.writeable = False
    with pytest.raises(Failed, match="the input dout was made read-only"):
        checks.untouched(locked, original)
