"""OperationLayer: a layer that is one operation of :mod:`convkit.api`, or a part of a fused one.

A layer says which arrays and which parameter dictionary it brings; a fused operation takes those of
its layers in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache as remembered
from typing import Any, ClassVar

from convkit import api
from convkit.models import affine
from convkit.models.common import Array
from convkit.models.modules.layer import Arrays, Context, Layer, Needs

__all__ = ["Functions", "OperationLayer", "functions"]


@dataclass(frozen=True)
class Functions:
    """The functions of one operation. ``infer`` is None where there is none."""

    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., Any]
    infer: Callable[..., Array] | None


@remembered
def functions(name: str) -> Functions:
    """Return the functions of an operation of the API, or of the models' affine layers."""
    module = api if hasattr(api, f"{name}_forward") else affine
    return Functions(
        getattr(module, f"{name}_forward"),
        getattr(module, f"{name}_backward"),
        getattr(module, name, None),
    )


class OperationLayer(Layer):
    """A layer computed by ``<operation>_forward`` and ``_backward``.

    ``operands`` are its arrays in the operation's order. ``settings`` are the attributes that its
    parameter dictionary holds, None where it has no dictionary, and ``state`` the buffers in it.
    """

    operation: ClassVar[str]
    operands: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[tuple[str, ...] | None] = None
    state: ClassVar[tuple[str, ...]] = ()

    def parameters(self, training: bool) -> dict[str, Any]:
        """Return the parameter dictionary without its state: the settings that are no defaults."""
        missing = object()
        return {
            name: getattr(self, name)
            for name in self.settings or ()
            if getattr(self, name) != getattr(type(self), name, missing)
        }

    def forward(self, x: Array, arrays: Arrays, context: Context) -> tuple[Array, Any]:
        """Return (out, cache) of the operation."""
        given = self._arguments(arrays, True)
        result = functions(self.operation).forward(x, *given, backend=context.backend)
        if self.state and self.trainable:
            arrays.update({name: given[-1][name] for name in self.state})
        return result

    def infer(self, x: Array, arrays: Arrays, context: Context) -> Array:
        """Return out of the operation, in inference."""
        found, given = functions(self.operation), self._arguments(arrays, False)
        if found.infer is None:
            return found.forward(x, *given, backend=context.backend)[0]
        return found.infer(x, *given, backend=context.backend)

    def _arguments(self, arrays: Arrays, training: bool) -> list[Any]:
        """Return the operands, None for one that the layer does without, and the dictionary."""
        given: list[Any] = [arrays.get(name) for name in self.operands]
        if self.settings is not None:
            state: dict[str, Any] = {name: arrays[name] for name in self.state}
            given.append(self.parameters(training) | state)
        return given

    def backward(self, dout: Array, cache: Any, needs: Needs) -> tuple[Array | None, Arrays]:
        """Return dx and the gradients of the operands."""
        run = functions(self.operation).backward
        if not self.operands:
            return run(dout, cache), {}
        dx, *rest = run(dout, cache, needs=tuple(f"d{name.lower()}" for name in needs))
        return dx, dict(zip(self.operands, rest, strict=True))
