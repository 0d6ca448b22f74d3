"""From options to data, model and solver: what ``train`` and ``sweep`` share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
import numpy as np

from convkit import registry
from convkit.commands._networks import NETWORKS, network_settings
from convkit.commands._options import RULE_OPTIONS, TrainOptions, rule_config
from convkit.errors import DataError
from convkit.models import MODELS, Conv, Sequential
from convkit.models.placing import Place, leaves
from convkit.names import printable
from convkit.operations import CONV
from convkit.optional import require
from convkit.selection.resolve import select
from convkit.spec import ConvSpec
from convkit.training.data import Dataset, Raw, assembled, read_data
from convkit.training.data.rows import choose, joined
from convkit.training.presets import LEAST_ITERATIONS, preset
from convkit.training.schedules import make_schedule
from convkit.training.solver import Progress, Solver

_FROM_PRESET = (
    "reg",
    "batch_size",
    "update_rule",
    "learning_rate",
    "lr_decay",
    "sampling",
    "num_train_samples",
    "num_val_samples",
    "print_every",
)
#: Options without a default, which are settings only where they are given.
_EXTRA = (
    "data_dir",
    "clip_norm",
    "schedule",
    "warm_up",
    "augment",
    "label_smoothing",
    "class_weights",
    "early_stop",
    "valid",
)


def settings_of(options: TrainOptions) -> dict[str, Any]:
    """Every hyper-parameter with its value: the option where it is given, else the preset's.

    ``epochs`` is None where ``complete`` decides. Raises click.UsageError for an option that the
    model or the update rule does not have.
    """
    defaults = preset(options.data)
    network = NETWORKS[options.model]
    chosen: dict[str, Any] = {
        "data": options.data,
        "backend": options.backend,
        "threads": options.threads,
        "model": options.model,
        "dtype": options.dtype,
        "seed": options.seed,
        "iterations": options.iterations,
        "num_train": options.num_train,
        "epochs": options.epochs,
    }
    usual = {key: getattr(defaults, key) for key in _FROM_PRESET} | dict(network.training)
    if options.schedule is not None:
        usual["lr_decay"] = 1.0
    for key in _FROM_PRESET:
        value = getattr(options, key)
        chosen[key] = usual[key] if value is None else value
    for key in _EXTRA:
        value = getattr(options, key)
        if value is not None:
            chosen[key] = str(value) if key == "data_dir" else value
    chosen |= network_settings(options, defaults) | options.folder_settings
    return chosen | rule_config(options, chosen["update_rule"])


def complete(settings: dict[str, Any], data: Dataset) -> dict[str, Any]:
    """Settings with a number of epochs, where neither that nor one of iterations is given.

    The preset's, or as many as give ``LEAST_ITERATIONS`` iterations: few images need more epochs
    before they show anything.
    """
    if settings["epochs"] is not None or settings["iterations"] is not None:
        return settings
    per_epoch = max(len(data["X_train"]) // settings["batch_size"], 1)
    epochs = max(preset(settings["data"]).num_epochs, -(-LEAST_ITERATIONS // per_epoch))
    return settings | {"epochs": epochs}


def load(options: TrainOptions) -> Dataset:
    """The data set that the options name, cut to ``--num-train`` training images.

    For every model but the course's three layers its images are standardised.
    """
    raw = read_data(options.data, options.data_dir, folder=options.folder).divided(options.seed)
    if options.valid is not None:
        raw.parts["train"], raw.parts["val"] = _validating(raw, options.valid)
    if options.model != "three_layer":
        x, y = raw.parts["train"]
        first = np.arange(len(y))[: options.num_train]
        raw.parts["train"] = choose(x, first), y[first]
        data = assembled(raw, "standardise")
    else:
        data = assembled(raw, "mean")  # of all training images, as in the course
        if options.num_train is not None:
            first = np.arange(len(data["y_train"]))[: options.num_train]
            data["X_train"] = choose(data["X_train"], first)
            data["y_train"] = data["y_train"][first]
    found = np.unique(data["y_train"])
    if len(found) < 2:
        name = printable(data["class_names"][int(found[0])])
        raise DataError(
            f"{printable(options.data)}: the {len(data['y_train'])} training images are all of one "
            f"class ({name!r}): there is nothing to tell apart"
        )
    return data


def _validating(raw: Raw, count: int) -> tuple[Any, Any]:
    """The training and validation parts with ``count`` validation images, the others trained on."""
    (x, y), (x_val, y_val) = raw.parts["train"], raw.parts["val"]
    if count > len(y_val):
        raise click.UsageError(
            f"--valid (={count}) must be at most {len(y_val)}, the validation images of the data"
        )
    kept, rest = np.split(np.arange(len(y_val)), [count])
    train = joined([x, choose(x_val, rest)]), np.concatenate([y, y_val[rest]])
    return train, (choose(x_val, kept), y_val[kept])


def make_model(
    settings: Mapping[str, Any], data: Dataset, rng: np.random.Generator | int
) -> Sequential:
    """The network for the data's image shape and classes."""
    name = settings["model"]
    model: Any = MODELS[name]
    network: Sequential = model(
        input_dim=data["X_train"].shape[1:],
        num_classes=len(data["class_names"]),
        reg=settings["reg"],
        dtype=np.dtype(settings["dtype"]).type,
        rng=rng,
        backend=settings["backend"],
        **NETWORKS[name].arguments(settings),
    )
    return network


def make_solver(
    settings: Mapping[str, Any],
    data: Dataset,
    *,
    verbose: bool,
    on_step: Callable[[Progress], None] | None = None,
    callbacks: Iterable[Any] = (),
) -> Solver:
    """Model and solver, repeatable to the bit for a seed."""
    settings = complete(dict(settings), data)
    rng = np.random.default_rng(settings["seed"])
    epochs, iterations = settings["epochs"], settings["iterations"]
    return Solver(
        make_model(settings, data, rng),
        data,
        update_rule=settings["update_rule"],
        optim_config={
            "learning_rate": settings["learning_rate"],
            **{key: settings[key] for key in RULE_OPTIONS if key in settings},
        },
        clip_norm=settings.get("clip_norm"),
        lr_decay=settings["lr_decay"],
        schedule=make_schedule(settings.get("schedule"), settings.get("warm_up")),
        batch_size=settings["batch_size"],
        **({"num_epochs": epochs} if iterations is None else {"num_iterations": iterations}),
        sampling=settings["sampling"],
        augment=settings.get("augment"),
        label_smoothing=settings.get("label_smoothing", 0.0),
        class_weights=_class_weights(settings.get("class_weights")),
        early_stop=settings.get("early_stop"),
        num_train_samples=settings["num_train_samples"],
        num_val_samples=settings["num_val_samples"],
        print_every=settings["print_every"],
        verbose=verbose,
        rng=rng,
        on_step=on_step,
        callbacks=callbacks,
    )


def _class_weights(text: str | None) -> str | list[float] | None:
    if text is None or text == "balanced":
        return text
    return [float(number) for number in text.split(",")]


def layers_of(settings: Mapping[str, Any], data: Dataset) -> list[Place]:
    """The network's layers in their places."""
    return list(leaves(make_model(settings, data, 0).places))


def first_layer(settings: Mapping[str, Any], data: Dataset, batch: int) -> ConvSpec:
    """The network's first layer on ``batch`` images, as the convolution that computes it."""
    first = layers_of(settings, data)[0]
    dtype = np.dtype(settings["dtype"])
    layer, shape = first.layer, first.shape
    if isinstance(layer, Conv):
        w_shape = layer.weight_shape(shape)
        return ConvSpec.of(
            (batch, *shape), w_shape, None, dtype=dtype, **layer.parameters(training=True)
        )
    size, units = math.prod(shape), first.out_shape[0]
    return ConvSpec.of((1, size, 1, units), (batch, size, 1, 1), None, dtype=dtype)


def choose_backend(settings: Mapping[str, Any], data: Dataset) -> registry.Record:
    """The backend of the first layer. Raises the selection's error where there is none."""
    spec = first_layer(settings, data, settings["batch_size"])
    record = select(CONV, (spec,), settings["backend"]).record
    assert record is not None  # select raises where nothing can be selected
    return record


def limit_threads(settings: Mapping[str, Any], record: registry.Record) -> Any:
    """Set the threads of the backend, and of NumPy within the returned context manager.

    Two thread pools that alternate slow each other down: on two busy cores a network of small
    layers trained ten times slower. So where the backend has threads, NumPy's matrix products get
    one, unless ``--threads`` is given.
    """
    threads = settings["threads"]
    set_num_threads = record.method("set_num_threads")
    if threads is not None and set_num_threads is not None:
        set_num_threads(threads)
    for_numpy = threads or (1 if set_num_threads is not None else None)
    return require("threadpoolctl", "limiting threads").threadpool_limits(for_numpy)
