"""Residual: layers beside a shortcut, and the sum of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from convkit.errors import ShapeError
from convkit.models.modules.layer import Described, Layer, Shape
from convkit.models.modules.norms import BatchNorm, Norm
from convkit.models.modules.weighted import Conv

__all__ = ["Element", "Residual", "projection"]


@dataclass(repr=False)
class Residual(Described):
    """relu(layers(x) + shortcut(x)) (He et al., 2016).

    Parameters
    ----------
    layers:
        The layers of the main path.
    shortcut:
        The layers of the other one; none (``[]``): x itself. None: x itself where the main path
        keeps its shape, else a 1x1 convolution with a stride and a normalisation, which is like the
        last one in ``layers`` (a BatchNorm where there is none).
    relu:
        Whether relu follows the sum.
    trainable:
        False freezes all layers inside.
    """

    layers: Sequence[Element]
    shortcut: Sequence[Element] | None = None
    relu: bool = True

    def __post_init__(self) -> None:
        self.layers = tuple(self.layers)
        self.shortcut = None if self.shortcut is None else tuple(self.shortcut)


Element: TypeAlias = Layer | Residual


def projection(residual: Residual, shape: Shape, out_shape: Shape) -> tuple[Layer, ...]:
    """Return the layers of the default shortcut between two shapes (C, spatial axes ...).

    Raises ShapeError where no 1x1 convolution leads from one to the other.
    """
    if shape == out_shape:
        return ()
    sizes = list(zip(shape[1:], out_shape[1:], strict=False))
    strides = tuple(-(-size // max(out, 1)) for size, out in sizes)
    reached = [
        -(-size // stride) == out for (size, out), stride in zip(sizes, strides, strict=True)
    ]
    if len(shape) < 2 or len(shape) != len(out_shape) or not all(reached):
        raise ShapeError(
            f"layers lead from {shape} to {out_shape}, which no 1x1 convolution with a stride "
            "does; give shortcut="
        )
    norms = [layer for layer in residual.layers if isinstance(layer, Norm)]
    return (
        Conv(out_shape[0], 1, strides, bias=False),
        norms[-1] if norms else BatchNorm(),
    )
