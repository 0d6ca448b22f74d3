"""Convolution, relu and max pooling by a backend that has no fused kernel: its parts in turn.

Looks like a backend's fused methods, so that whoever calls need not know. relu keeps NaN; its
derivative is 1 where its argument is above 0, else 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convkit.errors import BackendCallError, BackendResultError
from convkit.results import no_pair, wrong

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.spec import ConvSpec, PoolSpec


class Composed:
    """The fused pair of methods, made from a backend's separate ones."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    def forward(
        self, spec: ConvSpec, pool: PoolSpec, x: Array, w: Array, b: Array | None
    ) -> tuple[Array, Any]:
        """Return out, and what each part saved."""
        z, conv_saved = self._pair("conv_forward", spec, x, w, b)
        self._check("conv_forward", z, spec, spec.out_shape, (x, w))
        off = ~(z > 0)
        np.maximum(z, 0, out=z)
        out, pool_saved = self._pair("pool_forward", pool, z)
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
        dz = self._call("pool_backward", pool, dout, pool_saved)
        self._check("pool_backward", dz, pool, spec.out_shape, (dout,))
        dz[off] = 0  # not a product: an infinite gradient times 0 would be NaN
        return self._call("conv_backward", spec, dz, x, w, conv_saved, needs)

    def _call(self, method: str, *args: Any) -> Any:
        try:
            return getattr(self.backend, method)(*args)
        except Exception as error:
            raise BackendCallError(
                f"backend {self.backend.name!r} raised {type(error).__name__} in {method} for "
                f"{args[0]}: {error}"
            ) from error

    def _pair(self, method: str, *args: Any) -> tuple[Array, Any]:
        result = self._call(method, *args)
        if type(result) is not tuple or len(result) != 2:
            raise no_pair(self.backend.name, method, result)
        return result

    def _check(
        self, method: str, value: Any, spec: Any, shape: tuple[int, ...], inputs: tuple[Any, ...]
    ) -> None:
        problem = wrong(value, shape, spec.dtype, inputs)
        if problem:
            raise BackendResultError(
                f"backend {self.backend.name!r} returned a wrong result from {method} for {spec}: "
                f"it {problem}"
            )
