"""The activations: elementwise, of any shape, without arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from convkit import layers
from convkit.errors import ParameterError
from convkit.models.common import Array
from convkit.models.modules.layer import Arrays, Context, Layer, Needs

__all__ = ["LeakyReLU", "ReLU", "Sigmoid", "Tanh"]

Function = Callable[..., Any]


@dataclass(repr=False)
class _Activation(Layer):
    """An activation of :mod:`convkit.layers`."""

    functions: ClassVar[tuple[Function, Function]]

    def forward(self, x: Array, arrays: Arrays, context: Context) -> tuple[Array, Any]:
        """Return the function of every element, and what its derivative needs."""
        result: tuple[Array, Any] = self.functions[0](x)
        return result

    def backward(self, dout: Array, cache: Any, needs: Needs) -> tuple[Array | None, Arrays]:
        """Return dx; there are no parameters."""
        return self.functions[1](dout, cache), {}


@dataclass(repr=False)
class ReLU(_Activation):
    """max(x, 0)."""

    functions = (layers.relu_forward, layers.relu_backward)

    def forward(self, x: Array, arrays: Arrays, context: Context) -> tuple[Array, Any]:
        """Return max(x, 0)."""
        out = np.maximum(x, 0)
        return out, out  # positive exactly where x is: so x need not be kept


@dataclass(repr=False)
class LeakyReLU(_Activation):
    """x where it is positive, else slope * x."""

    slope: float = 0.01

    functions = (layers.leaky_relu_forward, layers.leaky_relu_backward)

    def __post_init__(self) -> None:
        if not np.isfinite(self.slope):
            raise ParameterError(f"slope (={self.slope!r}) must be a finite number")

    def forward(self, x: Array, arrays: Arrays, context: Context) -> tuple[Array, Any]:
        """Return x where it is positive, else slope * x."""
        return layers.leaky_relu_forward(x, self.slope)


@dataclass(repr=False)
class Sigmoid(_Activation):
    """1 / (1 + exp(-x))."""

    functions = (layers.sigmoid_forward, layers.sigmoid_backward)


@dataclass(repr=False)
class Tanh(_Activation):
    """tanh(x)."""

    functions = (layers.tanh_forward, layers.tanh_backward)
