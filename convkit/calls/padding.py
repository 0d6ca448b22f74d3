"""Convolutions whose padding copies pixels, for backends that pad with zeros alone.

x is padded first, the backend computes without padding, and dx is folded back: each pixel sums what
its copies received. Any operation that begins with a convolution goes this way. Nothing here knows
which backend computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convkit.calls.plan import Methods
from convkit.calls.results import problem_of_result
from convkit.errors import BackendResultError
from convkit.operations import Operation
from convkit.registry import Record

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.spec import ConvSpec

_NUMPY = {"circular": "wrap"}
"""The pad modes whose name in NumPy is another one."""


class Padded:
    """The methods of one problem, around those of the problem whose x is padded already.

    ``specs`` are the problem's, ``inner`` those that ``methods`` are given; x is the first input.
    What those return is checked where this computes with it. Anything else goes on as it is, for
    the caller checks it.
    """

    def __init__(
        self,
        operation: Operation,
        specs: tuple[Any, ...],
        inner: tuple[Any, ...],
        record: Record,
        methods: Methods,
    ) -> None:
        self.operation = operation
        self.gradients = operation.returned(specs)
        self.spec: ConvSpec = specs[0]
        self.inner = operation.slots(inner)
        self.out_shape = inner[-1].out_shape
        self.record = record
        self.own = methods

    def methods(self) -> Methods:
        """Return the methods; inference where the backend has it."""
        infer = None if self.own.infer is None else self.infer
        return Methods(self.forward, infer, self.backward)

    def forward(self, *args: Any) -> Any:
        """Return what the backend's forward does, and saved with the padded x."""
        x, *others = args[len(self.inner) :]
        grown = pad(self.spec, x)
        result = self.own.forward(*self.inner, grown, *others)
        if type(result) is not tuple or len(result) < 2:
            return result
        out, saved, *statistics = result
        self._check("forward", out, self.out_shape, (grown,))
        return out, (grown, saved), *statistics

    def infer(self, *args: Any) -> Any:
        """Return out."""
        x, *others = args[len(self.inner) :]
        grown = pad(self.spec, x)
        assert self.own.infer is not None
        out = self.own.infer(*self.inner, grown, *others)
        self._check("infer", out, self.out_shape, (grown,))
        return out

    def backward(self, *args: Any) -> Any:
        """Return the gradients, dx folded back to the shape of x."""
        dout, _, *kept = args[len(self.inner) : -2]
        (grown, saved), needs = args[-2:]
        result = self.own.backward(*self.inner, dout, grown, *kept, saved, needs)
        if "dx" not in needs or type(result) is not tuple or len(result) != len(self.gradients):
            return result
        at = self.gradients.index("dx")
        self._check("backward", result[at], self.inner[0].x_shape, (dout, grown, *kept))
        return (*result[:at], fold(self.spec, result[at]), *result[at + 1 :])

    def _check(
        self, step: Any, value: Any, shape: tuple[int, ...], inputs: tuple[Any, ...]
    ) -> None:
        problem = problem_of_result(value, shape, self.spec.dtype, inputs)
        if problem:
            method = self.operation.method(step)
            raise BackendResultError(
                f"backend {self.record.name!r} returned a wrong result from {method} for "
                f"{' + '.join(str(spec) for spec in self.inner if spec is not None)}: it {problem}"
            )


def pad(spec: ConvSpec, x: Array) -> Array:
    """Return x with its padding, copies of its own pixels."""
    pairs = ((0, 0), (0, 0), *spec.pad)
    mode: Any = _NUMPY.get(spec.pad_mode, spec.pad_mode)
    return np.pad(x, pairs, mode=mode)


def fold(spec: ConvSpec, grown: Array) -> Array:
    """Return dx, given that of the padded x, which is written to: the adjoint of `pad`.

    One axis after the other, so that a corner reaches its pixel by way of an edge.
    """
    for axis, sources in enumerate(spec.sources):
        planes = np.moveaxis(grown, 2 + axis, 0)
        begin, size = spec.pad[axis][0], spec.x_shape[2 + axis]
        with np.errstate(all="ignore"):  # infinities of both signs
            for place, source in enumerate(sources):
                if not begin <= place < begin + size:
                    planes[begin + source] += planes[place]
    pairs = zip(spec.pad, spec.x_shape[2:], strict=True)
    inside = (slice(begin, begin + size) for (begin, _), size in pairs)
    return grown[:, :, *inside].copy()
