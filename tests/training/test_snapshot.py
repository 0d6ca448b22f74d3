"""Runs that continue to the bit, from a state or from a file."""

from __future__ import annotations

import copy
import os
import re

import numpy as np
import pytest

from convkit import DataError
from convkit.models import DeepConvNet, ThreeLayerConvNet
from convkit.training import snapshot
from convkit.training.checkpoint import save_weights
from convkit.training.schedules import OneCycle
from convkit.training.solver import Solver


class StopError(Exception):
    """Raised on purpose."""


def make_solver(model="three_layer", on_step=None, **arguments):
    rng = np.random.default_rng(0)
    data = {
        "X_train": rng.standard_normal((20, 1, 6, 6)),
        "y_train": rng.integers(3, size=20),
        "X_val": rng.standard_normal((9, 1, 6, 6)),
        "y_val": rng.integers(3, size=9),
    }
    if model == "three_layer":
        net = ThreeLayerConvNet((1, 6, 6), 3, 3, 5, 3, weight_scale=0.1, rng=1)
    else:
        net = DeepConvNet((1, 6, 6), (3,), 3, (5,), 3, batchnorm=True, dropout=0.5, rng=1)
    settings = {
        "update_rule": "adam",
        "lr_decay": 0.9,
        "batch_size": 4,
        "num_epochs": 4,
        "num_train_samples": 7,
        "verbose": False,
        "rng": 2,
    }
    return Solver(net, data, on_step=on_step, **(settings | arguments))


def assert_same_run(first, second):
    assert first.history.rows == second.history.rows
    assert first.best_val_acc == second.best_val_acc
    for one, other in (
        *zip(first.latest, second.latest, strict=True),
        (first.best_params, second.best_params),
        (first.model.params, second.model.params),
        (first.best_buffers, second.best_buffers),
        *((first.optim_configs[k], second.optim_configs[k]) for k in first.optim_configs),
    ):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("model", ["three_layer", "deep"])
@pytest.mark.parametrize("stop_at", [1, 5, 12])
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_an_interrupted_run_goes_on_to_the_bit(tmp_path, model, stop_at, rule):
    whole = make_solver(model, update_rule=rule)
    whole.train()

    def save_and_stop(progress):
        if progress.iteration == stop_at:
            broken.save(tmp_path / "run")
            raise StopError

    broken = make_solver(model, save_and_stop, update_rule=rule)
    with pytest.raises(StopError):
        broken.train()

    resumed = make_solver(model, update_rule=rule, rng=99)
    resumed.resume(tmp_path / "run")
    resumed.train()
    assert_same_run(whole, resumed)


EVERYTHING = {
    "update_rule": "nesterov",
    "weight_decay": 0.01,
    "clip_norm": 2.0,
    "lr_decay": 1.0,
    "schedule": OneCycle(warm_up=5),
    "sampling": "shuffle",
    "augment": "flip,shift=1,crop,cutout=2",
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "early_stop": 30,
}


@pytest.mark.parametrize("stop_at", [3, 5, 12])
def test_a_run_with_everything_goes_on_to_the_bit(tmp_path, stop_at):
    whole = make_solver("deep", **EVERYTHING)
    whole.train()

    def interrupt(progress):
        if progress.iteration == stop_at + 1:
            raise KeyboardInterrupt

    broken = make_solver("deep", interrupt, **EVERYTHING)
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    broken.save(tmp_path / "run")
    resumed = make_solver("deep", rng=99, **EVERYTHING)
    resumed.resume(tmp_path / "run")
    assert resumed.iteration == stop_at  # the last iteration that was complete
    resumed.train()
    assert_same_run(whole, resumed)
    assert_same_state(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize("where", ["_step", "_measure", "_progress"])
@pytest.mark.parametrize("call", [2, 4])
def test_wherever_a_run_is_interrupted_it_goes_on_to_the_bit(monkeypatch, where, call):
    whole = make_solver("deep", **EVERYTHING)
    whole.train()
    plain, calls = getattr(Solver, where), []

    def interrupted(solver):
        calls.append(None)
        found = plain(solver)
        if len(calls) == call:
            raise KeyboardInterrupt
        return found

    broken = make_solver("deep", **EVERYTHING)
    monkeypatch.setattr(Solver, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    monkeypatch.undo()
    resumed = make_solver("deep", rng=99, **EVERYTHING)
    resumed.load_state_dict(broken.state_dict())
    resumed.train()
    assert_same_run(whole, resumed)


def test_early_stopping_goes_on_counting(tmp_path):
    whole = make_solver(early_stop=2, num_epochs=20)
    whole.train()
    assert whole.stopped == "early"
    half = make_solver(early_stop=2, num_epochs=whole.epoch - 1)
    half.train()
    assert half.stopped is None
    half.save(tmp_path / "run")
    resumed = make_solver(early_stop=2, num_epochs=20)
    resumed.resume(tmp_path / "run")
    resumed.train()
    assert resumed.iteration == whole.iteration
    resumed.train()  # and it does not go on where it has stopped
    assert (resumed.iteration, resumed.stopped) == (whole.iteration, "early")


def test_with_override_other_settings_hold_from_then_on(tmp_path):
    half = make_solver(num_epochs=2)
    half.train()
    half.save(tmp_path / "run")
    other = {"batch_size": 5, "optim_config": {"learning_rate": 0.5}, "sampling": "shuffle"}
    solver = make_solver(**other)
    with pytest.raises(DataError, match="expected optim_config="):
        solver.resume(tmp_path / "run")
    solver.resume(tmp_path / "run", override=True)
    assert solver.iteration == half.iteration
    config = solver.optim_configs["W1"]
    assert config["learning_rate"] == 0.5
    np.testing.assert_array_equal(config["m"], half.optim_configs["W1"]["m"])
    solver.train()
    assert solver.iteration == 16
    kept = make_solver(batch_size=5)  # a learning rate that is not changed stays where it was
    kept.resume(tmp_path / "run", override=True)
    assert kept.optim_configs["W1"]["learning_rate"] == pytest.approx(1e-3 * 0.9**2)
    rule = make_solver(update_rule="sgd")
    rule.resume(tmp_path / "run", override=True)
    assert rule.optim_configs["W1"] == {"learning_rate": 0.01, "weight_decay": 0.0}


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"clip_norm": 1.0}, "expected clip_norm=1.0, as this solver has, found None"),
        ({"sampling": "shuffle"}, "expected sampling='shuffle', as this solver has, found 'repl"),
        ({"augment": "flip"}, "expected augment='Flip()', as this solver has, found None"),
        ({"label_smoothing": 0.1}, "expected label_smoothing=0.1, as this solver has, found 0.0"),
        ({"weight_decay": 0.1}, "expected optim_config={"),
        ({"schedule": "cosine", "lr_decay": 1.0}, "expected lr_decay=1.0, as this solver has, fo"),
    ],
)
def test_other_settings_are_refused(setting, line):
    saved = make_solver(num_epochs=1)
    saved.train()
    with pytest.raises(DataError, match=re.escape(line)):
        make_solver(**setting).load_state_dict(saved.state_dict())


def test_a_state_from_before_these_settings_is_taken_up():
    whole = make_solver()
    whole.train()
    half = make_solver(num_epochs=2)
    half.train()
    state = half.state_dict()
    names = ("update_rule", "lr_decay", "batch_size", "iterations_per_epoch")
    state["settings"] = {name: state["settings"][name] for name in names}
    del state["sampling"], state["callbacks"]
    for config in state["optim"].values():
        del config["weight_decay"]
    resumed = make_solver()
    resumed.load_state_dict(state)
    resumed.train()
    assert resumed.history.rows == whole.history.rows
    with pytest.raises(DataError, match="expected sampling='shuffle'"):
        make_solver(sampling="shuffle").load_state_dict(state)


def test_saving_after_the_run_keeps_the_latest_parameters_too(tmp_path):
    whole = make_solver()
    whole.train()
    half = make_solver(num_epochs=2)
    half.train()
    half.save(tmp_path / "run")
    resumed = make_solver()
    resumed.resume(tmp_path / "run")
    resumed.train()
    assert_same_run(whole, resumed)


def test_checkpoints_after_every_epoch(tmp_path):
    solver = make_solver(checkpoint_name=tmp_path / "run", num_epochs=2)
    solver.train()
    assert sorted(os.listdir(tmp_path)) == [f"run_epoch_{n}.safetensors" for n in (1, 2)]
    resumed = make_solver(num_epochs=2)
    resumed.resume(tmp_path / "run_epoch_1.safetensors")
    assert resumed.epoch == 1
    resumed.train()
    assert_same_run(solver, resumed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 5}, "expected batch_size=5, as this solver has, found 4"),
        ({"update_rule": "sgd"}, "expected update_rule='sgd', as this solver has, found 'adam'"),
        ({"model": "deep"}, "expected beta1 of shape (3,) float32, found no such parameter"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused_and_nothing_changes(tmp_path, arguments, message):
    saved = make_solver(num_epochs=1)
    saved.train()
    saved.save(tmp_path / "run")
    solver = make_solver(**arguments)
    before = dict(solver.model.params)
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'run'}: {message}")):
        solver.resume(tmp_path / "run")
    assert solver.iteration == 0
    assert solver.model.params == before


def test_weights_alone_are_no_checkpoint(tmp_path):
    save_weights(tmp_path / "w", {"a": np.ones(3)})
    with pytest.raises(DataError, match=r"w: expected a solver's checkpoint, found weights alone$"):
        make_solver().resume(tmp_path / "w")


@pytest.mark.parametrize("model", ["three_layer", "deep"])
def test_a_state_continues_a_run_without_a_file(model):
    whole = make_solver(model)
    whole.train()
    half = make_solver(model, num_epochs=2)
    half.train()
    state = half.state_dict()
    before = copy.deepcopy(state)
    resumed = make_solver(model, rng=99)
    resumed.load_state_dict(state)
    resumed.train()
    assert_same_run(whole, resumed)
    assert_same_state(state, before)  # what was given is the caller's own


@pytest.mark.parametrize("model", ["three_layer", "deep"])
def test_a_state_is_read_as_it_was_written(tmp_path, model):
    solver = make_solver(model, num_epochs=1)
    solver.train()
    snapshot.write(solver.state_dict(), tmp_path / "state")
    assert_same_state(snapshot.read(tmp_path / "state"), solver.state_dict())


def assert_same_state(first, second):
    if isinstance(second, dict):
        assert first.keys() == second.keys()
        for key in second:
            assert_same_state(first[key], second[key])
    elif isinstance(second, np.ndarray):
        np.testing.assert_array_equal(first, second)
        assert first.dtype == second.dtype
    elif isinstance(second, (list, tuple)):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same_state(one, other)
    else:
        assert first == second


class SlashModel:
    """A model whose parameters are named like paths, and like the groups of the file."""

    def __init__(self):
        names = ("a/b", "a", "params", "optim.a/m", "/", "a//v")
        self.params = {name: np.arange(3.0) + place for place, name in enumerate(names)}

    def loss(self, X, y=None):
        if y is None:
            return np.tile(sum(self.params.values()), (len(X), 1))
        return 1.0, {name: value * len(X) for name, value in self.params.items()}


def slash_solver(**arguments):
    data = {"X_train": np.zeros((6, 2)), "y_train": np.arange(6) % 3}
    data |= {"X_val": data["X_train"], "y_val": data["y_train"]}
    settings = {"batch_size": 2, "num_iterations": 4, "update_rule": "adam", "verbose": False}
    return Solver(SlashModel(), data, **(settings | arguments))


def test_the_optimiser_s_arrays_of_names_with_slashes_come_back(tmp_path):
    whole = slash_solver(rng=0)
    whole.train()
    half = slash_solver(rng=0, num_iterations=2)
    half.train()
    half.save(tmp_path / "run")
    resumed = slash_solver(rng=0)
    resumed.resume(tmp_path / "run")
    for name, config in half.optim_configs.items():
        assert set(resumed.optim_configs[name]) == set(config), name
        np.testing.assert_array_equal(resumed.optim_configs[name]["v"], config["v"])
    resumed.train()
    for name, value in whole.latest[0].items():
        np.testing.assert_array_equal(resumed.latest[0][name], value)


@pytest.mark.parametrize("kind", ["MT19937", "Philox", "PCG64DXSM", "SFC64"])
def test_the_state_of_another_generator_is_refused_and_nothing_changes(tmp_path, kind):
    saved = make_solver(num_epochs=1)
    saved.train()
    saved.save(tmp_path / "run")
    other = make_solver(rng=np.random.Generator(getattr(np.random, kind)(0)))
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(
        DataError, match=f"expected the state of the solver's generator {kind}, found PCG64$"
    ):
        other.resume(tmp_path / "run")
    after = other.state_dict()
    for key in ("iteration", "rows", "best_val_acc"):
        assert after[key] == before[key]
    np.testing.assert_equal(after["rng"], before["rng"])
    np.testing.assert_equal(after["optim"], before["optim"])
    np.testing.assert_equal(after["params"], before["params"])


@pytest.mark.parametrize("kind", ["MT19937", "Philox", "PCG64DXSM", "SFC64"])
def test_every_generator_of_numpy_continues_from_a_file(tmp_path, kind):
    def generator():
        return np.random.Generator(getattr(np.random, kind)(0))

    whole = make_solver(rng=generator())
    whole.train()
    half = make_solver(rng=generator(), num_epochs=2)
    half.train()
    half.save(tmp_path / "run")
    resumed = make_solver(rng=generator())
    resumed.resume(tmp_path / "run")
    resumed.train()
    assert_same_run(whole, resumed)


@pytest.mark.parametrize("damage", ["rng", "model_rng", "buffers", "best_params", "best_buffers"])
def test_a_damaged_state_changes_nothing(damage):
    saved = make_solver("deep", num_epochs=1)
    saved.train()
    state = saved.state_dict()
    if damage.endswith("rng"):
        state[damage] = {**state[damage], "state": {}}
    else:
        state[damage] = dict(list(state[damage].items())[1:])
    solver = make_solver("deep")
    before = copy.deepcopy(solver.state_dict())
    with pytest.raises(DataError):
        solver.load_state_dict(state)
    np.testing.assert_equal(solver.state_dict(), before)
