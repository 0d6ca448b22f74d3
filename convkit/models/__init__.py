"""Models: networks built on :mod:`convkit.api` and :mod:`convkit.layers` alone.

A model has ``params`` (name -> array), ``buffers`` (name -> array: state that is not trained)
and ``loss(X, y=None)``, which returns the scores, or with labels ``(loss, grads)``.
:class:`Sequential` makes one of a list of layers; the others are written on it.
"""

from convkit.models.autoencoder import ConvAutoencoder
from convkit.models.deep import DeepConvNet
from convkit.models.exporting import export_onnx
from convkit.models.fully_connected import FullyConnectedNet
from convkit.models.loading import load
from convkit.models.mobilenet import MobileNet
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
    frozen,
)
from convkit.models.resnet import ResNet
from convkit.models.sequential import FusedNetwork, Sequential
from convkit.models.three_layer import ThreeLayerConvNet

__all__ = [
    "MODELS",
    "Affine",
    "AvgPool",
    "BatchNorm",
    "Context",
    "Conv",
    "ConvAutoencoder",
    "ConvTranspose",
    "DeepConvNet",
    "Dropout",
    "Flatten",
    "FullyConnectedNet",
    "FusedNetwork",
    "GlobalAvgPool",
    "GroupNorm",
    "Layer",
    "LeakyReLU",
    "MaxPool",
    "MobileNet",
    "ReLU",
    "ResNet",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "ThreeLayerConvNet",
    "export_onnx",
    "frozen",
    "load",
]

MODELS: dict[str, type[Sequential]] = {
    "three_layer": ThreeLayerConvNet,
    "deep": DeepConvNet,
    "fc": FullyConnectedNet,
    "resnet": ResNet,
    "mobilenet": MobileNet,
}
