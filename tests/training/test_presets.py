"""Presets are settings that the model and the solver take."""

from __future__ import annotations

import pytest

from convkit.models import ThreeLayerConvNet
from convkit.training import optim
from convkit.training.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_made_of_what_model_and_solver_take(name):
    p = PRESETS[name]
    ThreeLayerConvNet(
        (1, 8, 8), p.num_filters, p.filter_size, p.hidden_dim, 10, p.weight_scale, p.reg
    )
    optim.check_rule(p.update_rule, {"learning_rate": p.learning_rate})


def test_a_path_has_the_preset_of_images():
    assert preset("digits") is PRESETS["digits"]
    assert preset("somewhere/pictures.npz") is PRESETS["images"]
