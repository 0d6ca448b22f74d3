"""conv_bn_relu of a backend's convolution, batch normalisation and maximum pool.

Where the backend has no batch normalisation, or declines it, NumPy computes it
(:mod:`convkit.calls.norms`). The convolution's result is kept for backward, as the normalisation's
own input is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convkit.calls.composing import Fallback
from convkit.calls.norms import Norm
from convkit.calls.results import gradients_error, pair_error

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.spec import ConvSpec, NormSpec, PoolSpec

CONV, NORM = ("dx", "dw", "db"), ("dx", "dgamma", "dbeta", "dresidual")


class ConvBnRelu(Fallback):
    """The norm's spec says whether it adds a residual and ends in relu; ``pool`` may be None."""

    def forward(
        self, conv: ConvSpec, norm: NormSpec, pool: PoolSpec | None, x: Array, w: Array, *rest: Any
    ) -> Any:
        """Return (out, saved), and in training also mean and variance."""
        b, *arrays = rest
        z, conv_saved = self.call_pair("conv_forward", conv, x, w, b)
        self.check("conv_forward", z, conv, conv.out_shape, (x, w))
        out, norm_saved, *statistics = self._normalised(norm, z, *arrays)
        pool_saved = None
        if pool is not None:
            out, pool_saved = self.call_pair("pool_forward", pool, out)
        return out, (conv_saved, z, norm_saved, pool_saved), *statistics

    def infer(
        self, conv: ConvSpec, norm: NormSpec, pool: PoolSpec | None, x: Array, w: Array, *rest: Any
    ) -> Array:
        """Return out."""
        if norm.training or getattr(self.backend, "conv_infer", None) is None:
            found: Array = self.forward(conv, norm, pool, x, w, *rest)[0]
            return found
        b, *arrays = rest
        z = self.call("conv_infer", conv, x, w, b)
        self.check("conv_infer", z, conv, conv.out_shape, (x, w))
        out: Array = self._normalised(norm, z, *arrays)[0]
        return out if pool is None else self._pooled(pool, out)

    def _pooled(self, pool: PoolSpec, y: Array) -> Array:
        if getattr(self.backend, "pool_infer", None) is None:
            return self.call_pair("pool_forward", pool, y)[0]
        out: Array = self.call("pool_infer", pool, y)
        return out

    def _own_norm(self, norm: NormSpec) -> bool:
        own = getattr(self.backend, "batch_norm_forward", None) is not None
        return own and self.call("supports", norm) is None

    def _normalised(self, norm: NormSpec, z: Array, *arrays: Any) -> Any:
        """Return (out, saved) of the normalisation, and its statistics."""
        if not self._own_norm(norm):
            return Norm(self.backend).forward(norm, z, *arrays)
        result = self.call("batch_norm_forward", norm, z, *arrays)
        names = ("mean", "var") if norm.training else ()
        if type(result) is not tuple or len(result) != 2 + len(names):
            raise pair_error(self.backend.name, "batch_norm_forward", result, names)
        self.check("batch_norm_forward", result[0], norm, norm.out_shape, (z, *arrays))
        return result

    def backward(
        self,
        conv: ConvSpec,
        norm: NormSpec,
        pool: PoolSpec | None,
        dout: Array,
        x: Array,
        w: Array,
        gamma: Array,
        beta: Array,
        saved: Any,
        needs: tuple[str, ...],
    ) -> tuple[Array | None, ...]:
        """Return (dx, dw, db, dgamma, dbeta), and dresidual where one was added."""
        conv_saved, z, norm_saved, pool_saved = saved
        if pool is not None:
            dout = self.call("pool_backward", pool, dout, pool_saved)
            self.check("pool_backward", dout, pool, norm.out_shape, ())
        of_conv = tuple(name for name in CONV if name in needs)
        of_norm = (*(("dx",) if of_conv else ()), *(name for name in NORM[1:] if name in needs))
        dz, *others = self._norm_gradients(norm, dout, z, gamma, beta, norm_saved, of_norm)
        if not of_conv:
            return None, None, None, *others
        found = self.call("conv_backward", conv, dz, x, w, conv_saved, of_conv)
        if type(found) is not tuple or len(found) != len(CONV):
            raise gradients_error(self.backend.name, "conv_backward", CONV, found)
        return *found, *others

    def _norm_gradients(
        self,
        norm: NormSpec,
        dout: Array,
        z: Array,
        gamma: Array,
        beta: Array,
        saved: Any,
        needs: Any,
    ) -> Any:
        """Return (dz, dgamma, dbeta), and dresidual where one was added."""
        args = (norm, dout, z, gamma, beta, saved, needs)
        if not self._own_norm(norm):
            return Norm(self.backend).backward(*args)
        found = self.call("batch_norm_backward", *args)
        names = NORM if norm.has_residual else NORM[:3]
        if type(found) is not tuple or len(found) != len(names):
            raise gradients_error(self.backend.name, "batch_norm_backward", names, found)
        if "dx" in needs:
            self.check("batch_norm_backward", found[0], norm, norm.x_shape, (dout, z))
        return found
