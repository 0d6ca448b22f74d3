"""The models: shapes, gradients of every parameter, backends, repeatability, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit import DtypeError, ParameterError, ShapeError
from convkit.gradcheck import gradcheck
from convkit.models import MODELS, DeepConvNet, ThreeLayerConvNet


def batch(model, n=3, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, *model.input_dim))
    return X, rng.integers(model.num_classes, size=n)


def worst_errors(model, reset=lambda: None):
    """Return the worst relative error of every parameter's gradient."""
    X, y = batch(model)

    def loss(_):
        reset()
        return model.loss(X, y)[0]

    reset()
    _, grads = model.loss(X, y)
    assert sorted(grads) == sorted(model.params)
    # The floor is the size below which a difference of 1e-11, the rounding of the loss, shows.
    return {
        name: gradcheck(loss, w, grads[name], h=1e-5, floor=1e-3).error
        for name, w in model.params.items()
    }


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


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("hidden_dims", [(), (5, 4)])
def test_gradients_of_every_parameter_of_the_deep_net(batchnorm, hidden_dims):
    model = DeepConvNet(
        (2, 9, 8), (3, 4), 3, hidden_dims, 4, reg=0.1, batchnorm=batchnorm, dtype=np.float64, rng=1
    )
    assert max(worst_errors(model).values()) < 1e-6


def test_gradients_through_dropout():
    model = DeepConvNet((1, 4, 4), (3,), 3, (6,), 3, dropout=0.5, dtype=np.float64, rng=1)
    state = model.rng.bit_generator.state

    def same_masks():
        model.rng.bit_generator.state = state

    assert max(worst_errors(model, same_masks).values()) < 1e-6


def test_dropout_is_off_in_test_mode_and_on_in_training():
    model = DeepConvNet((1, 4, 4), (3,), 3, (50,), 3, dropout=0.5, rng=1)
    X, y = batch(model)
    np.testing.assert_array_equal(model.loss(X), model.loss(X))
    assert model.loss(X, y)[0] != model.loss(X, y)[0]


def test_batchnorm_moves_the_buffers_in_training_only():
    model = DeepConvNet((1, 4, 4), (3,), 3, (5,), 3, batchnorm=True, rng=1)
    X, y = batch(model)
    model.loss(X)
    assert not model.buffers["running_var1"].any()
    before = model.buffers["running_var1"]
    model.loss(X, y)
    assert model.buffers["running_var1"].any()
    assert not before.any()  # replaced, not written into: a kept reference stays as it was


def test_the_number_of_layers_is_free():
    model = DeepConvNet((3, 16, 16), (4, 5, 6), 3, (7,), 10, rng=0)
    assert model.params["W4"].shape == (6 * 2 * 2, 7)
    assert model.loss(batch(model)[0]).shape == (3, 10)
    assert model.params["W2"].std() == pytest.approx(np.sqrt(2 / 36), rel=0.2)


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_repeats_and_backends_agree(name):
    first, second = (MODELS[name]((2, 8, 8), rng=5, backend=b) for b in ("naive", "im2col_numpy"))
    for key in first.params:
        np.testing.assert_array_equal(first.params[key], second.params[key])
    X, y = batch(first)
    (loss, grads), (other_loss, others) = first.loss(X, y), second.loss(X, y)
    assert loss == pytest.approx(other_loss, rel=1e-5)
    for key in grads:
        np.testing.assert_allclose(grads[key], others[key], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_no_backend_given_follows_the_selection(name):
    model = MODELS[name]((1, 4, 4), rng=0)
    with convkit.use_backend("no_such_module:x"), pytest.raises(convkit.BackendLoadError):
        model.loss(np.zeros((1, 1, 4, 4)))


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


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_filters": ()}, ParameterError, "num_filters (=()) must name at least one conv"),
        ({"num_filters": (4, 0)}, ParameterError, "num_filters (=(4, 0)) must be an integer of"),
        ({"input_dim": (3, 3, 9)}, ShapeError, "input_dim (=(3, 3, 9)) must be at least 4 pixels"),
        ({"dropout": 0}, ParameterError, "dropout (=0) must be greater than 0 and at most 1, or"),
    ],
)
def test_bad_arguments_of_the_deep_net(arguments, error, message):
    with pytest.raises(error) as caught:
        DeepConvNet(**arguments)
    assert str(caught.value).startswith(message)


def test_images_of_another_size_are_refused():
    with pytest.raises(ShapeError, match=r"^X\.shape \(=\(2, 3, 8, 8\)\) must be \(N, 1, 8, 8\)$"):
        ThreeLayerConvNet((1, 8, 8)).loss(np.zeros((2, 3, 8, 8)))
