"""Flatten."""

from __future__ import annotations

import numpy as np
from model_cases import check_layer

from convkit.models import Affine, Flatten, Sequential


def test_values_and_gradients():
    net = check_layer(Flatten(), (2, 3, 4))
    x = np.random.default_rng(0).standard_normal((3, 2, 3, 4))
    np.testing.assert_array_equal(net.loss(x), x.reshape(3, 24))


def test_an_affine_layer_flattens_by_itself():
    x = np.random.default_rng(0).standard_normal((3, 2, 3, 4))
    bare, flat = (
        Sequential([*parts, Affine(5)], input_dim=(2, 3, 4), rng=0) for parts in ([], [Flatten()])
    )
    np.testing.assert_array_equal(bare.loss(x), flat.loss(x))
