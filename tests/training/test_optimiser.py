"""The optimiser: numbers, schedules, and runs that are taken up."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convkit import ParameterError
from convkit.training.optimiser import Optimiser
from convkit.training.schedules import Step

PARAMS = {"a": np.ones(3), "b": np.zeros(2)}
GRADS = {"a": np.full(3, 2.0), "b": np.full(2, 4.0)}


def test_a_step_leaves_earlier_dictionaries_alone():
    optimiser = Optimiser("adam", None, PARAMS, schedule="cosine")
    before = dict(optimiser.configs)
    kept = {name: dict(config) for name, config in before.items()}
    stepped = optimiser.step(PARAMS, GRADS, 3, 10)
    assert before == kept
    assert set(stepped) == set(PARAMS)
    assert PARAMS["a"][0] == 1
    assert optimiser.configs["a"]["t"] == 1


def test_weight_decay_is_on_every_parameter():
    optimiser = Optimiser("sgd", {"learning_rate": 1.0}, PARAMS, weight_decay=0.25)
    stepped = optimiser.step(
        {"a": np.ones(3), "b": np.ones(2)}, {k: v * 0 for k, v in GRADS.items()}, 0, 1
    )
    assert {float(w[0]) for w in stepped.values()} == {0.75}


def test_clipping_comes_before_the_rule():
    optimiser = Optimiser("sgd", {"learning_rate": 1.0}, PARAMS, clip_norm=1.0)
    stepped = optimiser.step(PARAMS, GRADS, 0, 1)
    moved = np.concatenate([PARAMS[name] - w for name, w in stepped.items()])
    assert np.linalg.norm(moved) == pytest.approx(1)


def test_decay_and_the_learning_rate_that_is_shown():
    optimiser = Optimiser("sgd", {"learning_rate": 0.5}, PARAMS, lr_decay=0.5)
    optimiser.decay()
    assert optimiser.learning_rate == 0.25
    scheduled = Optimiser("sgd", {"learning_rate": 0.5}, PARAMS, schedule=Step())
    scheduled.step(PARAMS, GRADS, 6, 10)
    assert scheduled.learning_rate == pytest.approx(0.05)


def test_settings_are_plain_data():
    settings = Optimiser(
        "nesterov", {"momentum": np.float32(0.5)}, PARAMS, schedule="step"
    ).settings
    assert json.loads(json.dumps(settings)) == settings
    assert settings["schedule"] == "Step(warm_up=0, factor=0.1, at=(0.5, 0.75))"


def test_of_a_run_with_other_numbers_those_that_differ_are_replaced():
    saved = Optimiser("adam", {"beta1": 0.8}, PARAMS, schedule="cosine")
    saved.step(PARAMS, GRADS, 9, 10)
    same = Optimiser("adam", {"beta1": 0.8, "epsilon": 1e-3}, PARAMS, schedule="cosine")
    same.load(saved.configs, saved.settings)
    assert same.configs["a"]["learning_rate"] == saved.configs["a"]["learning_rate"] < 1e-3
    assert same.configs["a"]["epsilon"] == 1e-3
    assert same.configs["a"]["m"] is saved.configs["a"]["m"]
    # Where the schedule is another, what the former one left is no learning rate to start from.
    plain = Optimiser("adam", {"beta1": 0.8}, PARAMS)
    plain.load(saved.configs, saved.settings)
    assert plain.configs["a"]["learning_rate"] == 1e-3


def test_two_changes_of_the_learning_rate_are_refused():
    with pytest.raises(ParameterError, match=r"^lr_decay \(=0.5\) and schedule \(='step'\) both"):
        Optimiser("sgd", None, PARAMS, lr_decay=0.5, schedule="step")
