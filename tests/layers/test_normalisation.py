"""The course's normalisations: values, running statistics, gradients by differences."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import check_array_gradients

from convkit import layers


def test_batchnorm_normalises_and_keeps_running_statistics(rng):
    x = 3 * rng.standard_normal((200, 4)) + 5
    param = {"mode": "train"}
    out, _ = layers.batchnorm_forward(x, np.full(4, 2.0), np.full(4, 11.0), param)
    np.testing.assert_allclose(out.mean(axis=0), 11, rtol=1e-12)
    np.testing.assert_allclose(out.std(axis=0), 2, rtol=1e-5)
    np.testing.assert_allclose(param["running_mean"], 0.1 * x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(param["running_var"], 0.1 * x.var(axis=0), rtol=1e-12)


def test_batchnorm_in_test_mode_uses_the_running_statistics():
    param = {
        "mode": "test",
        "eps": 0.0,
        "running_mean": np.array([1.0, 2.0]),
        "running_var": np.array([4.0, 9.0]),
    }
    out, _ = layers.batchnorm_forward(np.array([[5.0, 8.0]]), np.ones(2), np.zeros(2), param)
    assert out.tolist() == [[2, 2]]
    assert param["running_mean"].tolist() == [1, 2]


@pytest.mark.parametrize("mode", ["train", "test"])
def test_batchnorm_gradients(rng, mode):
    arrays = [rng.standard_normal(shape) for shape in ((6, 3), (3,), (3,))]
    statistics = {"running_mean": rng.standard_normal(3), "running_var": rng.random(3) + 1}

    def forward(*arrays):
        return layers.batchnorm_forward(*arrays, {"mode": mode, **statistics})

    check_array_gradients(forward, layers.batchnorm_backward, arrays, rng.standard_normal((6, 3)))


def test_spatial_batchnorm_gradients(rng):
    arrays = [rng.standard_normal(shape) for shape in ((2, 3, 4, 5), (3,), (3,))]

    def forward(*arrays):
        return layers.spatial_batchnorm_forward(*arrays, {"mode": "train"})

    check_array_gradients(
        forward, layers.spatial_batchnorm_backward, arrays, rng.standard_normal((2, 3, 4, 5))
    )


def test_spatial_batchnorm_normalises_each_channel(rng):
    x = 4 * rng.standard_normal((2, 3, 4, 5)) + 10
    out, _ = layers.spatial_batchnorm_forward(x, np.ones(3), np.zeros(3), {"mode": "train"})
    assert out.flags.c_contiguous
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(out.std(axis=(0, 2, 3)), 1, rtol=1e-4)
