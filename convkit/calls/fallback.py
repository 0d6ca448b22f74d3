"""Operations that a backend has no methods for, composed of those that it has.

A fallback looks like the backend's own pair of methods, so that the caller need not know. It
checks what each part returns, because the next part computes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit.calls.results import pair_error, problem_of_result
from convkit.errors import BackendCallError, BackendResultError

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.spec import ConvSpec, PoolSpec


class Fallback:
    """The calls of a backend's own methods, checked. Each operation below derives from it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the backend; what it raises becomes a BackendCallError."""
        try:
            return getattr(self.backend, method)(*args)
        except Exception as error:
            raise BackendCallError(
                f"backend {self.backend.name!r} raised {type(error).__name__} in {method} for "
                f"{args[0]}: {error}"
            ) from error

    def call_pair(self, method: str, *args: Any) -> tuple[Array, Any]:
        """Call a forward method; return its (out, saved)."""
        result = self.call(method, *args)
        if type(result) is not tuple or len(result) != 2:
            raise pair_error(self.backend.name, method, result)
        return result

    def check(
        self, method: str, value: Any, spec: Any, shape: tuple[int, ...], inputs: tuple[Any, ...]
    ) -> None:
        """Raise BackendResultError unless ``value`` is what ``method`` should return."""
        problem = problem_of_result(value, shape, spec.dtype, inputs)
        if problem:
            raise BackendResultError(
                f"backend {self.backend.name!r} returned a wrong result from {method} for {spec}: "
                f"it {problem}"
            )


class ConvReluPool(Fallback):
    """conv_relu_pool of conv and max_pool. relu keeps NaN; its derivative is 0 at 0."""

    def forward(
        self, spec: ConvSpec, pool: PoolSpec, x: Array, w: Array, b: Array | None
    ) -> tuple[Array, Any]:
        """Return out, and what each part saved."""
        z, conv_saved = self.call_pair("conv_forward", spec, x, w, b)
        self.check("conv_forward", z, spec, spec.out_shape, (x, w))
        off = ~(z > 0)
        np.maximum(z, 0, out=z)
        out, pool_saved = self.call_pair("pool_forward", pool, z)
        return out, (conv_saved, off, pool_saved)

    def backward(
        self,
        spec: ConvSpec,
        pool: PoolSpec,
        dout: Array,
        x: Array,
        w: Array,
        saved: Any,
        needs: tuple[str, ...],
    ) -> Any:
        """Return (dx, dw, db)."""
        conv_saved, off, pool_saved = saved
        dz = self.call("pool_backward", pool, dout, pool_saved)
        self.check("pool_backward", dz, pool, spec.out_shape, (dout,))
        dz[off] = 0  # not a product: an infinite gradient times 0 would be NaN
        return self.call("conv_backward", spec, dz, x, w, conv_saved, needs)


FALLBACKS: Mapping[str, Callable[[Any], Any]] = MappingProxyType({"conv_relu_pool": ConvReluPool})
"""How each operation that a backend may lack is composed, by the operation's name."""
