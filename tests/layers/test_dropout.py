"""Dropout: its share, its masks, its gradient; and the modes of the course's dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import ParameterError, layers
from convkit.gradcheck import eval_numerical_gradient_array


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_layer_stays_in_its_dtype(dtype):
    x, vector = np.ones((2, 3, 4, 4), dtype), np.ones(3, dtype)
    out, cache = layers.spatial_batchnorm_forward(x, vector, vector, {"mode": "train"})
    results = [out, *layers.spatial_batchnorm_backward(out, cache)]
    out, cache = layers.dropout_forward(x, {"mode": "train", "p": 0.3, "seed": 1})
    results += [out, layers.dropout_backward(out, cache)]
    out, cache = layers.affine_relu_forward(x, np.ones((48, 5), dtype), np.ones(5, dtype))
    results += [out, *layers.affine_relu_backward(out, cache)]
    results += [loss(out, np.array([0, 1]))[1] for loss in (layers.softmax_loss, layers.svm_loss)]
    assert {array.dtype for array in results} == {np.dtype(dtype)}


def test_dropout_keeps_the_share_and_the_mean(rng):
    x = np.full((500, 500), 10.0)
    out, cache = layers.dropout_forward(x, {"mode": "train", "p": 0.25, "rng": rng})
    assert np.mean(out != 0) == pytest.approx(0.25, abs=0.01)
    assert set(np.unique(out)) == {0, 40}
    np.testing.assert_array_equal(layers.dropout_backward(np.full_like(x, 10.0), cache), out)


def test_dropout_with_a_seed_repeats_and_passes_a_gradient_check(rng):
    x, dout = rng.standard_normal((5, 6)), rng.standard_normal((5, 6))
    param = {"mode": "train", "p": 0.6, "seed": 3}
    _, cache = layers.dropout_forward(x, param)
    numerical = eval_numerical_gradient_array(
        lambda x: layers.dropout_forward(x, param)[0], x, dout
    )
    np.testing.assert_allclose(layers.dropout_backward(dout, cache), numerical, atol=1e-9)


def test_dropout_in_test_mode_is_a_copy():
    x = np.arange(4.0)
    out, cache = layers.dropout_forward(x, {"mode": "test", "p": 0.5})
    np.testing.assert_array_equal(out, x)
    assert not np.shares_memory(out, x)
    np.testing.assert_array_equal(layers.dropout_backward(x, cache), x)


@pytest.mark.parametrize("p", [0, 1.5, None])
def test_dropout_share_is_checked(p):
    with pytest.raises(ParameterError, match=r"^dropout_param\['p'\] \(=.*\) must be greater than"):
        layers.dropout_forward(np.ones(3), {"mode": "train", "p": p})


def test_modes_are_checked():
    with pytest.raises(ParameterError, match=r"^bn_param\['mode'\] \(='x'\) must be 'train' or"):
        layers.batchnorm_forward(np.ones((2, 2)), np.ones(2), np.ones(2), {"mode": "x"})
    with pytest.raises(ParameterError, match=r"^dropout_param\['mode'\] \(=None\) must be"):
        layers.dropout_forward(np.ones(3), {"p": 0.5})
