"""Models: networks built on the layer API and :mod:`convkit.layers`, and nothing else of convkit.

A model has ``params`` (name -> array), ``buffers`` (name -> array: what is kept but not trained)
and ``loss(X, y=None)``, which returns the scores, or with labels ``(loss, grads)``.
"""

from convkit.models.deep import DeepConvNet
from convkit.models.three_layer import ThreeLayerConvNet

__all__ = ["MODELS", "DeepConvNet", "ThreeLayerConvNet"]

MODELS: dict[str, type[ThreeLayerConvNet] | type[DeepConvNet]] = {
    "three_layer": ThreeLayerConvNet,
    "deep": DeepConvNet,
}
