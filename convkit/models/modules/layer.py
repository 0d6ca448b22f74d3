"""Layer: what a network asks of each of its layers. To write one's own, derive from it.

A layer is a description: it has settings and no arrays, so one object may stand in a network
several times, or in several networks. The arrays belong to the network, which hands each call those
of the layer, by the layer's own names for them ("W", "b").
"""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from convkit.models.common import Array

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = [
    "Arrays",
    "Context",
    "Described",
    "Layer",
    "Needs",
    "Shape",
    "arguments",
    "frozen",
    "written",
]

Shape: TypeAlias = tuple[int, ...]
Arrays: TypeAlias = dict[str, Array]
Needs: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a layer may use in a call beside its arrays: the network's backend and generator."""

    backend: Choice | None
    rng: np.random.Generator


@dataclass(repr=False)
class Described:
    """Something with settings, which are its constructor's arguments."""

    trainable: bool = field(default=True, kw_only=True)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name: from them comes an equal one."""
        return arguments(self)

    def __repr__(self) -> str:
        return written(self, self.config())


DescribedT = TypeVar("DescribedT", bound=Described)


@dataclass(repr=False)
class Layer(Described, ABC):
    """One layer. A subclass overrides what differs from a layer that has no arrays.

    Shapes are those of one example, without N. Settings are constructor arguments that are kept as
    attributes of the same names: a dataclass is the shortest way (``@dataclass(repr=False)`` keeps
    the short repr). Where the network is to be saved they are numbers, strings, None or tuples of
    them. They must not change once a network has been made of the layer.

    Parameters
    ----------
    trainable:
        False freezes the layer: its parameters lie in the network's ``buffers``, get no gradients,
        and its own buffers stay as they are.
    """

    def output_shape(self, shape: Shape) -> Shape:
        """Return the output's shape for an input shape. Raise ShapeError where it does not fit."""
        return shape

    def create(self, shape: Shape, rng: np.random.Generator) -> Mapping[str, Array]:
        """Return the parameters for an input shape, by name; the network casts them to its dtype.

        A layer with a parameter "W" gets a number of its own; another one with parameters shares
        the number of the layer before it, as a normalisation does. ``reg`` applies to "W" alone.
        """
        return {}

    def create_buffers(self, shape: Shape) -> Mapping[str, Array]:
        """Return the arrays that forward moves and that are not trained, by name."""
        return {}

    @abstractmethod
    def forward(self, x: Array, arrays: Arrays, context: Context) -> tuple[Array, Any]:
        """Return (out, cache) in training, for x (N, ...); ``cache`` is what backward needs.

        ``arrays`` holds parameters and buffers by name. To move a buffer, put a new array into it.
        Never write into an array.
        """

    @abstractmethod
    def backward(self, dout: Array, cache: Any, needs: Needs) -> tuple[Array | None, Arrays]:
        """Return (dx, the gradients of the parameters by name), for dout of out's shape.

        ``needs`` names what is wanted: "x" and parameters. More may be returned; dx may be None
        where it is not wanted.
        """

    def infer(self, x: Array, arrays: Arrays, context: Context) -> Array:
        """Return out in inference. By default forward's; override it where inference differs."""
        return self.forward(x, arrays, context)[0]

    def multiply_adds(self, shape: Shape) -> int:
        """Return the multiply-adds of one example of an input shape, for the summary."""
        return 0


def arguments(thing: Any, **known: Any) -> dict[str, Any]:
    """Return the constructor's arguments by name, from the attributes of the same names.

    ``known`` are those that have no such attribute.
    """
    found = {}
    for name, parameter in inspect.signature(type(thing)).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in known:
            found[name] = known[name]
            continue
        if not hasattr(thing, name):
            raise TypeError(
                f"{type(thing).__name__} must keep its argument {name!r} as an attribute of that "
                "name, or define config()"
            )
        found[name] = getattr(thing, name)
    return found


def written(thing: Any, values: Mapping[str, Any]) -> str:
    """Return the constructor's call with what differs from the defaults, required ones unnamed."""
    parameters = inspect.signature(type(thing)).parameters
    parts = []
    unnamed = True
    for name, value in values.items():
        default = parameters[name].default if name in parameters else inspect.Parameter.empty
        required = default is inspect.Parameter.empty
        unnamed = unnamed and required and parameters[name].kind != inspect.Parameter.KEYWORD_ONLY
        if not required and _same(value, default):
            continue
        text = getattr(value, "__name__", None) if callable(value) else repr(value)
        parts.append(str(text) if unnamed else f"{name}={text}")
    return f"{type(thing).__name__}({', '.join(parts)})"


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))


def frozen(described: DescribedT) -> DescribedT:
    """Return a copy of a layer or a Residual that is not trained."""
    other = copy.copy(described)
    other.trainable = False
    return other
