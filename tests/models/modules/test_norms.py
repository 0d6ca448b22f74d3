"""BatchNorm and GroupNorm: gradients, frozen ones, arguments."""

from __future__ import annotations

import numpy as np
import pytest
from model_cases import check_layer

import convkit
from convkit import ParameterError, ShapeError
from convkit.models import BatchNorm, Context, GroupNorm, Sequential


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (BatchNorm(), (3, 4, 2)),
        (BatchNorm(eps=0.1), (5,)),
        (BatchNorm(trainable=False), (3, 2)),
        (GroupNorm(2), (4, 3, 2)),
        (GroupNorm(1, eps=0.1), (6,)),
    ],
    ids=repr,
)
def test_gradients(layer, shape):
    check_layer(layer, shape)


def test_arguments_reach_the_operation():
    x = np.random.default_rng(0).standard_normal((6, 3, 4))
    y = np.zeros_like(x)
    net = Sequential(
        [BatchNorm(eps=0.5, momentum=0.25, unbiased=True)], input_dim=(3, 4), dtype=np.float64,
        loss=convkit.layers.mse_loss,
    )  # fmt: skip
    net.loss(x, y)
    np.testing.assert_allclose(net.buffers["running_mean1"], 0.75 * x.mean(axis=(0, 2)))
    var = x.var(axis=(0, 2), ddof=1)
    np.testing.assert_allclose(net.buffers["running_var1"], 0.25 + 0.75 * var)
    mean, var = (net.buffers[f"running_{what}1"][:, None] for what in ("mean", "var"))
    np.testing.assert_allclose(net.loss(x), (x - mean) / np.sqrt(var + 0.5))


def test_called_by_itself_a_batch_norm_moves_its_arrays():
    layer, x = BatchNorm(), np.random.default_rng(0).standard_normal((6, 3))
    arrays = {"gamma": np.ones(3), "beta": np.zeros(3), "running_mean": np.zeros(3),
              "running_var": np.ones(3)}  # fmt: skip
    layer.forward(x, arrays, Context(None, np.random.default_rng()))
    np.testing.assert_allclose(arrays["running_mean"], 0.1 * x.mean(axis=0))


def test_arguments_are_checked():
    with pytest.raises(ShapeError, match=r"^x\.shape\[1\] \(=6\) must be divisible by groups"):
        GroupNorm(4).output_shape((6, 2))
    with pytest.raises(ParameterError, match=r"^eps \(=-1\)"):
        BatchNorm(eps=-1).output_shape((6, 2))
