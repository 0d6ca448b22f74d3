"""Sweeps: one fair run per value, in order, each as it is done; and the settings to start from."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import ParameterError
from convkit.models import ThreeLayerConvNet
from convkit.training.optim import UPDATE_RULES
from convkit.training.solver import Solver
from convkit.training.sweeps import SWEEPS, Range, combinations, label_of, run_sweep, sweep

RNG = np.random.default_rng(0)
DATA = {
    "X_train": RNG.standard_normal((20, 1, 4, 4)),
    "y_train": RNG.integers(3, size=20),
    "X_val": RNG.standard_normal((10, 1, 4, 4)),
    "y_val": RNG.integers(3, size=10),
}


def make_solver(learning_rate=1e-2, reg=0.0, update_rule="sgd"):
    model = ThreeLayerConvNet((1, 4, 4), 3, 3, 5, 3, weight_scale=0.1, reg=reg, rng=1)
    return Solver(
        model,
        DATA,
        update_rule=update_rule,
        optim_config={"learning_rate": learning_rate},
        num_iterations=4,
        batch_size=5,
        verbose=False,
        rng=0,
    )


def test_the_usual_values():
    assert SWEEPS["learning_rate"] == (5e-2, 5e-3, 3e-3, 1e-3, 1e-4, 1e-5)
    assert SWEEPS["reg"][0] == 0.5
    assert SWEEPS["reg"][-1] == 0.0005
    assert SWEEPS["update_rule"] == tuple(UPDATE_RULES)


@pytest.mark.parametrize("parameter", SWEEPS)
def test_one_labelled_run_per_value(parameter):
    results = list(run_sweep(parameter, make_solver))
    assert [result.value for result in results] == list(SWEEPS[parameter])
    assert len({result.label for result in results}) == len(results)
    assert all(len(result.history.rows) == 4 for result in results)
    # The same seed and model: all start from the same loss, up to the penalty.
    firsts = {result.history.losses[0] for result in results}
    assert len(firsts) == (len(results) if parameter == "reg" else 1)
    assert len({result.history.losses[-1] for result in results}) == len(results)


def test_a_label_is_the_shortest_way_to_write_the_value():
    labels = [r.label for r in run_sweep("learning_rate", make_solver, [5e-2, 1e-5])]
    assert labels == ["0.05", "1e-05"]


def test_results_match_the_solver_s_own():
    alone = make_solver(learning_rate=0.05)
    alone.train()
    (result,) = run_sweep("learning_rate", make_solver, [0.05])
    assert result.history.rows == alone.history.rows
    assert result.best_val_acc == alone.best_val_acc
    assert result.stopped is None
    assert result.seconds > 0


def test_a_run_is_made_only_when_its_turn_comes():
    made = []

    def make(value):
        made.append(value)
        return make_solver()

    results = sweep(make, [1, 2])
    assert made == []
    assert next(results).label == "1"
    assert made == [1]


def test_a_diverged_run_does_not_end_the_sweep():
    results = list(run_sweep("learning_rate", make_solver, [1e30, 1e-2]))
    assert [result.stopped for result in results] == ["diverged", None]


def test_an_unknown_parameter_is_refused():
    with pytest.raises(
        ParameterError,
        match=r"^parameter='depth' must be one of learning_rate, reg, update_rule",
    ):
        run_sweep("depth", make_solver)


def test_the_grid_of_several_parameters():
    found = combinations({"a": (1, 2), "b": ("x", "y", "z")})
    assert found == [{"a": a, "b": b} for a in (1, 2) for b in "xyz"]
    assert [label_of(value) for value in found[:2]] == ["a 1, b x", "a 1, b y"]


def test_settings_drawn_at_random():
    axes = {"rate": Range(1e-4, 1e-1), "size": Range(5, 50, integer=True), "rule": ("sgd", "adam")}
    found = combinations(axes, 40, rng=1)
    assert found == combinations(axes, 40, rng=1)
    assert found != combinations(axes, 40, rng=2)
    rates = sorted(value["rate"] for value in found)
    assert rates[0] >= 1e-4
    assert rates[-1] <= 1e-1
    assert 5 <= sum(rate < 1e-3 for rate in rates) <= 25  # evenly in the logarithm
    assert all(isinstance(value["size"], int) and 5 <= value["size"] <= 50 for value in found)
    assert {value["rule"] for value in found} == {"sgd", "adam"}
    # Of a small grid there are no more than it has.
    assert sorted(v["a"] for v in combinations({"a": (1, 2, 3)}, 9)) == [1, 2, 3]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (2, 1), (1, float("inf")), (-1, 1)])
def test_what_is_no_range_is_refused(low, high):
    with pytest.raises(ParameterError, match=r"^a range \(=.*must be of finite numbers above 0"):
        Range(low, high)


def test_a_range_needs_a_count():
    with pytest.raises(ParameterError, match=r"^rate: a range has no grid; say how"):
        combinations({"rate": Range(1, 2)})
