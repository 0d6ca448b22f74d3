"""The activation layers: those of convkit.layers, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
from model_cases import check_layer

from convkit import ParameterError, layers
from convkit.models import LeakyReLU, ReLU, Sequential, Sigmoid, Tanh

PAIRS = [
    (ReLU(), layers.relu_forward),
    (LeakyReLU(), layers.leaky_relu_forward),
    (LeakyReLU(0.3), lambda x: layers.leaky_relu_forward(x, 0.3)),
    (Sigmoid(), layers.sigmoid_forward),
    (Tanh(), layers.tanh_forward),
]


@pytest.mark.parametrize(("layer", "function"), PAIRS, ids=[repr(layer) for layer, _ in PAIRS])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_values_and_gradients(layer, function, shape):
    net = check_layer(layer, shape)
    x = np.random.default_rng(0).standard_normal((3, *shape))
    np.testing.assert_array_equal(net.loss(x), function(x)[0])


def test_relu_keeps_nan_and_its_gradient_is_zero_at_zero():
    net = Sequential([ReLU()], input_dim=(4,), dtype=np.float64)
    x = np.array([[-1.0, 0, 2, np.nan]])
    np.testing.assert_array_equal(net.loss(x), [[0, 0, 2, np.nan]])
    _, cache = ReLU().forward(x, {}, None)
    assert ReLU().backward(np.full((1, 4), 7.0), cache, ("x",))[0].tolist() == [[0, 0, 7, 0]]


def test_the_slope_is_checked():
    with pytest.raises(ParameterError, match=r"^slope \(=inf\) must be a finite number$"):
        LeakyReLU(np.inf)
