"""From options to data, model and solver: what ``train`` and ``sweep`` share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import click
import numpy as np

from convkit import registry
from convkit.commands._options import TrainOptions, rule_config
from convkit.models import MODELS, Conv, Sequential
from convkit.models.placing import Place, leaves
from convkit.operations import CONV
from convkit.optional import require
from convkit.selection.resolve import select
from convkit.spec import ConvSpec
from convkit.training.data import Dataset, assembled, load_data, read_data
from convkit.training.data.rows import choose
from convkit.training.presets import Preset, preset
from convkit.training.solver import Progress, Solver

#: option -> the preset's field, where they differ
_PRESET_FIELD = {"epochs": "num_epochs"}
_FROM_PRESET = (
    "reg",
    "epochs",
    "batch_size",
    "update_rule",
    "learning_rate",
    "lr_decay",
    "num_train_samples",
    "num_val_samples",
    "print_every",
)

_MOBILENET_BLOCKS = ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1))

#: The options that describe a network, for each model that has them, with the value of what is not
#: given: a preset is for the three-layer network; None stands for the model's own default.
_PRESET_SHAPE = object()
_MODEL_OPTIONS: dict[str, dict[str, Any]] = {
    "three_layer": dict.fromkeys(
        ("num_filters", "filter_size", "hidden_dim", "weight_scale"), _PRESET_SHAPE
    ),
    "deep": {
        **dict.fromkeys(("num_filters", "filter_size", "hidden_dim"), _PRESET_SHAPE),
        "weight_scale": None,  # He's, which is right for a deep network
    },
    "fc": {"hidden_dim": _PRESET_SHAPE, "weight_scale": None},
    "resnet": {"num_filters": 16},
    "mobilenet": {"num_filters": 32},
}


def settings_of(options: TrainOptions) -> dict[str, Any]:
    """Every hyper-parameter with its value: the option where it is given, else the preset's.

    Raises click.UsageError for an option that the model or the update rule does not have.
    """
    defaults = preset(options.data)
    chosen: dict[str, Any] = {
        "data": options.data,
        "backend": options.backend,
        "threads": options.threads,
        "model": options.model,
        "dtype": options.dtype,
        "seed": options.seed,
        "iterations": options.iterations,
        "num_train": options.num_train,
    }
    for key in _FROM_PRESET:
        value = getattr(options, key)
        chosen[key] = getattr(defaults, _PRESET_FIELD.get(key, key)) if value is None else value
    chosen |= _model_settings(options, defaults) | options.folder_settings
    if options.iterations is not None:
        chosen["epochs"] = None
    return chosen | rule_config(options, chosen["update_rule"])


def _model_settings(options: TrainOptions, defaults: Preset) -> dict[str, Any]:
    """The model's own settings."""
    own = _MODEL_OPTIONS[options.model]
    for key in _MODEL_OPTIONS["three_layer"]:
        if key not in own and getattr(options, key) is not None:
            known = ", ".join("--" + name.replace("_", "-") for name in own)
            raise click.UsageError(
                f"--{key.replace('_', '-')} is no option of the model {options.model!r}, "
                f"which has {known}"
            )
    chosen = {}
    for key, default in own.items():
        usual = getattr(defaults, key) if default is _PRESET_SHAPE else default
        given = getattr(options, key)
        chosen[key] = usual if given is None else given
    return chosen


def load(options: TrainOptions) -> Dataset:
    """The data set that the options name, cut to ``--num-train`` training images.

    For every model but the course's three layers its images are standardised.
    """
    if options.model != "three_layer":
        raw = read_data(options.data, options.data_dir, folder=options.folder)
        raw = raw.divided(options.seed)
        x, y = raw.parts["train"]
        first = np.arange(len(y))[: options.num_train]
        raw.parts["train"] = choose(x, first), y[first]
        return assembled(raw, "standardise")
    data = load_data(options.data, options.data_dir, rng=options.seed, folder=options.folder)
    if options.num_train is not None:
        first = np.arange(len(data["y_train"]))[: options.num_train]
        data["X_train"] = choose(data["X_train"], first)
        data["y_train"] = data["y_train"][first]
    return data


def make_model(
    settings: Mapping[str, Any], data: Dataset, rng: np.random.Generator | int
) -> Sequential:
    """The network for the data's image shape and classes."""
    name = settings["model"]
    shape: dict[str, Any] = {
        key: settings[key] for key in ("filter_size", "weight_scale") if key in settings
    }
    filters, hidden = settings.get("num_filters", 0), settings.get("hidden_dim", 0)
    if name == "three_layer":
        shape |= {"num_filters": filters, "hidden_dim": hidden}
    elif name == "deep":
        shape |= {"num_filters": (filters, 2 * filters), "hidden_dims": (hidden,)}
    elif name == "fc":
        shape |= {"hidden_dims": (hidden,)}
    elif name == "resnet":
        shape |= {"stage_filters": (filters, 2 * filters, 4 * filters)}
    else:
        blocks = tuple((times * filters, stride) for times, stride in _MOBILENET_BLOCKS)
        shape |= {"stem_filters": filters, "blocks": blocks}
    model: Any = MODELS[name]
    network: Sequential = model(
        input_dim=data["X_train"].shape[1:],
        num_classes=len(data["class_names"]),
        reg=settings["reg"],
        dtype=np.dtype(settings["dtype"]).type,
        rng=rng,
        backend=settings["backend"],
        **shape,
    )
    return network


def make_solver(
    settings: Mapping[str, Any],
    data: Dataset,
    *,
    verbose: bool,
    on_step: Callable[[Progress], None] | None = None,
) -> Solver:
    """Model and solver, repeatable to the bit for a seed."""
    rng = np.random.default_rng(settings["seed"])
    epochs, iterations = settings["epochs"], settings["iterations"]
    rule_options = ("momentum", "decay_rate", "beta1", "beta2", "epsilon")
    return Solver(
        make_model(settings, data, rng),
        data,
        update_rule=settings["update_rule"],
        optim_config={
            "learning_rate": settings["learning_rate"],
            **{key: settings[key] for key in rule_options if key in settings},
        },
        lr_decay=settings["lr_decay"],
        batch_size=settings["batch_size"],
        **({"num_epochs": epochs} if iterations is None else {"num_iterations": iterations}),
        num_train_samples=settings["num_train_samples"],
        num_val_samples=settings["num_val_samples"],
        print_every=settings["print_every"],
        verbose=verbose,
        rng=rng,
        on_step=on_step,
    )


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
