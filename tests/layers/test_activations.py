"""Activations: values by hand and against PyTorch, gradients by differences."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import check_array_gradients

from convkit import ParameterError, ShapeError, layers

NAMES = ("relu", "leaky_relu", "sigmoid", "tanh", "softmax")
pairs = pytest.mark.parametrize("name", NAMES)


def pair(name):
    return (getattr(layers, f"{name}_{way}") for way in ("forward", "backward"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_keeps_nan_and_is_flat_at_zero(dtype):
    x = np.array([-1, 0, 2, np.nan], dtype)
    out, cache = layers.relu_forward(x)
    np.testing.assert_array_equal(out, np.array([0, 0, 2, np.nan], dtype))
    dx = layers.relu_backward(np.array([np.inf, 5, 7, 9], dtype), cache)
    assert dx.tolist() == [0, 0, 7, 0]
    assert out.dtype == dx.dtype == dtype


@pairs
@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3, 2)])
def test_gradients(rng, name, shape):
    forward, backward = pair(name)
    x = rng.standard_normal(shape)
    x[np.abs(x) < 0.01] = 0.5  # a difference across the kink is no derivative
    before = x.copy()
    check_array_gradients(forward, backward, [x], rng.standard_normal(shape))
    np.testing.assert_array_equal(x, before)


@pairs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays_and_no_examples_are_none(rng, name, dtype):
    forward, backward = pair(name)
    for n in (3, 0):
        out, cache = forward(rng.standard_normal((n, 4)).astype(dtype))
        assert out.shape == backward(out, cache).shape == (n, 4)
        assert out.dtype == backward(out, cache).dtype == dtype


def test_leaky_relu_by_hand():
    x = np.array([-2.0, 0, 3, np.nan])
    out, cache = layers.leaky_relu_forward(x, 0.25)
    np.testing.assert_array_equal(out, [-0.5, 0, 3, np.nan])
    dx = layers.leaky_relu_backward(np.array([8.0, 8, 8, 8]), cache)
    assert dx.tolist() == [2, 2, 8, 2]
    assert layers.leaky_relu_forward(np.array([-1.0]))[0].tolist() == [-0.01]


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softmax"])
def test_large_values_saturate_without_a_warning(name):
    forward, _ = pair(name)
    x = np.array([[-1e30, -800, 0, 800, 1e30]], np.float32)
    expected = {
        "sigmoid": [0, 0, 0.5, 1, 1], "tanh": [-1, -1, 0, 1, 1], "softmax": [0, 0, 0, 0, 1],
    }[name]  # fmt: skip
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert forward(x)[0].tolist() == [expected]


def test_nan_stays_nan():
    x = np.array([[np.nan, 1.0]])
    for name in NAMES:
        assert np.isnan(next(pair(name))(x)[0][0, 0]), name


def test_softmax_is_over_the_channels_of_every_pixel(rng):
    out, _ = layers.softmax_forward(rng.standard_normal((2, 5, 3, 4)))
    np.testing.assert_allclose(out.sum(axis=1), np.ones((2, 3, 4)), rtol=1e-14)
    by_hand, _ = layers.softmax_forward(np.log([[1.0, 3.0]]))
    np.testing.assert_allclose(by_hand, [[0.25, 0.75]], rtol=1e-14)


def test_arguments_are_checked():
    with pytest.raises(ParameterError, match=r"^slope \(=nan\) must be a finite number$"):
        layers.leaky_relu_forward(np.ones(2), np.nan)
    with pytest.raises(ShapeError, match=r"^x\.shape \(=\(3,\)\) must be \(N, C, \.\.\.\)"):
        layers.softmax_forward(np.ones(3))


@pairs
def test_pytorch_agrees(rng, name):
    torch = pytest.importorskip("torch")
    functions = {
        "relu": torch.relu, "leaky_relu": torch.nn.functional.leaky_relu, "tanh": torch.tanh,
        "sigmoid": torch.sigmoid, "softmax": lambda x: torch.softmax(x, 1),
    }  # fmt: skip
    x, dout = rng.standard_normal((2, 4, 3, 4, 5))
    x[0, 0, 0, :2] = 0
    theirs = torch.tensor(x, requires_grad=True)
    result = functions[name](theirs)
    result.backward(torch.tensor(dout))
    forward, backward = pair(name)
    out, cache = forward(x)
    np.testing.assert_allclose(out, result.detach(), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(backward(dout, cache), theirs.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("scale", [200.0, 1e-40, 1e20])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh", "softmax"])
def test_nothing_trips_where_numpy_raises_for_what_is_no_error(name, scale):
    """exp(-200) is 0 in float32: NumPy calls that an underflow."""
    x = (np.random.default_rng(0).standard_normal((4, 10)) * scale).astype(np.float32)
    expected = getattr(layers, f"{name}_forward")(x)[0]
    with np.errstate(all="raise"):
        out, cache = getattr(layers, f"{name}_forward")(x)
        dx = getattr(layers, f"{name}_backward")(np.float32(out), cache)
    np.testing.assert_array_equal(out, expected)
    assert np.isfinite(dx).all()
