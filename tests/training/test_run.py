"""A run at one moment: what its state is taken from."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convkit.models import ThreeLayerConvNet
from convkit.training.solver import Solver


def make_solver(**arguments):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 1, 4, 4)), rng.integers(3, size=12)
    data = {"X_train": X, "y_train": y, "X_val": X[:6], "y_val": y[:6]}
    model = ThreeLayerConvNet((1, 4, 4), 2, 3, 4, 3, weight_scale=0.1, rng=1)
    return Solver(model, data, batch_size=4, num_epochs=2, verbose=False, rng=2, **arguments)


def test_the_state_of_an_interrupted_run_is_that_of_its_last_complete_iteration():
    states = []

    def watch(progress):
        states.append(solver.state_dict())
        if progress.iteration == 5:
            raise KeyboardInterrupt

    solver = make_solver(on_step=watch, num_train_samples=5)
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    state = solver.state_dict()
    assert state["iteration"] == len(state["rows"]) == 4
    assert state["rows"] == states[3]["rows"]
    assert state["rng"] == states[3]["rng"]
    assert len(solver.history.rows) == 5  # what the solver shows goes on to the interruption
    assert solver.history.rows[-1].train_acc is not None


def test_what_is_done_after_the_run_is_no_part_of_its_state():
    solver = make_solver()
    solver.train()
    before = solver.state_dict()
    solver.check_accuracy(solver.X_train, solver.y_train, num_samples=3)
    assert solver.state_dict()["rng"] == before["rng"]


def test_all_but_the_arrays_is_plain_data():
    solver = make_solver(schedule="cosine", class_weights="balanced", early_stop=3)
    solver.train()
    state = solver.state_dict()
    plain = {key: state[key] for key in ("settings", "rows", "callbacks", "iteration")}
    assert json.loads(json.dumps(plain))["settings"] == state["settings"]
