"""What the solver needs of a model: the models have it, and two members are all of it."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest

from convkit.models import DeepConvNet, ThreeLayerConvNet
from convkit.preprocessing import Preprocessing
from convkit.training.data import load_data
from convkit.training.protocol import Model, Progress, adopt_usage, weights_of
from convkit.training.solver import Solver


@pytest.mark.parametrize("model", [ThreeLayerConvNet, DeepConvNet])
def test_the_models_have_it(model):
    loss = inspect.signature(model.loss)
    assert list(loss.parameters) == list(inspect.signature(Model.loss).parameters)
    assert loss.parameters["y"].default is None
    assert all(isinstance(array, np.ndarray) for array in model(rng=0).params.values())


class Linear:
    """The least that is a model: scores x w."""

    def __init__(self):
        self.params = {"w": np.zeros((2, 2))}

    def loss(self, X, y=None):
        scores = X @ self.params["w"]
        if y is None:
            return scores
        error = scores - np.eye(2)[y]
        return (error**2).mean(), {"w": 2 * X.T @ error / error.size}


def test_two_members_are_enough_for_a_solver():
    X, y = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 1])
    steps = []
    solver = Solver(
        Linear(), {"X_train": X, "y_train": y, "X_val": X, "y_val": y}, batch_size=2,
        num_epochs=3, verbose=False, rng=0, on_step=steps.append, optim_config={"learning_rate": 1},
    )  # fmt: skip
    solver.train()
    assert solver.check_accuracy(X, y) == 1
    assert [step.iteration for step in steps] == list(range(1, 7))
    assert {step.num_iterations for step in steps} == {6}
    assert all(type(step) is Progress for step in steps)
    with pytest.raises(dataclasses.FrozenInstanceError):
        steps[0].loss = 0


def test_weights_are_in_dictionaries_of_their_own_and_no_copies():
    model = Linear()
    params, buffers = weights_of(model)
    assert params is not model.params
    assert params["w"] is model.params["w"]
    assert buffers == {}
    model.buffers = {"mean": np.ones(2)}
    assert weights_of(model)[1]["mean"] is model.buffers["mean"]


def test_a_solver_tells_the_model_how_its_images_were_prepared():
    data = load_data("digits", preparation="standardise")
    model = ThreeLayerConvNet((1, 8, 8), rng=0)
    Solver(model, data, verbose=False)
    assert model.preprocessing == Preprocessing.of(data)
    assert model.class_names == tuple("0123456789")


def test_data_that_do_not_say_how_they_were_prepared_tell_nothing():
    model = ThreeLayerConvNet((1, 8, 8), rng=0)
    model.preprocessing = kept = Preprocessing((1, 8, 8))
    adopt_usage(model, {"X_train": np.zeros((2, 1, 8, 8)), "y_train": [0, 1]})
    assert model.preprocessing is kept
    bare = Linear()
    adopt_usage(bare, load_data("digits"))
    assert not hasattr(bare, "preprocessing")
