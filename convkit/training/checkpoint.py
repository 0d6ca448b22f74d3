"""Arrays by name in a safetensors file: see :mod:`convkit.tensors`, where models reach it too."""

from convkit.tensors import load_weights, save_weights

__all__ = ["load_weights", "save_weights"]
