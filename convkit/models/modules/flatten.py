"""Flatten: each example as a vector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from convkit.models.common import Array
from convkit.models.modules.layer import Arrays, Context, Layer, Needs, Shape

__all__ = ["Flatten"]


@dataclass(repr=False)
class Flatten(Layer):
    """Each example as a vector. An Affine layer does it by itself."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return (D,)."""
        return (math.prod(shape),)

    def forward(self, x: Array, arrays: Arrays, context: Context) -> tuple[Array, Any]:
        """Return x as (N, D), without a copy."""
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape

    def backward(self, dout: Array, cache: Any, needs: Needs) -> tuple[Array | None, Arrays]:
        """Return dout in x's shape."""
        return dout.reshape(cache), {}
