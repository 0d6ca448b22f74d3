"""The networks of ``--model``: the options that each has, and how they become its arguments.

A network is a row of ``NETWORKS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from convkit.commands._options import TrainOptions, flag
from convkit.training.presets import Preset

__all__ = ["NETWORKS", "OPTIONS", "Network", "network_settings"]

PRESET = object()
"""The default of an option that the data set's preset has: a preset is for the three-layer net."""

_MOBILENET_BLOCKS = ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1))


@dataclass(frozen=True)
class Network:
    """The options of a network with the values of those that are not given.

    None stands for the network's own default. ``arguments`` makes the constructor's arguments of
    the options' values, and ``training`` are settings of its training that differ from the
    preset's.
    """

    options: Mapping[str, Any]
    arguments: Callable[[Mapping[str, Any]], dict[str, Any]]
    training: Mapping[str, Any]


def _three_layer(s: Mapping[str, Any]) -> dict[str, Any]:
    return {key: s[key] for key in ("num_filters", "filter_size", "hidden_dim", "weight_scale")}


def _deep(s: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "num_filters": tuple(s["num_filters"] * 2**place for place in range(s["depth"])),
        "filter_size": s["filter_size"],
        "hidden_dims": (s["hidden_dim"],),
        "weight_scale": s["weight_scale"],
        "batchnorm": s["batch_norm"],
        "dropout": 1 - s["dropout"] if s["dropout"] else None,
    }


def _fc(s: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "hidden_dims": (s["hidden_dim"],) * s["depth"],
        "weight_scale": s["weight_scale"],
        "normalization": "batchnorm" if s["batch_norm"] else None,
        "dropout_keep_ratio": 1 - s["dropout"],
    }


def _resnet(s: Mapping[str, Any]) -> dict[str, Any]:
    blocks, rest = divmod(s["depth"] - 2, 6)
    if rest or not blocks:
        raise click.UsageError(
            f"--depth (={s['depth']}) of resnet must be 6n + 2, n at least 1: 8, 14, 20, 26, 32, …"
        )
    filters = s["num_filters"]
    return {"stage_blocks": (blocks,) * 3, "stage_filters": (filters, 2 * filters, 4 * filters)}


def _mobilenet(s: Mapping[str, Any]) -> dict[str, Any]:
    filters = s["num_filters"]
    blocks = tuple((times * filters, stride) for times, stride in _MOBILENET_BLOCKS)
    return {"stem_filters": filters, "blocks": blocks}


NETWORKS: dict[str, Network] = {
    "three_layer": Network(
        dict.fromkeys(("num_filters", "filter_size", "hidden_dim", "weight_scale"), PRESET),
        _three_layer,
        {},
    ),
    "deep": Network(
        {
            **dict.fromkeys(("num_filters", "filter_size", "hidden_dim"), PRESET),
            "weight_scale": None,  # He's, which is right for a deep network
            "depth": 2,
            "batch_norm": False,
            "dropout": 0.0,
        },
        _deep,
        {},
    ),
    "fc": Network(
        {
            "hidden_dim": PRESET,
            "weight_scale": None,
            "depth": 1,
            "batch_norm": False,
            "dropout": 0.0,
        },
        _fc,
        {},
    ),
    "resnet": Network({"num_filters": 16, "depth": 20}, _resnet, {"sampling": "shuffle"}),
    "mobilenet": Network({"num_filters": 32}, _mobilenet, {}),
}

OPTIONS = tuple(dict.fromkeys(name for network in NETWORKS.values() for name in network.options))
"""Every option that some network has."""


def network_settings(options: TrainOptions, defaults: Preset) -> dict[str, Any]:
    """Return the network's own settings: the option where it is given, else the default.

    Raises click.UsageError for an option that the network does not have.
    """
    own = NETWORKS[options.model].options
    for key in OPTIONS:
        if key not in own and getattr(options, key) is not None:
            raise click.UsageError(
                f"{flag(key)} is no option of the model {options.model!r}, which has "
                f"{', '.join(map(flag, own))}"
            )
    chosen = {}
    for key, default in own.items():
        usual = getattr(defaults, key) if default is PRESET else default
        given = getattr(options, key)
        chosen[key] = usual if given is None else given
    NETWORKS[options.model].arguments(chosen)  # what does not fit is refused before data is read
    return chosen
