"""Means and variances in NumPy lose no digits with the length of a sum or the size of a mean."""

from __future__ import annotations

import numpy as np
import pytest

import convkit


def test_long_sums_lose_nothing():
    x = np.full((40, 2, 224, 224), 5.1, np.float32)
    param = {"momentum": 0.0}
    out, _ = convkit.batch_norm_forward(x, np.ones(2, "f4"), np.zeros(2, "f4"), param)
    assert (param["running_mean"] == np.float32(5.1)).all()
    assert not out.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_large_mean_leaves_the_variance(rng, dtype):
    """|var - ref| <= k u var + (k u mean)**2."""
    x = (rng.normal(size=(64, 3, 33)) + 1e3).astype(dtype)
    param = {"momentum": 0.0}
    convkit.batch_norm_forward(x, np.ones(3, dtype), np.zeros(3, dtype), param)
    reference = x.astype(np.longdouble).var(axis=(0, 2))
    u = float(np.finfo(dtype).eps) / 2
    bound = 16 * u * reference + (16 * u * 1e3) ** 2
    assert (np.abs(param["running_var"] - reference) <= bound).all()
