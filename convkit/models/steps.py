"""Steps, which a network runs one after the other: a layer, a fused operation, a Residual.

A chain of steps keeps the caches of a training call on a tape, and drops each as soon as backward
has used it. What no gradient is wanted of is not differentiated: the first layer's input, and
everything before the first trained layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from convkit.errors import ConvkitError, DtypeError, ShapeError
from convkit.models.common import Array
from convkit.models.modules.layer import Arrays, Context
from convkit.models.modules.operation import OperationLayer, functions
from convkit.models.placing import Place, Storage

__all__ = ["AddStep", "Chain", "LayerStep", "OperationStep", "ResidualStep", "Step"]

Tape: TypeAlias = list[Any]


class LayerStep:
    """One layer by itself. What it returns is checked, for it may be a user's own."""

    fresh = False  # whether dx is a new array, which may be written to

    def __init__(self, place: Place, upstream: bool) -> None:
        self.place = place
        self.active = upstream or bool(place.params)
        self.needs = (*(("x",) if upstream else ()), *(own for own, _ in place.params))

    def forward(self, x: Array, storage: Storage, context: Context) -> tuple[Array, Any]:
        """Return (out, cache) in training."""
        arrays = self.place.arrays(storage)
        out, cache = self.place.layer.forward(x, arrays, context)
        self._check("forward", out, (len(x), *self.place.out_shape), x.dtype)
        self.place.keep(arrays, storage)
        return out, (cache, x.shape, x.dtype)

    def infer(self, x: Array, storage: Storage, context: Context) -> Array:
        """Return out in inference."""
        out = self.place.layer.infer(x, self.place.arrays(storage), context)
        self._check("infer", out, (len(x), *self.place.out_shape), x.dtype)
        return out

    def backward(self, dout: Array, cache: Any, grads: Arrays) -> Array | None:
        """Return dx, and add the parameters' gradients to ``grads``."""
        own_cache, shape, dtype = cache
        dx, found = self.place.layer.backward(dout, own_cache, self.needs)
        for own, name in self.place.params:
            if own not in found:
                raise ConvkitError(
                    f"{self.place.title}: backward must return a gradient for {own!r}, found "
                    f"{sorted(found)}"
                )
            grads[name] = found[own]
        if "x" in self.needs:
            self._check("backward", dx, shape, dtype)
        return dx

    def _check(self, method: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if getattr(value, "shape", None) != shape:
            found = getattr(value, "shape", type(value).__name__)
            raise ShapeError(
                f"{self.place.title}: {method} must return an array of shape {shape}, found {found}"
            )
        if value.dtype != dtype:
            raise DtypeError(f"{self.place.title}: {method} must return {dtype}, not {value.dtype}")


class OperationStep:
    """Layers that are one operation; with ``residual`` it also adds the shortcut's output.

    Which arrays it takes and which gradients it asks for is worked out once: a network of small
    layers spends a third of its time outside the backend.
    """

    fresh = True

    def __init__(
        self,
        operation: str,
        places: Sequence[Place],
        upstream: bool,
        keywords: Mapping[str, Any] = MappingProxyType({}),
        *,
        residual: bool = False,
        residual_wanted: bool = False,
    ) -> None:
        self.operation, self.keywords = operation, dict(keywords)
        self.operands: list[tuple[bool, str | None]] = []  # whether it is trained, its name
        self.dictionaries: dict[bool, list[dict[str, Any]]] = {True: [], False: []}  # in training?
        self.states: list[tuple[int, Place, dict[str, str]]] = []  # which dictionary, whose, names
        self.gradients: list[tuple[int, str]] = []  # the place in backward's tuple, the name
        needs = ["dx"] if upstream else []
        for place in places:
            layer = place.layer
            if not isinstance(layer, OperationLayer):
                continue  # relu brings nothing
            trained, fixed = dict(place.params), dict(place.fixed)
            for own in layer.operands:
                if own in trained:
                    needs.append(f"d{own.lower()}")
                    self.gradients.append((len(self.operands) + 1, trained[own]))
                name = trained.get(own, fixed.get(own))
                self.operands.append((own in trained, name))
            if layer.state:
                names = dict(place.moved or place.fixed)
                state = {own: names[own] for own in layer.state}
                self.states.append((len(self.dictionaries[True]), place, state))
            if layer.settings is not None:
                for training, dictionaries in self.dictionaries.items():
                    dictionaries.append(layer.parameters(training))
        needs += ["dresidual"] if residual_wanted else []
        self.needs = tuple(needs)
        self.only_dx = not self.operands and not residual  # backward is that of a pool
        self.residual_wanted = residual_wanted
        self.active = bool(needs)

    def forward(
        self, x: Array, storage: Storage, context: Context, residual: Array | None = None
    ) -> tuple[Array, Any]:
        """Return (out, cache) in training."""
        keywords = self.keywords if residual is None else {**self.keywords, "residual": residual}
        dictionaries = self._with_state(storage, True)
        result = functions(self.operation).forward(
            x, *self._arrays(storage), *dictionaries, backend=context.backend, **keywords
        )
        for i, place, _ in self.states:
            for own, name in place.moved:
                storage.buffers[name] = dictionaries[i][own]
        return result

    def infer(
        self, x: Array, storage: Storage, context: Context, residual: Array | None = None
    ) -> Array:
        """Return out in inference."""
        keywords = self.keywords if residual is None else {**self.keywords, "residual": residual}
        arguments = (x, *self._arrays(storage), *self._with_state(storage, False))
        found = functions(self.operation)
        if found.infer is None:
            return found.forward(*arguments, backend=context.backend, **keywords)[0]
        return found.infer(*arguments, backend=context.backend, **keywords)

    def _arrays(self, storage: Storage) -> list[Array | None]:
        params, buffers = storage.params, storage.buffers
        return [
            None if name is None else params[name] if trained else buffers[name]
            for trained, name in self.operands
        ]

    def _with_state(self, storage: Storage, training: bool) -> list[dict[str, Any]]:
        """Return the parameter dictionaries, new ones where running statistics are in them."""
        if not self.states:
            return self.dictionaries[training]
        found = list(self.dictionaries[training])
        for i, _, names in self.states:
            found[i] = found[i] | {own: storage.buffers[name] for own, name in names.items()}
        return found

    def backward(self, dout: Array, cache: Any, grads: Arrays) -> Array | None:
        """Return dx, and add the parameters' gradients to ``grads``."""
        return self.backward_joined(dout, cache, grads)[0]

    def backward_joined(
        self, dout: Array, cache: Any, grads: Arrays
    ) -> tuple[Array | None, Array | None]:
        """Return (dx, dresidual), each None where it is not wanted."""
        run = functions(self.operation).backward
        if self.only_dx:
            return run(dout, cache), None
        found = run(dout, cache, needs=self.needs)
        for i, name in self.gradients:
            grads[name] = found[i]
        return found[0], found[-1] if self.residual_wanted else None


class AddStep:
    """The sum of a Residual's two paths, where no operation adds it."""

    fresh = False
    active = True

    def forward(
        self, x: Array, storage: Storage, context: Context, residual: Array
    ) -> tuple[Array, Any]:
        """Return (x + residual, no cache)."""
        return x + residual, None

    def infer(self, x: Array, storage: Storage, context: Context, residual: Array) -> Array:
        """Return x + residual."""
        return x + residual

    def backward_joined(self, dout: Array, cache: Any, grads: Arrays) -> tuple[Array, Array]:
        """Return dout for each path."""
        return dout, dout


class ResidualStep:
    """A Residual: the steps before the sum, the shortcut's, the one that adds, those after."""

    fresh = True

    def __init__(
        self,
        before: Chain,
        shortcut: Chain,
        join: OperationStep | AddStep,
        after: Chain,
        upstream: bool,
    ) -> None:
        self.before, self.shortcut, self.join, self.after = before, shortcut, join, after
        self.upstream = upstream
        own = isinstance(join, OperationStep) and bool(join.gradients)
        self.active: bool = upstream or before.active or shortcut.active or own

    def forward(self, x: Array, storage: Storage, context: Context) -> tuple[Array, Any]:
        """Return (out, cache) in training."""
        out, tape = self.before.forward(x, storage, context)
        side, side_tape = self.shortcut.forward(x, storage, context)
        out, cache = self.join.forward(out, storage, context, side)
        out, after_tape = self.after.forward(out, storage, context)
        return out, [tape, side_tape, cache, after_tape]

    def infer(self, x: Array, storage: Storage, context: Context) -> Array:
        """Return out in inference."""
        out = self.before.infer(x, storage, context)
        side = self.shortcut.infer(x, storage, context)
        out = self.join.infer(out, storage, context, side)
        return self.after.infer(out, storage, context)

    def backward(self, dout: Array, cache: Any, grads: Arrays) -> Array | None:
        """Return dx, the sum of both paths', and add the parameters' gradients to ``grads``."""
        tape, side_tape, join_cache, after_tape = cache
        cache.clear()
        dsum = self.after.backward(dout, after_tape, grads)
        assert dsum is not None  # what follows the sum has no parameters of its own
        dmain, dside = self.join.backward_joined(dsum, join_cache, grads)
        del join_cache
        if dside is not None:
            dside = self.shortcut.backward(dside, side_tape, grads)
        if dmain is not None:
            dmain = self.before.backward(dmain, tape, grads)
        if not self.upstream:
            return None
        assert dmain is not None
        assert dside is not None
        return np.add(dmain, dside, out=dmain if self.before.fresh else None)


Step: TypeAlias = LayerStep | OperationStep | ResidualStep


class Chain:
    """Steps one after the other."""

    def __init__(self, steps: Sequence[Step], upstream: bool) -> None:
        self.steps = tuple(steps)
        self.active: bool = upstream or any(step.active for step in steps)
        self.fresh = bool(steps) and steps[0].fresh

    def forward(self, x: Array, storage: Storage, context: Context) -> tuple[Array, Tape]:
        """Return (out, tape) in training."""
        tape: Tape = []
        for step in self.steps:
            x, cache = step.forward(x, storage, context)
            tape.append(cache if step.active else None)
        return x, tape

    def infer(self, x: Array, storage: Storage, context: Context) -> Array:
        """Return out in inference."""
        for step in self.steps:
            x = step.infer(x, storage, context)
        return x

    def backward(self, dout: Array, tape: Tape, grads: Arrays) -> Array | None:
        """Return dx, or None where none is wanted; the tape is used up."""
        gradient: Array | None = dout
        for step in reversed(self.steps):
            cache = tape.pop()
            if not step.active or gradient is None:
                return None
            gradient = step.backward(gradient, cache, grads)
        return gradient
