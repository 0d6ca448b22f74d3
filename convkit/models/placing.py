"""From a list of layers to layers in their places: shapes inferred, arrays created and named.

Nothing here computes a layer. What does not fit is refused here, with the layer's name.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from convkit.errors import ParameterError, ShapeError
from convkit.models.common import Array
from convkit.models.modules.layer import Arrays, Layer, Shape, frozen
from convkit.models.modules.norms import Norm
from convkit.models.modules.residual import Element, Residual, projection
from convkit.models.modules.weighted import Weighted

__all__ = ["Branches", "Place", "Placed", "Placing", "Storage", "leaves"]

Names: TypeAlias = tuple[tuple[str, str], ...]  # (the layer's name, the network's)


class Storage(Protocol):
    """Where the arrays are: a network."""

    params: dict[str, Array]
    buffers: dict[str, Array]


@dataclass(frozen=True)
class Place:
    """A layer in its place.

    ``params`` are the names of its trained arrays, ``fixed`` those of a frozen layer's arrays, and
    ``moved`` those of the buffers that training moves.
    """

    layer: Layer
    where: str
    shape: Shape
    out_shape: Shape
    params: Names = ()
    fixed: Names = ()
    moved: Names = ()

    @property
    def title(self) -> str:
        """The place and the layer, for messages."""
        return f"{self.where}, {self.layer!r}"

    @property
    def names(self) -> Names:
        """The names of all its arrays, as the layer made them."""
        return self.params + self.fixed + self.moved

    def arrays(self, storage: Storage) -> Arrays:
        """Return the layer's arrays by its own names."""
        found = {own: storage.params[name] for own, name in self.params}
        for own, name in self.fixed + self.moved:
            found[own] = storage.buffers[name]
        return found

    def keep(self, arrays: Arrays, storage: Storage) -> None:
        """Put the moved buffers back."""
        for own, name in self.moved:
            storage.buffers[name] = arrays[own]


@dataclass(frozen=True)
class Branches:
    """A Residual in its place."""

    layer: Residual
    where: str
    shape: Shape
    out_shape: Shape
    main: tuple[Placed, ...]
    shortcut: tuple[Placed, ...]


Placed: TypeAlias = Place | Branches


def leaves(chain: Sequence[Placed]) -> Iterator[Place]:
    """Yield every layer in the order in which they are created: a main path before its shortcut."""
    for placed in chain:
        if isinstance(placed, Branches):
            yield from leaves(placed.main)
            yield from leaves(placed.shortcut)
        else:
            yield placed


class Placing:
    """Places layers one after the other; ``params`` and ``buffers`` fill up."""

    def __init__(self, dtype: np.dtype[Any], rng: np.random.Generator) -> None:
        self.dtype, self.rng = dtype, rng
        self.params: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self._highest = 0
        self._number: int | None = None  # that of the layer before, where it has one

    def chain(
        self, layers: Sequence[Element], shape: Shape, where: str, trainable: bool = True
    ) -> tuple[tuple[Placed, ...], Shape]:
        """Place layers for an input shape; return them and their output's shape."""
        chain: list[Placed] = []
        for i, layer in enumerate(layers):
            placed: Placed
            if isinstance(layer, Residual):
                placed = self._residual(layer, shape, f"{where}[{i}]", trainable)
            elif isinstance(layer, Layer):
                following = layers[i + 1] if i + 1 < len(layers) else None
                layer = _with_bias_decided(layer, following)
                layer = layer if trainable else frozen(layer)
                placed = self._layer(layer, shape, f"{where}[{i}]")
            else:
                raise ParameterError(f"{where}[{i}] (={layer!r}) must be a Layer or a Residual")
            shape = placed.out_shape
            chain.append(placed)
        return tuple(chain), shape

    def _layer(self, layer: Layer, shape: Shape, where: str) -> Place:
        with _named(f"{where}, {layer!r}, for an input of shape {shape}"):
            out_shape = layer.output_shape(shape)
            created = dict(layer.create(shape, self.rng))
            state = dict(layer.create_buffers(shape))
            number = self._next_number([*created, *state])
            params = self._add(created, number, trained=layer.trainable)
            moved = self._add(state, number, trained=False)
        if layer.trainable:
            return Place(layer, where, shape, out_shape, params=params, moved=moved)
        return Place(layer, where, shape, out_shape, fixed=params + moved)

    def _residual(self, layer: Residual, shape: Shape, where: str, trainable: bool) -> Branches:
        trainable = trainable and layer.trainable
        main, out_shape = self.chain(layer.layers, shape, f"{where}.layers", trainable)
        self._number = None
        side = layer.shortcut
        with _named(f"{where}, Residual, for an input of shape {shape}"):
            side = projection(layer, shape, out_shape) if side is None else side
        shortcut, reached = self.chain(side, shape, f"{where}.shortcut", trainable)
        if reached != out_shape:
            raise ShapeError(
                f"{where}, Residual, for an input of shape {shape}: layers lead to {out_shape} and "
                f"shortcut to {reached}; they must agree"
            )
        self._number = None
        return Branches(layer, where, shape, out_shape, main, shortcut)

    def _next_number(self, names: Sequence[str]) -> int:
        """Return the number of a layer's arrays: see :meth:`Layer.create`."""
        if not names:
            return 0
        number = self._number
        shared = number is not None and "W" not in names
        if not shared or any(self._taken(f"{name}{number}") for name in names):
            self._highest += 1
            number = self._highest
        self._number = number
        assert number is not None
        return number

    def _taken(self, name: str) -> bool:
        return name in self.params or name in self.buffers

    def _add(self, arrays: Mapping[str, Any], number: int, *, trained: bool) -> Names:
        names = []
        for own, value in arrays.items():
            name = f"{own}{number}"
            if not own or "/" in own or self._taken(name):
                raise ParameterError(
                    f"the array's name (={own!r}) must have no / and, with its number "
                    f"(={number}), differ from every other one"
                )
            array = np.array(value)
            if trained or array.dtype.kind == "f":
                array = array.astype(self.dtype)
            (self.params if trained else self.buffers)[name] = array
            names.append((own, name))
        return tuple(names)


def _with_bias_decided(layer: Layer, following: Element | None) -> Layer:
    """Return the layer, without a bias where it left that open and a normalisation follows."""
    if not isinstance(layer, Weighted) or layer.bias is not None or not isinstance(following, Norm):
        return layer
    decided = copy.copy(layer)
    decided.bias = False
    return decided


@contextmanager
def _named(title: str) -> Iterator[None]:
    """Put a title before the message of an error."""
    try:
        yield
    except (ShapeError, ParameterError) as error:
        raise type(error)(f"{title}: {error}") from error
