"""ResNet: its size, its blocks, its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from model_cases import worst_errors

import convkit
from convkit import ParameterError
from convkit.models import ResNet


def test_the_default_is_resnet_20():
    net = ResNet(rng=0)
    weights = [name for name in net.params if name.startswith("W")]
    assert len(weights) == 20 + 2  # and the two shortcuts' 1x1 convolutions
    stem, stages, head = 3 * 16 * 9, 0, 64 * 10 + 10
    for stage, f in enumerate((16, 32, 64)):
        before = f // 2 if stage else f
        stages += 9 * f * (before + 5 * f) + (before * f if stage else 0)
    norms = 2 * sum(net.params[f"gamma{i}"].size for i in range(1, 22))
    assert sum(w.size for w in net.params.values()) == stem + stages + head + norms
    assert net.params["W22"].shape == (64, 10)
    shapes = [place.out_shape for place in net.places]
    assert shapes[2:13:3] == [(16, 32, 32), (16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert not any(
        name.startswith("b") and name[1:].isdigit() for name in net.params if name != "b22"
    )


def test_gradients(backend):
    net = ResNet(
        (2, 6, 5), 3, stage_blocks=(1, 1), stage_filters=(2, 3), dtype=np.float64, reg=0.1, rng=1,
        backend=backend,
    )  # fmt: skip
    assert max(worst_errors(net).values()) < 1e-5


def test_scores_by_the_layer_functions():
    net = ResNet((2, 6, 6), 3, stage_blocks=(1, 1), stage_filters=(2, 4), dtype="f8", rng=1)
    p = net.params
    x = X = np.random.default_rng(0).standard_normal((2, 2, 6, 6))

    def conv_norm(x, i, stride=1):
        z = convkit.conv(x, p[f"W{i}"], stride=stride, pad=p[f"W{i}"].shape[-1] // 2)
        still = {name: net.buffers[f"{name}{i}"] for name in ("running_mean", "running_var")}
        return convkit.batch_norm(z, p[f"gamma{i}"], p[f"beta{i}"], **still)

    def relu(x):
        return np.maximum(x, 0)

    x = relu(conv_norm(x, 1))
    x = relu(conv_norm(relu(conv_norm(x, 2)), 3) + x)
    x = relu(conv_norm(relu(conv_norm(x, 4, 2)), 5) + conv_norm(x, 6, 2))
    scores = x.mean(axis=(2, 3)) @ p["W7"] + p["b7"]
    np.testing.assert_allclose(net.loss(X), scores, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "arguments",
    [
        {"stage_blocks": (1, 2), "stage_filters": (4,)},
        {"stage_blocks": (), "stage_filters": ()},
        {"stage_filters": (4, 0, 4)},
        {"num_classes": 0},
    ],
)
def test_arguments_are_checked(arguments):
    with pytest.raises(ParameterError):
        ResNet(**arguments)
