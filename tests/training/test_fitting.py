"""What the estimators share: the weighted loss, and how X is taken."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from convkit.gradcheck import gradcheck
from convkit.layers import softmax_loss
from convkit.training.fitting import Weighted, accepted, dtype_of


def test_equal_weights_are_the_softmax_loss():
    scores, y = np.random.default_rng(0).standard_normal((6, 4)), np.arange(6) % 4
    loss, gradient = Weighted(np.ones(4))(scores, y)
    expected, other = softmax_loss(scores, y)
    np.testing.assert_allclose(loss, expected)
    np.testing.assert_allclose(gradient, other)


def test_the_weighted_gradient_is_that_of_the_loss():
    scores, y = np.random.default_rng(0).standard_normal((6, 4)), np.arange(6) % 4
    weighted = Weighted(np.array([0.5, 1, 3, 0]))
    _, gradient = weighted(scores, y)
    assert gradcheck(lambda s: weighted(s, y)[0], scores, gradient, h=1e-5).error < 1e-6
    assert weighted(scores[3:4], y[3:4])[0] == 0


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("u1", "f4"), ("u2", "f4"), ("f2", "f4"), ("f4", "f8"), ("f8", "f8"), ("i8", "f8")],
)
def test_small_numbers_become_float32_and_others_float64_where_they_are_no_floats(dtype, expected):
    assert accepted(np.zeros(3, dtype))["dtype"][0] == np.dtype(expected)


def test_the_dtype_of_what_is_no_array():
    assert dtype_of([[1.5]]) == np.float64
    assert dtype_of(np.zeros(2, np.uint8)) == np.uint8
