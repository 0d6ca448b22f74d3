"""The networks that ``convkit bench --networks`` times. Another one is a row of NETWORKS.

A row makes convkit's network; PyTorch's is made of its layers (:mod:`convkit.bench.torch_networks`)
and begins with its parameters, so that both sides train the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from convkit.errors import ParameterError
from convkit.layers import mse_loss
from convkit.models import (
    ConvAutoencoder,
    DeepConvNet,
    MobileNet,
    ResNet,
    Sequential,
    ThreeLayerConvNet,
)
from convkit.names import suggest

CLASSES = 10


@dataclass(frozen=True)
class Network:
    """A network and its batch. ``make`` takes ``dtype``, ``rng`` and ``backend`` by keyword."""

    name: str
    batch: int
    make: Callable[..., Sequential]
    about: str

    def build(self, dtype: Any, backend: str | None = None) -> Sequential:
        """Return the network, with the same parameters each time."""
        return self.make(dtype=np.dtype(dtype), rng=0, backend=backend)

    def data(self, network: Sequential) -> tuple[Any, Any]:
        """Return images of the network's shape and dtype, and labels or, for images, themselves."""
        rng = np.random.default_rng(1)
        images = rng.standard_normal((self.batch, *network.input_dim)).astype(network.dtype)
        if network.loss_function is mse_loss:
            return images, images
        return images, rng.integers(0, CLASSES, self.batch)


NETWORKS: tuple[Network, ...] = (
    Network(
        "conv2", 100, partial(DeepConvNet, num_filters=(32, 64)),
        "(conv 3x3 - relu - pool) x 2 of 32, 64 filters, affine 100, affine 10; 32x32",
    ),
    Network(
        "conv2_bn", 100, partial(DeepConvNet, num_filters=(32, 64), batchnorm=True),
        "the same with batch normalisations before relu",
    ),
    Network(
        "conv3_bn", 50, partial(DeepConvNet, num_filters=(64, 128, 256), batchnorm=True),
        "(conv 3x3 - batch norm - relu - pool) x 3 of 64, 128, 256 filters, affine 100, 10; 32x32",
    ),
    Network("resnet20", 128, ResNet, "ResNet-20 for small images; 32x32"),
    Network(
        "mobilenet", 32, MobileNet,
        "conv 3x3 of stride 2, seven depthwise separable blocks to 512 filters; 64x64",
    ),
    Network(
        "autoencoder", 64, ConvAutoencoder,
        "conv 3x3 of stride 2 to 32, 64 filters, back by transposed 4x4; mean squared error; 32x32",
    ),
    Network(
        "three_layer", 200, ThreeLayerConvNet,
        "the course's: conv 7x7 of 32 filters - relu - pool, affine 100, affine 10; 32x32",
    ),
)  # fmt: skip


def chosen(text: str | None) -> list[Network]:
    """Return the networks that ``text`` names, with commas between them; None: all."""
    if text is None:
        return list(NETWORKS)
    by_name = {network.name: network for network in NETWORKS}
    return [_named(name.strip(), by_name) for name in text.split(",")]


def _named(name: str, by_name: dict[str, Network]) -> Network:
    if name not in by_name:
        known: Sequence[str] = list(by_name)
        hint = suggest(name, known)
        raise ParameterError(
            f"set (={name!r}) must be one of the networks {', '.join(known)}"
            + (f"; {hint}" if hint else "")
        )
    return by_name[name]
