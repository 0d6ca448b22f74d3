"""The three-layer network: shapes, gradients of every parameter, and its arguments."""

from __future__ import annotations

import former_models
import numpy as np
import pytest
from model_cases import batch, worst_errors

from convkit import DtypeError, ParameterError, ShapeError
from convkit.models import ThreeLayerConvNet


def test_parameters_have_the_course_s_names_and_shapes():
    model = ThreeLayerConvNet(rng=0)
    assert {name: w.shape for name, w in model.params.items()} == {
        "W1": (32, 3, 7, 7),
        "b1": (32,),
        "W2": (8192, 100),
        "b2": (100,),
        "W3": (100, 10),
        "b3": (10,),
    }
    assert {w.dtype for w in model.params.values()} == {np.dtype(np.float32)}
    assert model.params["W2"].std() == pytest.approx(1e-3, rel=0.01)
    assert not any(model.params[name].any() for name in ("b1", "b2", "b3"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_those_of_the_former_network_to_the_bit(backend, dtype):
    arguments = ((2, 9, 6), 4, 3, 7, 5)
    model = ThreeLayerConvNet(
        *arguments, weight_scale=0.1, reg=0.3, dtype=dtype, rng=4, backend=backend
    )
    params = former_models.three_layer_params(*arguments, 0.1, dtype, 4)
    assert list(model.params) == list(params)
    X, y = batch(model)
    settings = {"convs": 1, "hidden": 1, "reg": 0.3, "backend": backend}
    loss, grads = model.loss(X, y)
    former_loss, former_grads = former_models.loss(params, X, y, **settings)
    assert loss == former_loss
    for name, w in params.items():
        np.testing.assert_array_equal(model.params[name], w)
        np.testing.assert_array_equal(grads[name], former_grads[name])
    scores = former_models.loss(params, X, None, **settings)
    np.testing.assert_array_equal(model.loss(X), scores)


@pytest.mark.parametrize("size", [(1, 2, 2), (3, 5, 7), (2, 9, 4)])
@pytest.mark.parametrize("filter_size", [1, 4, 5])
def test_any_input_and_filter_size(size, filter_size):
    model = ThreeLayerConvNet(size, 4, filter_size, 6, 5, rng=0)
    X, y = batch(model)
    assert model.loss(X).shape == (3, 5)
    loss, grads = model.loss(X, y)
    assert np.isfinite(loss)
    assert {k: g.shape for k, g in grads.items()} == {k: w.shape for k, w in model.params.items()}
    assert {g.dtype for g in grads.values()} == {np.dtype(np.float32)}


def test_loss_by_the_text_book_formula():
    model = ThreeLayerConvNet((2, 4, 5), 3, 3, 4, 3, weight_scale=0.5, dtype=np.float64, rng=2)
    X, y = batch(model)
    p = model.params
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))
    z = np.zeros((3, 3, 4, 5))
    for i in range(4):
        for j in range(5):
            window = padded[:, :, i : i + 3, j : j + 3]
            z[:, :, i, j] = np.einsum("ncij,fcij->nf", window, p["W1"]) + p["b1"]
    pooled = np.maximum(z, 0)[:, :, :4, :4].reshape(3, 3, 2, 2, 2, 2).max(axis=(3, 5))
    hidden = np.maximum(pooled.reshape(3, -1) @ p["W2"] + p["b2"], 0)
    scores = hidden @ p["W3"] + p["b3"]
    np.testing.assert_allclose(model.loss(X), scores, rtol=1e-12)
    share = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert model.loss(X, y)[0] == pytest.approx(-np.log(share[range(3), y]).mean(), rel=1e-12)


def test_reg_adds_half_the_squared_weights():
    model = ThreeLayerConvNet((2, 4, 4), 3, 3, 4, dtype=np.float64, rng=0)
    X, y = batch(model)
    plain, plain_grads = model.loss(X, y)
    model.reg = 0.3
    loss, grads = model.loss(X, y)
    squares = sum((model.params[name] ** 2).sum() for name in ("W1", "W2", "W3"))
    assert loss - plain == pytest.approx(0.15 * squares, rel=1e-9)
    np.testing.assert_allclose(grads["W2"] - plain_grads["W2"], 0.3 * model.params["W2"])
    np.testing.assert_array_equal(grads["b2"], plain_grads["b2"])


def test_gradients_of_every_parameter(backend):
    model = ThreeLayerConvNet(
        (2, 5, 6), 3, 3, 4, 3, weight_scale=0.3, reg=0.1, dtype=np.float64, rng=3, backend=backend
    )
    assert max(worst_errors(model).values()) < 1e-6


def test_images_are_not_changed():
    model = ThreeLayerConvNet((1, 4, 4), rng=0)
    X = np.random.default_rng(0).standard_normal((2, 1, 4, 4)).astype(np.float32)
    before = X.copy()
    model.loss(X, np.array([1, 2]))
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"input_dim": (3, 32)}, ShapeError, "input_dim (=(3, 32)) must be (C, H, W)"),
        ({"input_dim": (3, 1, 9)}, ShapeError, "input_dim (=(3, 1, 9)) must be at least 2 pixels"),
        ({"input_dim": (0, 8, 8)}, ParameterError, "input_dim (=(0, 8, 8)) must be an integer of"),
        ({"num_filters": 0}, ParameterError, "num_filters (=0) must be an integer of at least 1"),
        ({"hidden_dim": 2.5}, ParameterError, "hidden_dim (=2.5) must be an integer of at least 1"),
        ({"reg": -1}, ParameterError, "reg (=-1) must be a finite number of at least 0"),
        ({"weight_scale": np.nan}, ParameterError, "weight_scale (=nan) must be a finite number"),
        ({"dtype": np.float16}, DtypeError, "dtype (=float16) must be float32 or float64"),
        ({"dtype": "text"}, DtypeError, "dtype (='text') must be float32 or float64"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        ThreeLayerConvNet(**arguments)
    assert str(caught.value).startswith(message)


def test_images_of_another_size_are_refused():
    with pytest.raises(ShapeError, match=r"^X\.shape \(=\(2, 3, 8, 8\)\) must be \(N, 1, 8, 8\)$"):
        ThreeLayerConvNet((1, 8, 8)).loss(np.zeros((2, 3, 8, 8)))
