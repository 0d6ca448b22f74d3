"""The course's fully connected network: its names, losses and gradients."""

from __future__ import annotations

import numpy as np
import pytest
from model_cases import worst_errors

from convkit import ParameterError, ShapeError, layers
from convkit.models import Affine, Dropout, FullyConnectedNet, GroupNorm, ReLU


def test_parameters_have_the_course_s_names():
    net = FullyConnectedNet([7, 5], 12, 3, normalization="batchnorm")
    assert list(net.params) == (
        ["W1", "b1", "gamma1", "beta1", "W2", "b2", "gamma2", "beta2", "W3", "b3"]
    )  # fmt: skip
    assert net.params["W1"].shape == (12, 7)
    assert net.params["W2"].std() == pytest.approx(1e-2, rel=0.5)
    assert not FullyConnectedNet([7], 12, 3, normalization="layernorm").buffers


def test_dropout_is_there_where_it_is_asked_for():
    def kinds(**arguments):
        return [type(layer) for layer in FullyConnectedNet((6, 5), 8, **arguments).layers]

    assert kinds() == [Affine, ReLU, Affine, ReLU, Affine]
    assert kinds(dropout_keep_ratio=0.5, normalization="layernorm") == [
        Affine, GroupNorm, ReLU, Dropout, Affine, GroupNorm, ReLU, Dropout, Affine
    ]  # fmt: skip


@pytest.mark.parametrize("normalization", [None, "batchnorm", "layernorm"])
@pytest.mark.parametrize("keep", [1, 0.6])
def test_gradients(normalization, keep):
    net = FullyConnectedNet(
        (6, 5), 8, 3, dropout_keep_ratio=keep, normalization=normalization, reg=0.2,
        weight_scale=0.5, dtype=np.float64, seed=123, rng=1,
    )  # fmt: skip
    assert max(worst_errors(net).values()) < 1e-5


def test_scores_and_loss_by_the_layer_functions():
    net = FullyConnectedNet((6,), 8, 3, reg=3.14, weight_scale=0.5, dtype=np.float64, rng=0)
    rng, p = np.random.default_rng(0), net.params
    X, y = rng.standard_normal((4, 2, 4)), rng.integers(3, size=4)
    scores = np.maximum(X.reshape(4, 8) @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]
    np.testing.assert_allclose(net.loss(X), scores, rtol=1e-12)
    penalty = 0.5 * 3.14 * sum((p[name] ** 2).sum() for name in ("W1", "W2"))
    expected = layers.softmax_loss(scores, y)[0] + penalty
    assert net.loss(X, y)[0] == pytest.approx(expected, rel=1e-12)


def test_examples_of_any_shape_with_as_many_numbers():
    net = FullyConnectedNet(input_dim=(3, 4, 2), rng=0)
    X = np.random.default_rng(0).standard_normal((2, 24))
    np.testing.assert_array_equal(net.loss(X), net.loss(X.reshape(2, 3, 4, 2)))
    np.testing.assert_array_equal(net.loss(X), net.loss(X.reshape(2, 6, 4)))
    np.testing.assert_allclose(net.fused().loss(X.reshape(2, 3, 4, 2)), net.loss(X), rtol=1e-5)
    with pytest.raises(ShapeError, match=r"^X\.shape \(=\(2, 23\)\) must be \(N, 24\)$"):
        net.loss(X[:, :-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"normalization": "batch"},
            "normalization (='batch') must be 'batchnorm', 'layernorm'",
        ),
        ({"hidden_dims": (3, 0)}, "hidden_dims (=(3, 0)) must be an integer of at least 1"),
        ({"dropout_keep_ratio": 0}, "keep (=0) must be greater than 0 and at most 1"),
        ({"input_dim": 0}, "input_dim (=(0,)) must be an integer of at least 1"),
        ({"num_classes": 0}, "num_classes (=0) must be an integer of at least 1"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ParameterError) as caught:
        FullyConnectedNet(**arguments)
    assert str(caught.value).startswith(message)
