"""The options of each network, and what they make of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click
import pytest

from convkit.commands._networks import NETWORKS, OPTIONS, network_settings
from convkit.commands._options import TrainOptions
from convkit.models import MODELS
from convkit.training.presets import preset

GIVEN = {"data": "digits", "dtype": "float32", "seed": 0, "out": Path("runs")}
NOTHING = dict.fromkeys(f.name for f in dataclasses.fields(TrainOptions)) | GIVEN


def network(model, **given):
    """The network that options give, and its settings."""
    options = TrainOptions(**(NOTHING | given | {"model": model}))
    settings = network_settings(options, preset("digits"))
    arguments = NETWORKS[model].arguments(settings)
    return MODELS[model](input_dim=(1, 16, 16), num_classes=3, rng=0, **arguments), settings


def names(model):
    return [type(layer).__name__ for layer in model.layers]


def test_every_model_has_a_row_and_every_option_a_field():
    assert list(NETWORKS) == list(MODELS)
    assert set(OPTIONS) <= set(NOTHING)


def test_deep():
    model, _ = network("deep", depth=3, num_filters=4, batch_norm=True, dropout=0.25)
    assert [model.params[f"W{i}"].shape[0] for i in (1, 2, 3)] == [4, 8, 16]
    assert names(model).count("BatchNorm") == 3
    assert model.dropout == 0.75  # the share that is kept
    plain, _ = network("deep")
    assert names(plain).count("Conv") == 2
    assert not {"BatchNorm", "Dropout"} & set(names(plain))


def test_fc():
    model, _ = network("fc", depth=3, hidden_dim=7, batch_norm=True, dropout=0.5)
    assert model.hidden_dims == (7, 7, 7)
    assert (names(model).count("BatchNorm"), names(model).count("Dropout")) == (3, 3)
    assert "Dropout" not in names(network("fc")[0])


@pytest.mark.parametrize(("depth", "blocks"), [(8, 1), (20, 3), (32, 5)])
def test_resnet(depth, blocks):
    model, settings = network("resnet", depth=depth, num_filters=2)
    assert model.stage_blocks == (blocks,) * 3
    assert model.stage_filters == (2, 4, 8)
    assert settings == {"depth": depth, "num_filters": 2}


@pytest.mark.parametrize("depth", [1, 2, 7, 18])
def test_a_resnet_of_another_depth_is_refused(depth):
    with pytest.raises(click.UsageError, match=rf"--depth \(={depth}\) of resnet must be 6n \+ 2"):
        network("resnet", depth=depth)


@pytest.mark.parametrize("model", NETWORKS)
def test_every_option_is_used_or_refused(model):
    values = {"depth": 8, "batch_norm": True, "dropout": 0.5, "num_filters": 5, "filter_size": 5}
    values |= {"hidden_dim": 9, "weight_scale": 0.5}
    assert set(values) == set(OPTIONS)
    for name, value in values.items():
        value = 3 if (name, model) == ("depth", "deep") else value
        if name in NETWORKS[model].options:
            usual, other = network(model)[0], network(model, **{name: value})[0]
            same = names(usual) == names(other) and all(
                usual.params[key].shape == other.params[key].shape
                and (usual.params[key] == other.params[key]).all()
                for key in usual.params
            )
            assert not same or usual.config() != other.config(), name
        else:
            with pytest.raises(click.UsageError, match="is no option of the model"):
                network(model, **{name: value})
