"""From options to settings, data, model and solver."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click
import numpy as np
import pytest

from convkit import DataError, registry
from convkit.commands import _build as build
from convkit.commands._options import TrainOptions
from convkit.models import (
    MODELS,
    DeepConvNet,
    FullyConnectedNet,
    MobileNet,
    ResNet,
    ThreeLayerConvNet,
)
from convkit.training.augment import Chain, Flip, Shift
from convkit.training.presets import preset
from convkit.training.schedules import OneCycle

GIVEN = {"data": "digits", "model": "three_layer", "dtype": "float32", "seed": 0,
         "out": Path("runs")}  # fmt: skip
OPTIONS = TrainOptions(**(dict.fromkeys(f.name for f in dataclasses.fields(TrainOptions)) | GIVEN))


def options(**changes):
    return dataclasses.replace(OPTIONS, **changes)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 1, 8, 8)).astype("f4"), np.arange(12) % 3
    return {"X_train": X, "y_train": y, "X_val": X, "y_val": y, "class_names": ("a", "b", "c")}


def test_what_is_not_given_is_the_preset_s():
    settings, defaults = build.settings_of(options()), preset("digits")
    assert settings["learning_rate"] == defaults.learning_rate
    assert settings["epochs"] is None  # until the number of images is known
    settings = build.settings_of(options(learning_rate=0.5, epochs=3, batch_size=7))
    assert (settings["learning_rate"], settings["epochs"], settings["batch_size"]) == (0.5, 3, 7)
    assert settings["reg"] == defaults.reg


def test_iterations_are_given_in_place_of_epochs(data):
    settings = build.settings_of(options(iterations=5, batch_size=4))
    assert (settings["epochs"], settings["iterations"]) == (None, 5)
    solver = build.make_solver(settings, data, verbose=False)
    solver.train()
    assert len(solver.loss_history) == 5


def test_an_option_of_another_rule_is_refused():
    assert build.settings_of(options(update_rule="rmsprop", decay_rate=0.9))["decay_rate"] == 0.9
    with pytest.raises(click.UsageError, match="--beta1 is no option of the update rule 'sgd'"):
        build.settings_of(options(update_rule="sgd", beta1=0.9))


MODEL_KINDS = [
    ("three_layer", ThreeLayerConvNet),
    ("deep", DeepConvNet),
    ("fc", FullyConnectedNet),
    ("resnet", ResNet),
    ("mobilenet", MobileNet),
]


def test_every_model_is_tested_here():
    assert dict(MODEL_KINDS) == MODELS


@pytest.mark.parametrize(("name", "kind"), MODEL_KINDS)
def test_the_model_has_the_data_s_shape_and_classes(data, name, kind):
    settings = build.settings_of(options(model=name, dtype="float64"))
    model = build.make_model(settings, data, np.random.default_rng(0))
    assert type(model) is kind
    assert model.loss(data["X_val"].astype("f8")).shape == (12, 3)
    assert {array.dtype for array in model.params.values()} == {np.dtype("f8")}


ALL = {"num_filters": 4, "filter_size": 5, "hidden_dim": 6}


@pytest.mark.parametrize(
    ("model", "given", "shapes"),
    [
        (
            "three_layer",
            {"num_filters": 4, "filter_size": 5, "hidden_dim": 6},
            [(4, 1, 5, 5), (64, 6)],
        ),
        (
            "deep",
            {"num_filters": 4, "filter_size": 5, "hidden_dim": 6},
            [(4, 1, 5, 5), (8, 4, 5, 5)],
        ),
        ("fc", {"hidden_dim": 6}, [(64, 6), (6, 3)]),
        ("resnet", {"num_filters": 4}, [(4, 1, 3, 3), (4, 4, 3, 3)]),
        ("mobilenet", {"num_filters": 4}, [(4, 1, 3, 3), (4, 1, 3, 3), (8, 4, 1, 1)]),
    ],
)
def test_the_options_of_a_model_reach_it(data, model, given, shapes):
    settings = build.settings_of(options(model=model, **given))
    assert {key: settings[key] for key in given} == given
    params = build.make_model(settings, data, 0).params
    assert [params[f"W{i}"].shape for i, _ in enumerate(shapes, 1)] == shapes


def test_weight_scale_reaches_the_models_that_have_it(data):
    for model, name in (("three_layer", "W2"), ("deep", "W3"), ("fc", "W1")):
        settings = build.settings_of(options(model=model, weight_scale=0.5))
        w = build.make_model(settings, data, 0).params[name]
        assert w.std() == pytest.approx(0.5, rel=0.1), model
    assert build.settings_of(options(model="deep"))["weight_scale"] is None


@pytest.mark.parametrize(
    ("model", "given", "known"),
    [
        ("resnet", "filter_size", "--num-filters, --depth"),
        ("resnet", "weight_scale", "--num-filters, --depth"),
        ("mobilenet", "hidden_dim", "--num-filters"),
        ("mobilenet", "depth", "--num-filters"),
        (
            "three_layer",
            "batch_norm",
            "--num-filters, --filter-size, --hidden-dim, --weight-scale",
        ),
        ("fc", "num_filters", "--hidden-dim, --weight-scale, --depth, --batch-norm, --dropout"),
    ],
)
def test_an_option_of_another_model_is_refused(model, given, known):
    with pytest.raises(click.UsageError) as caught:
        build.settings_of(options(model=model, **{given: 3}))
    option = "--" + given.replace("_", "-")
    assert (
        caught.value.message == f"{option} is no option of the model {model!r}, which has {known}"
    )
    assert given not in build.settings_of(options(model=model))


@pytest.mark.parametrize(
    ("images", "batch", "epochs"), [(49000, 200, 1), (4670, 200, 11), (100, 200, 245)]
)
def test_few_images_are_gone_through_more_often(images, batch, epochs):
    settings = build.settings_of(options(data="cifar10", batch_size=batch))
    complete = build.complete(settings, {"X_train": np.empty((images, 0))})
    assert complete["epochs"] == epochs
    assert complete["epochs"] * max(images // batch, 1) >= 245
    given = build.settings_of(options(data="cifar10", epochs=2))
    assert build.complete(given, {"X_train": np.empty((images, 0))})["epochs"] == 2
    digits = build.settings_of(options())
    assert build.complete(digits, {"X_train": np.empty((1258, 0))})["epochs"] == 20


def test_the_solver_gets_what_is_chosen(data):
    chosen = options(
        update_rule="nesterov",
        weight_decay=0.1,
        clip_norm=2.0,
        schedule="one-cycle",
        warm_up=3,
        sampling="shuffle",
        augment="flip,shift=1",
        label_smoothing=0.1,
        class_weights="1,2,3",
        early_stop=4,
    )
    settings = build.settings_of(chosen)
    solver = build.make_solver(settings, data, verbose=False)
    assert solver.optimiser.config["weight_decay"] == 0.1
    assert solver.optimiser.clip_norm == 2
    assert solver.optimiser.schedule == OneCycle(warm_up=3)
    assert (solver.lr_decay, solver.sampling) == (1.0, "shuffle")
    assert solver.augment == Chain((Flip(), Shift(1)))
    assert (solver.targets.smoothing, solver.targets.weights.tolist()) == (0.1, [1, 2, 3])
    assert solver.callbacks.all[0].patience == 4
    plain = build.settings_of(options())
    assert not {"schedule", "augment", "clip_norm", "valid"} & set(plain)
    balanced = build.make_solver(plain | {"class_weights": "balanced"}, data, verbose=False)
    np.testing.assert_allclose(balanced.targets.weights, 1)


def test_resnet_shuffles_unless_it_is_told_otherwise():
    assert build.settings_of(options(model="resnet"))["sampling"] == "shuffle"
    assert build.settings_of(options(model="deep"))["sampling"] == "replacement"
    told = options(model="resnet", sampling="replacement")
    assert build.settings_of(told)["sampling"] == "replacement"


@pytest.mark.parametrize("model", ["three_layer", "deep"])
def test_images_that_are_not_for_validation_are_trained_on(model):
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    usual, all_of_them, some = (
        build.load(options(model=model, valid=count)) for count in (None, 0, 30)
    )
    assert len(all_of_them["X_val"]) == 0
    assert len(all_of_them["X_train"]) == len(usual["X_train"]) + len(usual["X_val"])
    assert len(some["X_val"]) == 30
    np.testing.assert_array_equal(some["y_val"], usual["y_val"][:30])
    mean = all_of_them["X_train"].mean(axis=(0, 2, 3) if model == "deep" else 0)
    np.testing.assert_allclose(mean, 0, atol=1e-5)
    with pytest.raises(click.UsageError, match=r"--valid \(=181\) must be at most 180"):
        build.load(options(model=model, valid=181))


def test_images_of_one_class_are_refused(tmp_path):
    X = np.random.default_rng(0).integers(0, 255, (30, 4, 4), np.uint8)
    np.savez(tmp_path / "one.npz", X=X, y=np.arange(30) // 29)
    with pytest.raises(DataError, match=r"the 3 training images are all of one class \('0'\): the"):
        build.load(options(data=str(tmp_path / "one.npz"), num_train=3))


def test_images_are_standardised_for_every_model_but_the_course_s():
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    plain, other = (build.load(options(model=model)) for model in ("three_layer", "resnet"))
    assert plain["X_train"].std() != pytest.approx(1, abs=0.1)
    assert other["X_train"].mean() == pytest.approx(0, abs=1e-5)
    assert other["X_train"].std() == pytest.approx(1, abs=1e-5)


def test_the_same_seed_makes_the_same_model_and_another_one_another(data):
    def parameters(seed):
        settings = build.settings_of(options(seed=seed))
        return build.make_solver(settings, data, verbose=False).model.params

    for name, array in parameters(1).items():
        np.testing.assert_array_equal(parameters(1)[name], array)
    assert any((parameters(1)[name] != array).any() for name, array in parameters(2).items())


def test_training_images_are_cut_to_the_number_asked_for():
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    cut, whole = build.load(options(num_train=5)), build.load(options())
    assert len(cut["X_train"]) == len(cut["y_train"]) == 5
    np.testing.assert_array_equal(cut["X_train"], whole["X_train"][:5])
    assert len(cut["X_val"]) == len(whole["X_val"])


def test_the_backend_is_that_of_the_first_layer(data):
    settings = build.settings_of(options(backend="naive,im2col_numpy", num_filters=5))
    assert build.choose_backend(settings, data) is registry.load("naive")
    spec = build.first_layer(settings, data, batch=2)
    assert (spec.x_shape, spec.w_shape[0]) == ((2, 1, 8, 8), 5)
    assert spec.out_shape == (2, 5, 8, 8)


@pytest.mark.parametrize(
    ("model", "x_shape", "w_shape", "stride"),
    [
        ("resnet", (2, 1, 8, 8), (16, 1, 3, 3), (1, 1)),
        ("mobilenet", (2, 1, 8, 8), (32, 1, 3, 3), (2, 2)),
        ("fc", (1, 64, 1, 100), (2, 64, 1, 1), (1, 1)),  # the affine layer's convolution
    ],
)
def test_the_first_layer_of_other_models(data, model, x_shape, w_shape, stride):
    spec = build.first_layer(build.settings_of(options(model=model)), data, batch=2)
    assert (spec.x_shape, spec.w_shape, spec.stride) == (x_shape, w_shape, stride)


@pytest.mark.parametrize(
    ("threads", "has_threads", "expected"),
    [(3, True, 3), (None, True, 1), (3, False, 3), (None, False, None)],
)
def test_numpy_gets_one_thread_where_the_backend_has_its_own(
    monkeypatch, threads, has_threads, expected
):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    asked, set_to = [], []
    monkeypatch.setattr(threadpoolctl, "threadpool_limits", asked.append)
    record = registry.Record("some", "some")
    found = set_to.append if has_threads else None
    monkeypatch.setattr(record, "method", lambda name: found, raising=False)
    build.limit_threads({"threads": threads}, record)
    assert asked == [expected]
    assert set_to == ([threads] if has_threads and threads else [])
