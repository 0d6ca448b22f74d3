"""The layers that a network is made of, and :class:`Layer`, to write one's own."""

from convkit.models.modules.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from convkit.models.modules.dropout import Dropout
from convkit.models.modules.flatten import Flatten
from convkit.models.modules.layer import Context, Layer, frozen
from convkit.models.modules.norms import BatchNorm, GroupNorm
from convkit.models.modules.pools import AvgPool, GlobalAvgPool, MaxPool
from convkit.models.modules.residual import Residual
from convkit.models.modules.weighted import Affine, Conv, ConvTranspose

__all__ = [
    "Affine",
    "AvgPool",
    "BatchNorm",
    "Context",
    "Conv",
    "ConvTranspose",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GroupNorm",
    "Layer",
    "LeakyReLU",
    "MaxPool",
    "ReLU",
    "Residual",
    "Sigmoid",
    "Tanh",
    "frozen",
]
