"""Operations that a backend has no methods for, composed of those that it has.

A fallback looks like the backend's own pair of methods, so that the caller need not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit.calls.composing import Fallback
from convkit.calls.conv_bn import ConvBnRelu
from convkit.calls.norms import Norm
from convkit.calls.results import gradients_error

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.spec import ConvSpec, ConvTransposeSpec, PoolSpec


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


class ConvRelu(Fallback):
    """conv_relu of conv. relu keeps NaN; its derivative is 0 at 0."""

    def forward(self, spec: ConvSpec, x: Array, w: Array, b: Array | None) -> tuple[Array, Any]:
        """Return out, what the convolution saved, and where relu is off."""
        z, conv_saved = self.call_pair("conv_forward", spec, x, w, b)
        self.check("conv_forward", z, spec, spec.out_shape, (x, w))
        off = ~(z > 0)
        np.maximum(z, 0, out=z)
        return z, (conv_saved, off)

    def infer(self, spec: ConvSpec, x: Array, w: Array, b: Array | None) -> Array:
        """Return out."""
        if getattr(self.backend, "conv_infer", None) is None:
            return self.forward(spec, x, w, b)[0]
        z: Array = self.call("conv_infer", spec, x, w, b)
        self.check("conv_infer", z, spec, spec.out_shape, (x, w))
        return np.maximum(z, 0, out=z)

    def backward(
        self, spec: ConvSpec, dout: Array, x: Array, w: Array, saved: Any, needs: tuple[str, ...]
    ) -> Any:
        """Return (dx, dw, db)."""
        conv_saved, off = saved
        dz = dout.copy()
        dz[off] = 0  # not a product: an infinite gradient times 0 would be NaN
        return self.call("conv_backward", spec, dz, x, w, conv_saved, needs)


class ConvTranspose(Fallback):
    """conv_transpose by the gradients of the convolution whose adjoint it is.

    <conv(y, w), x> = <y, conv_transpose(x, w)>: forward is that convolution's dx for x in dout's
    place, dx its forward, and dw its dw with the roles of the two arrays exchanged. What the
    convolution saves for backward comes from a forward call of its own each time, for only the
    backend knows what it is.
    """

    def forward(
        self, spec: ConvTransposeSpec, x: Array, w: Array, b: Array | None
    ) -> tuple[Array, None]:
        """Return out; nothing is saved."""
        return self.infer(spec, x, w, b), None

    def infer(self, spec: ConvTransposeSpec, x: Array, w: Array, b: Array | None) -> Array:
        """Return out."""
        conv = spec.adjoint
        zeros = np.zeros(conv.x_shape, spec.dtype)
        _, saved = self._conv(conv, zeros, w)
        out = spec.placed(self._gradient("dx", conv, x, zeros, w, saved))
        if b is not None:
            out += b.reshape(-1, *(1,) * spec.axes)
        return out

    def backward(
        self,
        spec: ConvTransposeSpec,
        dout: Array,
        x: Array,
        w: Array,
        saved: None,
        needs: tuple[str, ...],
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Return (dx, dw, db)."""
        conv = spec.adjoint
        dx = dw = db = None
        if "dx" in needs or "dw" in needs:
            inner = spec.cropped(dout)
            dx, conv_saved = self._conv(conv, inner, w)
            if "dw" in needs:
                dw = self._gradient("dw", conv, x, inner, w, conv_saved)
            if not spec.meets:
                dx, dw = np.zeros_like(dx), np.zeros_like(w)
        if "db" in needs:
            axes = (0, *range(2, dout.ndim))
            db = dout.sum(axis=axes, dtype=np.float64).astype(spec.dtype)
        return dx, dw, db

    def _conv(self, conv: ConvSpec, y: Array, w: Array) -> tuple[Array, Any]:
        out, saved = self.call_pair("conv_forward", conv, y, w, None)
        self.check("conv_forward", out, conv, conv.out_shape, (y, w))
        return out, saved

    def _gradient(
        self, name: str, conv: ConvSpec, dout: Array, y: Array, w: Array, saved: Any
    ) -> Array:
        result = self.call("conv_backward", conv, dout, y, w, saved, (name,))
        if type(result) is not tuple or len(result) != 3:
            raise gradients_error(self.backend.name, "conv_backward", ("dx", "dw", "db"), result)
        value: Array = result[("dx", "dw").index(name)]
        shape = conv.x_shape if name == "dx" else conv.w_shape
        self.check("conv_backward", value, conv, shape, (dout, y, w))
        return value


FALLBACKS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "conv_relu_pool": ConvReluPool,
        "conv_relu": ConvRelu,
        "conv_transpose": ConvTranspose,
        "batch_norm": Norm,
        "group_norm": Norm,
        "conv_bn_relu": ConvBnRelu,
    }
)
"""How each operation that a backend may lack is composed, by the operation's name."""
