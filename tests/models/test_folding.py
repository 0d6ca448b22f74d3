"""Networks for inference: the same scores to rounding, without normalisations."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import ParameterError, bounds
from convkit.models import (
    MODELS,
    Affine,
    BatchNorm,
    Conv,
    ConvTranspose,
    DeepConvNet,
    Dropout,
    FullyConnectedNet,
    GroupNorm,
    ReLU,
    Residual,
    Sequential,
)
from convkit.models.placing import leaves


def with_statistics(net, seed=5):
    """Put values into every norm that are far from its start."""
    rng = np.random.default_rng(seed)
    for arrays in (net.params, net.buffers):
        for name, array in arrays.items():
            if name.startswith(("gamma", "running_var")):
                arrays[name] = rng.uniform(0.5, 2, array.shape).astype(array.dtype)
            elif not name.startswith("W"):
                arrays[name] = rng.standard_normal(array.shape).astype(array.dtype)
    return net


def norms(net):
    return [place for place in leaves(net.places) if isinstance(place.layer, BatchNorm)]


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        ([Conv(4, 3, stride=2), BatchNorm(eps=0.1), ReLU()], 0),
        ([Conv(4, 3, groups=2, bias=True), BatchNorm()], 0),
        ([ConvTranspose(6, 3, stride=2, groups=2), BatchNorm(), Conv(3, 1)], 0),
        ([Affine(5), BatchNorm(), ReLU(), Dropout(keep=0.5), Affine(4, bias=False)], 0),
        ([Conv(4, 1, trainable=False), BatchNorm(trainable=False)], 0),
        ([BatchNorm(), Conv(4, 1), ReLU(), BatchNorm()], 2),
        ([Conv(4, 1), BatchNorm(), BatchNorm()], 1),
        ([Conv(4, 1), GroupNorm(2), BatchNorm()], 1),
        ([Residual([Conv(6, 3, stride=2, pad=1), BatchNorm()]), Residual([BatchNorm()])], 1),
        ([Residual([Conv(4, 1)], shortcut=[Conv(4, 1), BatchNorm()], relu=False)], 0),
        ([Dropout(keep=0.5)], 0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_the_same_to_rounding(parts, left, dtype):
    net = with_statistics(Sequential(parts, input_dim=(4, 7, 6), rng=0, dtype=dtype))
    X = np.random.default_rng(1).standard_normal((3, 4, 7, 6))
    expected, fused = net.loss(X), net.fused()
    assert len(norms(fused)) == left
    assert not any(isinstance(place.layer, Dropout) for place in leaves(fused.places))
    atol = 2000 * bounds.unit_roundoff(np.dtype(dtype))
    np.testing.assert_allclose(fused.loss(X), expected, rtol=0, atol=atol)
    assert np.abs(expected).max() > 0.5
    assert fused.loss(X).dtype == dtype


@pytest.mark.parametrize(
    "net",
    [
        MODELS["resnet"](input_dim=(3, 12, 12), stage_blocks=(2, 2), stage_filters=(4, 6), rng=1),
        MODELS["mobilenet"](input_dim=(3, 16, 16), blocks=((8, 1), (12, 2)), rng=1),
        DeepConvNet((3, 8, 8), (4, 5), 3, (6,), 3, batchnorm=True, dropout=0.5, rng=1),
        FullyConnectedNet((6, 5), 432, normalization="batchnorm", weight_scale=None, rng=1),
    ],
    ids=lambda net: type(net).__name__,
)
def test_the_models_fold_whole(net):
    with_statistics(net)
    fused = net.fused()
    assert not norms(fused)
    X = np.random.default_rng(1).standard_normal((3, *net.input_dim))
    np.testing.assert_allclose(fused.loss(X), net.loss(X), rtol=1e-3, atol=1e-3)


def test_a_fused_network_is_a_copy_and_for_inference_alone():
    net = with_statistics(Sequential([Conv(4, 1), BatchNorm(), Affine(3)], input_dim=(2, 3, 3)))
    fused = net.fused()
    X = np.ones((2, 2, 3, 3))
    before = fused.loss(X)
    for array in (*net.params.values(), *net.buffers.values()):
        array += 1
    np.testing.assert_array_equal(fused.loss(X), before)
    with pytest.raises(ParameterError, match=r"^a fused network is for inference: train the one"):
        fused.loss(X, np.zeros(2, int))
    assert list(fused.params) == ["W1", "b1", "W2", "b2"]
    assert repr(fused).startswith("FusedNetwork([\n    Conv(4, 1, bias=True),\n    Affine(3),\n]")


def test_a_fused_network_follows_the_choice_of_a_backend():
    net = Sequential([Conv(4, 1), BatchNorm()], input_dim=(2, 3, 3), backend="naive")
    assert net.fused().backend == "naive"
