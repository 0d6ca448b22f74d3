"""From options to data, model and solver: what ``train`` and ``sweep`` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from convkit import registry
from convkit.commands._options import TrainOptions, rule_config
from convkit.models import MODELS
from convkit.operations import CONV
from convkit.optional import require
from convkit.selection.resolve import select
from convkit.spec import ConvSpec
from convkit.training.data import Dataset, load_data
from convkit.training.presets import preset
from convkit.training.solver import Progress, Solver

#: option -> the preset's field, where they differ
_PRESET_FIELD = {"epochs": "num_epochs"}
_FROM_PRESET = (
    "num_filters",
    "filter_size",
    "hidden_dim",
    "weight_scale",
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


def settings_of(options: TrainOptions) -> dict[str, Any]:
    """Every hyper-parameter with its value: the option where it is given, else the preset's."""
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
    if options.iterations is not None:
        chosen["epochs"] = None
    return chosen | rule_config(options, chosen["update_rule"])


def load(options: TrainOptions) -> Dataset:
    """The data set that the options name, cut to ``--num-train`` training images."""
    data = load_data(options.data, options.data_dir, rng=options.seed)
    if options.num_train is not None:
        data["X_train"] = data["X_train"][: options.num_train]
        data["y_train"] = data["y_train"][: options.num_train]
    return data


def make_model(settings: Mapping[str, Any], data: Dataset, rng: np.random.Generator) -> Any:
    """The network for the data's image shape and classes."""
    common: dict[str, Any] = {
        "input_dim": data["X_train"].shape[1:],
        "filter_size": settings["filter_size"],
        "num_classes": len(data["class_names"]),
        "weight_scale": settings["weight_scale"],
        "reg": settings["reg"],
        "dtype": np.dtype(settings["dtype"]).type,
        "rng": rng,
        "backend": settings["backend"],
    }
    filters, hidden = settings["num_filters"], settings["hidden_dim"]
    if settings["model"] == "deep":
        # He's scale is right for a deep network; a preset's is for the shallow one.
        common["weight_scale"] = None
        common |= {"num_filters": (filters, 2 * filters), "hidden_dims": (hidden,)}
    else:
        common |= {"num_filters": filters, "hidden_dim": hidden}
    return MODELS[settings["model"]](**common)


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


def first_layer(settings: Mapping[str, Any], data: Dataset, batch: int) -> ConvSpec:
    """The network's first convolution on ``batch`` images."""
    shape = data["X_train"].shape[1:]
    size = settings["filter_size"]
    return ConvSpec.of(
        (batch, *shape),
        (settings["num_filters"], shape[0], size, size),
        None,
        stride=1,
        pad="same",
        dtype=np.dtype(settings["dtype"]),
    )


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
