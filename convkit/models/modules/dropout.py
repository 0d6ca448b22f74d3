"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from convkit import layers
from convkit.errors import ParameterError
from convkit.models.common import Array
from convkit.models.modules.layer import Arrays, Context, Layer, Needs

__all__ = ["Dropout"]


@dataclass(repr=False)
class Dropout(Layer):
    """In training, keep each number with probability ``keep`` and divide it by that.

    Parameters
    ----------
    keep:
        The share that is kept, greater than 0 and at most 1, as in the course. (PyTorch's argument
        is the share that is dropped, so this one is given by name only.)
    seed:
        Makes every call draw the same mask, as a gradient check needs; None: the network's ``rng``
        draws a new one.
    """

    keep: float = field(kw_only=True)
    seed: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.keep, (int, float)) or not 0 < self.keep <= 1:
            raise ParameterError(f"keep (={self.keep!r}) must be greater than 0 and at most 1")

    def forward(self, x: Array, arrays: Arrays, context: Context) -> tuple[Array, Any]:
        """Return x with some numbers set to 0."""
        param = {"mode": "train", "p": self.keep, "rng": context.rng, "seed": self.seed}
        return layers.dropout_forward(x, param)

    def infer(self, x: Array, arrays: Arrays, context: Context) -> Array:
        """Return x as it is."""
        return x

    def backward(self, dout: Array, cache: Any, needs: Needs) -> tuple[Array | None, Arrays]:
        """Return dout where x was kept, divided by ``keep``."""
        return layers.dropout_backward(dout, cache), {}
