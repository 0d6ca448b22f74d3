"""Models: networks built on :mod:`convkit.api` and :mod:`convkit.layers` alone.

A model has ``params`` (name -> array), ``buffers`` (name -> array: state that is not trained)
and ``loss(X, y=None)``, which returns the scores, or with labels ``(loss, grads)``.
:class:`Sequential` makes one of a list of layers; the others are written on it.
"""

from convkit.models.deep import DeepConvNet
from convkit.models.modules import (
    Affine,
    AvgPool,
    BatchNorm,
    Context,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GroupNorm,
    Layer,
    LeakyReLU,
    MaxPool,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
)
from convkit.models.sequential import Sequential
from convkit.models.three_layer import ThreeLayerConvNet

__all__ = [
    "MODELS",
    "Affine",
    "AvgPool",
    "BatchNorm",
    "Context",
    "Conv",
    "ConvTranspose",
    "DeepConvNet",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GroupNorm",
    "Layer",
    "LeakyReLU",
    "MaxPool",
    "ReLU",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "ThreeLayerConvNet",
]

MODELS: dict[str, type[Sequential]] = {
    "three_layer": ThreeLayerConvNet,
    "deep": DeepConvNet,
}
