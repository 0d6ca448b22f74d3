"""The training loop: the course's lines and attributes, repeatability, stopping, refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convkit import DtypeError, ParameterError, ShapeError
from convkit.models import ThreeLayerConvNet
from convkit.training import solver as solver_module
from convkit.training.optim import UPDATE_RULES
from convkit.training.schedules import Cosine
from convkit.training.solver import Solver


def make_data(n=20, n_val=10, classes=3):
    rng = np.random.default_rng(0)
    return {
        "X_train": rng.standard_normal((n, 1, 4, 4)),
        "y_train": rng.integers(classes, size=n),
        "X_val": rng.standard_normal((n_val, 1, 4, 4)),
        "y_val": rng.integers(classes, size=n_val),
    }


def make_solver(data=None, **arguments):
    model = ThreeLayerConvNet((1, 4, 4), 3, 3, 5, 3, weight_scale=0.1, rng=1)
    settings = {"batch_size": 5, "num_epochs": 3, "verbose": False, "rng": 2}
    return Solver(model, data or make_data(), **(settings | arguments))


class Constant:
    """A model that gives class 0 the score p and the others 0, and wants p lower by one."""

    def __init__(self, losses=()):
        self.params = {"p": np.zeros(1)}
        self.losses = iter(losses)

    def loss(self, X, y=None):
        if y is None:
            scores = np.zeros((len(X), 3))
            scores[:, 0] = self.params["p"]
            return scores
        return next(self.losses, 1.0), {"p": np.ones(1)}


def test_the_course_s_lines(capsys):
    make_solver(verbose=True, print_every=5).train()
    lines = capsys.readouterr().out.splitlines()
    shown = [re.sub(r"\d\.\d{6}", "#", line) for line in lines]
    assert shown == [
        "(Iteration 1 / 12) loss: #",
        "(Epoch 0 / 3, iteration 1 / 12) train acc: #; val_acc: #",
        "(Epoch 1 / 3, iteration 4 / 12) train acc: #; val_acc: #",
        "(Iteration 6 / 12) loss: #",
        "(Epoch 2 / 3, iteration 8 / 12) train acc: #; val_acc: #",
        "(Iteration 11 / 12) loss: #",
        "(Epoch 3 / 3, iteration 12 / 12) train acc: #; val_acc: #",
    ]


def test_quiet_prints_nothing(capsys):
    make_solver().train()
    assert capsys.readouterr().out == ""


def test_histories():
    solver = make_solver()
    solver.train()
    assert len(solver.loss_history) == 12
    assert len(solver.train_acc_history) == len(solver.val_acc_history) == 4
    assert solver.history.accuracy_iterations == [1, 4, 8, 12]
    assert solver.epoch == 3
    assert solver.stopped is None
    assert solver.best_val_acc == max(solver.val_acc_history)
    assert solver.loss_history[0] == pytest.approx(np.log(3), abs=0.1)


@pytest.mark.parametrize("rule", UPDATE_RULES)
def test_every_rule_learns(rule):
    rate = {"sgd": 0.3, "sgd_momentum": 0.05, "nesterov": 0.05}.get(rule, 1e-2)
    solver = make_solver(update_rule=rule, num_epochs=60, optim_config={"learning_rate": rate})
    solver.train()
    assert np.mean(solver.loss_history[-8:]) < 0.9 * np.mean(solver.loss_history[:8])


def test_a_seed_repeats_a_run_to_the_bit():
    runs = [make_solver(rng=seed, num_train_samples=7) for seed in (3, 3, 4)]
    for solver in runs:
        solver.train()
    first, same, other = runs
    assert first.history.rows == same.history.rows
    for name, w in first.model.params.items():
        np.testing.assert_array_equal(w, same.model.params[name])
    assert first.loss_history != other.loss_history


def test_num_iterations_replaces_the_epochs():
    solver = make_solver(num_iterations=6)
    solver.train()
    assert (len(solver.loss_history), solver.num_epochs, solver.epoch) == (6, 2, 1)
    assert solver.history.accuracy_iterations == [1, 4, 6]


def test_a_batch_larger_than_the_data_is_one_iteration_per_epoch():
    solver = make_solver(batch_size=64)
    solver.train()
    assert len(solver.loss_history) == 3


def test_no_epochs_leave_the_model_as_it_was():
    solver = make_solver(num_epochs=0)
    before = dict(solver.model.params)
    solver.train()
    assert solver.loss_history == []
    assert all(solver.model.params[name] is w for name, w in before.items())


def test_the_learning_rate_decays_after_every_epoch():
    solver = make_solver(lr_decay=0.5, optim_config={"learning_rate": 0.8})
    solver.train()
    assert {config["learning_rate"] for config in solver.optim_configs.values()} == {0.1}


def test_the_best_parameters_are_kept_and_those_given_are_untouched():
    # Class 0 wins while p >= 0 (a tie goes to the first), which is before the first step; then p
    # falls and class 1 is predicted. The validation labels are such that later is worse.
    data = make_data() | {"y_val": np.array([1] * 6 + [0] * 4)}
    model = Constant()
    given = model.params["p"]
    solver = Solver(model, data, batch_size=5, num_epochs=3, verbose=False, rng=0)
    solver.train()
    assert solver.val_acc_history == [0.6] * 4
    assert given == 0
    # The first of equals is the best: after one step of 0.01.
    assert solver.best_params["p"] == solver.model.params["p"] == pytest.approx(-0.01)
    assert solver.latest[0]["p"] == pytest.approx(-0.12)


def test_a_later_better_accuracy_replaces_the_best():
    data = make_data() | {"y_val": np.array([1] * 6 + [0] * 4)}
    model = Constant()
    model.params["p"] = np.full(1, 0.05)  # class 0 until the fifth step
    solver = Solver(model, data, batch_size=5, num_epochs=3, verbose=False, rng=0)
    solver.train()
    assert solver.val_acc_history == [0.4, 0.4, 0.6, 0.6]
    assert solver.best_val_acc == 0.6
    assert model.params["p"] == pytest.approx(0.05 - 0.08)


def test_progress_is_reported_after_every_iteration():
    seen = []
    solver = make_solver(on_step=seen.append)
    solver.train()
    assert [p.iteration for p in seen] == list(range(1, 13))
    assert [p.epoch for p in seen[2:5]] == [0, 1, 1]
    assert [p.loss for p in seen] == solver.loss_history
    assert {(p.num_iterations, p.num_epochs) for p in seen} == {(12, 3)}
    assert [p.val_acc for p in (seen[0], seen[1], seen[3])] == [
        solver.val_acc_history[i] for i in (0, 0, 1)
    ]
    assert all(p.images_per_second > 0 for p in seen)


def test_ctrl_c_keeps_what_was_learned_and_goes_on_to_the_caller():
    def interrupt(progress):
        if progress.iteration == 6:
            raise KeyboardInterrupt

    solver = make_solver(on_step=interrupt, num_epochs=5)
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    assert solver.stopped == "interrupted"
    assert solver.history.accuracy_iterations == [1, 4, 6]
    assert solver.best_val_acc == max(solver.val_acc_history)
    for name, w in solver.best_params.items():
        assert solver.model.params[name] is w
    solver.on_step = None
    solver.train()  # and it can be taken up again, where it stopped
    assert solver.iteration == 20
    assert solver.stopped is None


def test_ctrl_c_before_the_first_step_is_done():
    model = Constant()
    solver = Solver(model, make_data(), verbose=False)
    model.loss = lambda X, y=None: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    assert solver.history.rows == []
    assert model.params["p"] == 0


def test_ctrl_c_while_an_accuracy_is_printed_keeps_the_parameters_it_is_of(monkeypatch):
    solver = Solver(Constant(), make_data(), batch_size=5, num_epochs=3, rng=0)
    accuracies = iter([0.1, 0.1, 0.2, 0.9, 0.3])
    monkeypatch.setattr(solver, "check_accuracy", lambda *_: next(accuracies))

    def interrupt(line):
        if "val_acc: 0.9" in line:
            raise KeyboardInterrupt

    monkeypatch.setattr(solver_module, "_say", interrupt)
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    assert solver.best_val_acc == 0.9
    assert solver.model.params["p"] == pytest.approx(-4 * 1e-2)  # after the first epoch's 4 steps


@pytest.mark.parametrize("loss", [np.nan, np.inf, np.float32("nan")])
def test_a_loss_that_is_not_finite_stops_the_run(loss):
    model = Constant(losses=[1.0, 0.5, loss])
    solver = Solver(model, make_data(), batch_size=5, num_epochs=3, verbose=False, rng=0)
    solver.train()
    assert solver.stopped == "diverged"
    assert len(solver.loss_history) == 3
    assert solver.latest[0]["p"] == pytest.approx(-0.02)  # no step was taken on it


def test_a_diverging_run_says_nothing_on_stderr(recwarn):
    solver = make_solver(optim_config={"learning_rate": 1e30}, num_epochs=20)
    solver.train()
    assert solver.stopped == "diverged"
    assert len(recwarn) == 0


def test_check_accuracy_and_predict():
    solver = make_solver()
    X = np.random.default_rng(5).standard_normal((23, 1, 4, 4))
    labels = np.argmax(solver.model.loss(X), axis=1)
    np.testing.assert_array_equal(solver.predict(X, batch_size=7), labels)
    y = labels.copy()
    y[:2] = (y[:2] + 1) % 3
    assert solver.check_accuracy(X, y, batch_size=10) == pytest.approx(21 / 23)
    assert solver.check_accuracy(X, labels, num_samples=5) == 1
    assert solver.check_accuracy(X, y, num_samples=100) == pytest.approx(21 / 23)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"update_rule": "adagrad"}, "update_rule='adagrad' must be one of sgd, sgd_momentum, "),
        (
            {"optim_config": {"lr": 1}},
            "optim_config['lr'] is not known to sgd; known: learning_rate",
        ),
        ({"epochs": 3}, "Solver has no argument 'epochs'; known: update_rule, optim_config, weigh"),
        ({"batch_size": 0}, "batch_size (=0) must be an integer of at least 1"),
        ({"batch_size": 2.0}, "batch_size (=2.0) must be an integer of at least 1"),
        ({"print_every": 0}, "print_every (=0) must be an integer of at least 1"),
        ({"num_epochs": -1}, "num_epochs (=-1) must be an integer of at least 0"),
        ({"num_iterations": 0}, "num_iterations (=0) must be an integer of at least 1"),
        ({"num_train_samples": 0}, "num_train_samples (=0) must be an integer of at least 1"),
        ({"num_val_samples": True}, "num_val_samples (=True) must be an integer of at least 1"),
        ({"lr_decay": 0}, "lr_decay (=0) must be a finite number above 0"),
        ({"clip_norm": 0}, "clip_norm (=0) must be a finite number above 0"),
        ({"early_stop": 0}, "early_stop (=0) must be an integer of at least 1"),
        ({"weight_decay": -1}, "optim_config['weight_decay'] (=-1) must be a finite number of at"),
        (
            {"weight_decay": 1, "optim_config": {"weight_decay": 1}},
            "weight_decay (=1) is in optim_config too; leave one out",
        ),
        (
            {"schedule": "cosine", "lr_decay": 0.9},
            "lr_decay (=0.9) and schedule (='cosine') both change the learning rate; leave one out",
        ),
        ({"schedule": "triangle"}, "schedule (='triangle') must be one of constant, step, cosine,"),
        ({"schedule": 3}, "schedule (=3) must be one of constant, step, cosine, one_cycle, or a "),
        (
            {"schedule": Cosine(warm_up=12)},
            "warm_up (=12) must be less than the number of iterations (=12)",
        ),
        ({"schedule": Cosine(warm_up=-1)}, "warm_up (=-1) must be an integer of at least 0"),
        ({"sampling": "random"}, "sampling (='random') must be one of replacement, shuffle"),
        ({"augment": "turn"}, "augment (='turn') must be one of flip, shift, crop, cutout"),
        ({"label_smoothing": 1}, "label_smoothing (=1) must be at least 0 and less than 1"),
        ({"class_weights": "equal"}, "class_weights (='equal') must be 'balanced' or a number fo"),
        ({"class_weights": [1, 2]}, "class_weights (=[1, 2]) must be 3 finite numbers of at leas"),
        ({"callbacks": [3]}, "callbacks: 3 must have one of the methods on_train_begin, "),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ParameterError) as caught:
        make_solver(**arguments)
    assert str(caught.value).startswith(message)


def test_bad_data():
    data = make_data()
    without = {key: value for key, value in data.items() if key != "y_val"}
    with pytest.raises(
        ParameterError, match=r"^data lacks 'y_val'; it holds X_train, y_train, X_v"
    ):
        make_solver(without)
    with pytest.raises(
        ShapeError, match=r"^data: y_val \(shape \(9,\)\) must be 10 labels, one for each of 10"
    ):
        make_solver(data | {"y_val": np.zeros(9, int)})
    with pytest.raises(ShapeError, match=r"^data: X_train \(shape \(0, 1, 4, 4\)\) and y_train"):
        make_solver(data | {"X_train": np.zeros((0, 1, 4, 4)), "y_train": np.zeros(0, int)})
    with pytest.raises(ShapeError, match=r"^X must hold at least one image"):
        make_solver().check_accuracy(np.zeros((0, 1, 4, 4)), np.zeros(0, int))


def test_labels_of_shape_n_1_count_as_n_labels():
    solver = make_solver()
    X = np.random.default_rng(5).standard_normal((20, 1, 4, 4))
    y = solver.predict(X)
    y[:6] = (y[:6] + 1) % 3
    assert solver.check_accuracy(X, y[:, None]) == 0.7
    assert solver.check_accuracy(X, y[:, None].tolist()) == 0.7
    assert solver.check_accuracy(X, y[:, None], num_samples=20) == 0.7
    data = make_data()
    column = make_solver(data | {part: data[part][:, None] for part in ("y_train", "y_val")})
    column.train()
    flat = make_solver(data)
    flat.train()
    assert column.loss_history == flat.loss_history
    assert column.val_acc_history == flat.val_acc_history


def test_labels_that_are_text_are_refused():
    solver = make_solver()
    X = np.random.default_rng(5).standard_normal((20, 1, 4, 4))
    with pytest.raises(DtypeError, match=r"^y \(<U21\) must be the numbers of the classes; "):
        solver.check_accuracy(X, solver.predict(X).astype(str))
    data = make_data()
    with pytest.raises(DtypeError, match=r"^data: y_train \(<U21\) must be the numbers"):
        make_solver(data | {"y_train": data["y_train"].astype(str)})
    with pytest.raises(DtypeError, match=r"^data: y_val \(object\) must be the numbers"):
        make_solver(data | {"y_val": data["y_val"].astype(object)})


@pytest.mark.parametrize("shape", [(20, 2), (1, 20), (19,), ()])
def test_labels_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match=r"must be 20 labels, one for each of 20 images$"):
        make_solver().check_accuracy(np.zeros((20, 1, 4, 4)), np.zeros(shape, int))


def test_a_folder_of_checkpoints_that_does_not_exist_is_noticed_before_the_first_step(tmp_path):
    solver = make_solver(checkpoint_name=tmp_path / "no" / "run")
    with pytest.raises(ParameterError, match=r"^checkpoint_name .* must be in a folder that exist"):
        solver.train()
    assert solver.iteration == 0


def test_without_validation_images_the_last_parameters_are_the_best():
    data = make_data()
    data |= {"X_val": data["X_val"][:0], "y_val": data["y_val"][:0]}
    solver = make_solver(data)
    history = solver.train()
    assert history is solver.history
    assert solver.val_acc_history == []
    assert len(solver.train_acc_history) == len(history.accuracy_iterations) == 4
    for name, w in solver.latest[0].items():
        assert solver.model.params[name] is w
    with pytest.raises(ParameterError, match=r"^early_stop \(=2\) needs validation images$"):
        make_solver(data, early_stop=2)


def test_early_stop_ends_a_run_that_no_longer_improves():
    data = make_data() | {"y_val": np.zeros(10, int)}  # class 0 is never predicted again
    solver = Solver(Constant(), data, batch_size=5, num_epochs=9, verbose=False, early_stop=2)
    solver.train()
    assert (solver.stopped, solver.epoch) == ("early", 3)  # the first epoch's is the best
    assert solver.best_val_acc == solver.val_acc_history[0]


def test_callbacks_see_the_run_and_may_end_it():
    seen = []

    class Recorder:
        def on_train_begin(self, progress):
            seen.append(("begin", progress.iteration))

        def on_epoch_end(self, progress):
            seen.append(("epoch", progress.iteration, progress.val_acc, progress.learning_rate))

        def on_step_end(self, progress):
            return progress.iteration == 6

        def on_train_end(self, progress):
            seen.append(("end", progress.iteration))

    solver = make_solver(callbacks=[Recorder()], optim_config={"learning_rate": 0.5})
    solver.train()
    assert solver.stopped == "early"
    assert seen == [("begin", 0), ("epoch", 4, solver.val_acc_history[1], 0.5), ("end", 6)]
    assert solver.history.accuracy_iterations == [1, 4, 6]  # and the last iteration is measured


def test_the_learning_rate_follows_the_schedule():
    rates = []
    solver = make_solver(
        schedule=lambda step, steps: step / steps,
        optim_config={"learning_rate": 0.6},
        callbacks=[
            type("Rates", (), {"on_step_end": lambda _, p: rates.append(p.learning_rate)})()
        ],
    )
    solver.train()
    assert rates == [pytest.approx(0.6 * step / 12) for step in range(12)]


def test_one_cycle_moves_the_momentum_too():
    solver = make_solver(
        update_rule="nesterov", schedule="one_cycle", optim_config={"learning_rate": 0.1}
    )
    solver.train()
    (config, *_) = solver.optim_configs.values()
    assert config["learning_rate"] == pytest.approx(4e-7)
    assert config["momentum"] == pytest.approx(0.95)
    adam = make_solver(update_rule="adam", schedule="one_cycle", num_iterations=40)
    adam.train()
    betas = [config["beta1"] for config in adam.optim_configs.values()]
    assert betas == pytest.approx([0.95] * 6)


def test_a_schedule_that_gives_no_number_is_named():
    solver = make_solver(schedule=lambda step, steps: float("nan"))
    with pytest.raises(ParameterError, match=r"gave the factor nan in iteration 0 of 12; it must"):
        solver.train()


class Watching(Constant):
    """Keeps what it is trained on."""

    def __init__(self):
        super().__init__()
        self.seen, self.targets = [], []

    def loss(self, X, y=None):
        if y is not None:
            self.seen.append(X)
            self.targets.append(y)
        return super().loss(X, y)


def test_augment_gets_every_batch_and_the_run_s_generator():
    def brighter(batch, rng):
        assert rng is solver.rng
        return batch + 100

    model = Watching()
    solver = Solver(model, make_data(), batch_size=5, num_epochs=1, verbose=False, augment=brighter)
    solver.train()
    assert len(model.seen) == 4
    assert all(batch.min() > 90 for batch in model.seen)
    assert solver.X_train.max() < 10


def test_shuffled_every_image_is_seen_once_in_an_epoch():
    data = make_data()
    data["X_train"] = np.arange(20.0)[:, None]
    model = Watching()
    solver = Solver(model, data, batch_size=6, num_epochs=2, sampling="shuffle", verbose=False)
    solver.train()
    first, second = (np.concatenate(model.seen[i : i + 3]).ravel() for i in (0, 3))
    assert len(set(first)) == len(set(second)) == 18
    assert first.tolist() != second.tolist()


def test_smoothed_and_weighted_labels_reach_the_loss_as_targets():
    model = Watching()
    data = make_data()
    Solver(
        model, data, batch_size=5, num_epochs=1, verbose=False, label_smoothing=0.3, rng=0,
        class_weights=[1, 1, 1],
    ).train()  # fmt: skip
    (first, *_) = model.targets
    assert first.shape == (5, 3)
    assert set(np.unique(first.round(12))) == {0.1, 0.8}


def test_a_global_seed_has_no_effect():
    runs = []
    for seed in (1, 2):
        np.random.seed(seed)
        runs.append(make_solver())
        runs[-1].train()
    assert runs[0].loss_history == runs[1].loss_history
