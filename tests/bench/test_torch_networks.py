"""PyTorch's network computes what convkit's does, and learns the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convkit.bench import torch_networks
from convkit.bench.networks import NETWORKS, Network
from convkit.models import (
    Affine,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Flatten,
    MaxPool,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from convkit.training.optim import sgd_momentum

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")


def _both(network: Sequential, x: Any, y: Any, lr: float) -> tuple[list[float], list[float]]:
    """Return three losses of each side's training, by sgd with momentum."""
    model = torch_networks.module(torch, network)
    criterion = torch_networks.loss_of(torch, network)
    optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    state: dict[str, Any] = {n: {"learning_rate": lr, "momentum": 0.9} for n in network.params}
    ours, theirs = [], []
    for _ in range(3):
        loss, grads = network.loss(x, y)
        for name, value in network.params.items():
            network.params[name], state[name] = sgd_momentum(value, grads[name], state[name])
        ours.append(float(loss))
        optimiser.zero_grad()
        found = criterion(model(torch.from_numpy(x)), torch.from_numpy(y))
        found.backward()
        optimiser.step()
        theirs.append(float(found.detach()))
    return ours, theirs


@pytest.mark.long
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_it_learns_the_same(network: Network) -> None:
    small = replace(network, batch=3)
    made = small.build("float64")
    x, y = small.data(made)
    model = torch_networks.module(torch, made)
    assert sum(p.numel() for p in model.parameters()) == sum(a.size for a in made.params.values())
    model.eval()
    with torch.no_grad():
        np.testing.assert_allclose(
            made.loss(x), model(torch.from_numpy(x)).numpy(), rtol=1e-7, atol=1e-9
        )
    ours, theirs = _both(made, x, y, 0.01)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert ours[0] != ours[2]


def test_every_layer_that_has_a_module() -> None:
    layers = [
        Conv(4, (3, 2), stride=(1, 2), pad=(1, 0), groups=2), BatchNorm(momentum=0.7), ReLU(),
        MaxPool(2, stride=1), AvgPool(3, stride=1, pad=1, count_include_pad=True),
        Residual([Conv(6, 3, pad=1)], shortcut=[Conv(6, 1)], relu=False),
        ConvTranspose(4, 3, stride=2, pad=1, output_pad=1, dilation=2, groups=2),
        Flatten(), Affine(3),
    ]  # fmt: skip
    network = Sequential(layers, input_dim=(2, 7, 8), dtype="float64", rng=0)
    rng = np.random.default_rng(0)
    ours, theirs = _both(network, rng.standard_normal((4, 2, 7, 8)), rng.integers(0, 3, 4), 0.01)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Tanh(), r"^layers\[0\], Tanh\(\) has no module of PyTorch here$"),
        (
            Conv(2, 2, pad="same"),
            r"^layers\[0\], Conv\(.*a module of PyTorch pads both ends alike$",
        ),
    ],
)
def test_what_has_no_module_is_named(layer: Any, message: str) -> None:
    network = Sequential([layer], input_dim=(2, 4, 4))
    with pytest.raises(TypeError, match=message):
        torch_networks.module(torch, network)
