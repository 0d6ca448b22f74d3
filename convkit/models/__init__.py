"""Models: networks built on :mod:`convkit.api` and :mod:`convkit.layers` alone.

A model has ``params`` (name -> array), ``buffers`` (name -> array: state that is not trained)
and ``loss(X, y=None)``, which returns the scores, or with labels ``(loss, grads)``.
"""

from convkit.models.deep import DeepConvNet
from convkit.models.three_layer import ThreeLayerConvNet

__all__ = ["MODELS", "DeepConvNet", "ThreeLayerConvNet"]

MODELS: dict[str, type[ThreeLayerConvNet] | type[DeepConvNet]] = {
    "three_layer": ThreeLayerConvNet,
    "deep": DeepConvNet,
}
