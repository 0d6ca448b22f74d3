"""Residual: the sum, its default shortcut, its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from model_cases import worst_errors

import convkit
from convkit import ShapeError
from convkit.models import (
    Affine,
    AvgPool,
    BatchNorm,
    Conv,
    GroupNorm,
    MaxPool,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from convkit.models.modules.residual import projection


def net_of(*parts, input_dim=(4, 6, 6), **arguments):
    net = Sequential([*parts, Affine(3)], input_dim=input_dim, dtype=np.float64, rng=2, **arguments)
    net.num_classes = 3
    return net


BLOCKS = {
    "identity": Residual([Conv(4, 3, pad=1), ReLU(), Conv(4, 3, pad=1)]),
    "norm at the end": Residual([Conv(4, 3, pad=1), BatchNorm()]),
    "norm and no relu": Residual([Conv(4, 3, pad=1), BatchNorm()], relu=False),
    "group norm": Residual([Conv(4, 3, pad=1), GroupNorm(2)]),
    "group norm and no relu": Residual([Conv(4, 3, pad=1), GroupNorm(2)], relu=False),
    "projection": Residual([Conv(6, 3, stride=2, pad=1), BatchNorm()]),
    "projection with group norm": Residual([Conv(6, 3, stride=2, pad=1), GroupNorm(3), Tanh()]),
    "shortcut of its own": Residual([Conv(5, 3, pad=1)], shortcut=[Conv(5, 1), Tanh()]),
    "pooled": Residual([MaxPool(2), Conv(5, 1)], shortcut=[AvgPool(2), Conv(5, 1)]),
    "nested": Residual([Residual([Conv(4, 1)]), Conv(4, 1), BatchNorm()]),
    "norm alone": Residual([BatchNorm()]),
    "without arrays": Residual([Tanh()]),
    "frozen main path": Residual([Conv(6, 1, trainable=False)], shortcut=[Conv(6, 1)]),
    "frozen shortcut": Residual([Conv(6, 1)], shortcut=[Conv(6, 1, trainable=False)]),
    "frozen end": Residual([Conv(4, 1), BatchNorm(trainable=False)]),
    "frozen": Residual([Conv(4, 1), BatchNorm()], trainable=False),
}
blocks = pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)


@blocks
def test_gradients_as_the_first_layer(block):
    assert max(worst_errors(net_of(block)).values()) < 1e-6


@blocks
def test_gradients_behind_another_layer(block):
    assert max(worst_errors(net_of(Conv(4, 3, pad=1), Tanh(), block)).values()) < 1e-6


def test_values_by_the_layer_functions(backend):
    block = Residual([Conv(6, 3, stride=2, pad=1), BatchNorm(), ReLU(), Conv(6, 3, pad=1)])
    net = Sequential([block], input_dim=(4, 5, 6), dtype=np.float64, rng=0, backend=backend)
    x, p = np.random.default_rng(0).standard_normal((2, 4, 5, 6)), net.params
    still = {"running_mean": np.zeros(6), "running_var": np.ones(6), "backend": backend}
    z = convkit.conv(x, p["W1"], stride=2, pad=1, backend=backend)
    z = np.maximum(convkit.batch_norm(z, p["gamma1"], p["beta1"], **still), 0)
    z = convkit.conv(z, p["W2"], p["b2"], pad=1, backend=backend)
    side = convkit.conv(x, p["W3"], stride=2, backend=backend)
    side = convkit.batch_norm(side, p["gamma3"], p["beta3"], **still)
    np.testing.assert_allclose(net.loss(x), np.maximum(z + side, 0), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("size", "out"), [(8, 4), (7, 4), (9, 3), (1, 1), (5, 5), (8, 1)])
def test_the_default_shortcut_reaches_the_main_path_s_size(size, out):
    parts = projection(Residual([]), (3, size, 4), (5, out, 2))
    assert Sequential(parts, input_dim=(3, size, 4)).output_dim == (5, out, 2)
    assert [type(part) for part in parts] == [Conv, BatchNorm]


def test_equal_shapes_need_no_shortcut():
    assert projection(Residual([]), (3, 8, 4), (3, 8, 4)) == ()


@pytest.mark.parametrize("out", [(3, 6), (3, 16), (3, 8, 1), (3,)])
def test_what_no_stride_reaches_is_refused(out):
    with pytest.raises(ShapeError, match=r"which no 1x1 convolution with a stride does; give sh"):
        projection(Residual([]), (3, 8), out)
