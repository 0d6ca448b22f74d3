"""The pools: those of the API, and their gradients."""

from __future__ import annotations

from inspect import isfunction

import numpy as np
import pytest
from model_cases import check_layer

import convkit
from convkit import ShapeError
from convkit.models import AvgPool, GlobalAvgPool, MaxPool


@pytest.mark.parametrize(
    ("layer", "shape", "function"),
    [
        (MaxPool(2), (2, 5, 4), lambda x: convkit.max_pool(x, kernel=2)),
        (
            MaxPool((3, 2), stride=2, pad=1, ceil_mode=True),
            (2, 6, 5),
            lambda x: convkit.max_pool(x, kernel=(3, 2), stride=2, pad=1, ceil_mode=True),
        ),
        (MaxPool(2, dilation=2), (1, 6), lambda x: convkit.max_pool(x, kernel=2, dilation=2)),
        (AvgPool(2, 1), (2, 4, 3), lambda x: convkit.avg_pool(x, kernel=2, stride=1)),
        (
            AvgPool(3, pad=1, count_include_pad=True),
            (2, 6, 6),
            lambda x: convkit.avg_pool(x, kernel=3, pad=1, count_include_pad=True),
        ),
        (GlobalAvgPool(), (3, 5, 4), lambda x: x.mean(axis=(2, 3))),
        (GlobalAvgPool(), (3, 7), lambda x: x.mean(axis=2)),
    ],
    ids=lambda value: "numpy" if isfunction(value) else repr(value),
)
def test_values_and_gradients(layer, shape, function):
    net = check_layer(layer, shape)
    x = np.random.default_rng(0).standard_normal((3, *shape))
    np.testing.assert_allclose(net.loss(x), function(x), rtol=1e-12, atol=1e-14)


def test_a_global_pool_needs_spatial_axes():
    with pytest.raises(ShapeError, match=r"^the input's shape \(=\(5,\)\) must be \(C, spatial"):
        GlobalAvgPool().output_shape((5,))
