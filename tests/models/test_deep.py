"""The deep network: gradients, dropout, batch norm, and its arguments."""

from __future__ import annotations

import former_models
import numpy as np
import pytest
from model_cases import batch, worst_errors

from convkit import ParameterError, ShapeError
from convkit.models import DeepConvNet


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("hidden_dims", [(), (5, 4)])
def test_gradients_of_every_parameter_of_the_deep_net(batchnorm, hidden_dims):
    model = DeepConvNet(
        (2, 9, 8), (3, 4), 3, hidden_dims, 4, reg=0.1, batchnorm=batchnorm, dtype=np.float64, rng=1
    )
    assert max(worst_errors(model).values()) < 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_without_batchnorm_are_those_of_the_former_network_to_the_bit(backend, dtype):
    shape = ((2, 9, 8), (3, 4), 3, (6, 5), 4)
    model = DeepConvNet(*shape, reg=0.1, dropout=0.7, dtype=dtype, rng=6, backend=backend)
    params = former_models.deep_params(*shape, dtype, 6)
    assert list(model.params) == list(params)
    X, y = batch(model)
    rng = np.random.default_rng()
    rng.bit_generator.state = model.rng.bit_generator.state
    settings = {"convs": 2, "hidden": 2, "reg": 0.1, "keep": 0.7, "rng": rng, "backend": backend}
    loss, grads = model.loss(X, y)
    former_loss, former_grads = former_models.loss(params, X, y, **settings)
    assert loss == former_loss
    for name, w in params.items():
        np.testing.assert_array_equal(model.params[name], w)
        np.testing.assert_array_equal(grads[name], former_grads[name])
    scores = former_models.loss(params, X, None, **settings)
    np.testing.assert_array_equal(model.loss(X), scores)


def test_parameters_with_batchnorm_keep_their_names_and_statistics_their_start():
    model = DeepConvNet((1, 8, 8), (3, 4), 3, (5,), 3, batchnorm=True, rng=1)
    assert sorted(model.params) == sorted(
        ["W1", "b1", "gamma1", "beta1", "W2", "b2", "gamma2", "beta2", "W3", "b3", "W4", "b4"]
    )
    assert sorted(model.buffers) == sorted(
        f"running_{what}{i}" for what in ("mean", "var") for i in (1, 2)
    )
    assert not any(array.any() for array in model.buffers.values())


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
