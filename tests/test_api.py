"""The layer functions: what they take and return beyond what each module below tests."""

from __future__ import annotations

import numpy as np
import pytest

import convkit

X = np.arange(2.0 * 3 * 7 * 6).reshape(2, 3, 7, 6)
W = np.ones((4, 3, 3, 2))


def test_needs_are_names_of_gradients():
    out, cache = convkit.conv_forward(X, W)
    assert convkit.conv_backward(out, cache, needs=()) == (None, None, None)
    dx, dw, db = convkit.conv_backward(out, cache, needs=("dw",))
    assert (dx, db) == (None, None)
    assert dw.shape == W.shape
    for wrong in ("dx", ("dx", "dy")):
        with pytest.raises(convkit.ParameterError, match="needs"):
            convkit.conv_backward(out, cache, needs=wrong)
