"""A convolution, batch normalisation, residual, relu and maximum pool.

What is saved for backward are the convolution's result z, the statistics, and where relu let
something through: a bit for each element, or with a pool whose windows are disjoint the byte of
each pooled result's argmax index, so that neither the normalised array nor its gradient is stored.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.spec import ConvSpec, NormSpec, PoolSpec

from . import _kernels, table
from .parts import of_images, parts

Array: TypeAlias = npt.NDArray[np.floating[Any]]

_BYTES = 4 << 20
"""About how much of z is in the cache at a time, in inference."""


@lru_cache(maxsize=256)
def _is_one_pass(norm: NormSpec, pool: PoolSpec) -> bool:
    """Whether one kernel normalises and pools. What is saved says so too, for backward."""
    isa = _kernels.InstructionSet()
    return table.choose("norm_pool_forward", (norm, pool), isa).name == "rows"


class NormalisedConvolutions:
    """The methods of ``conv_bn_relu``, for a backend with plans of its parts."""

    plan: Any
    empty: Any
    conv_backward: Any
    _forward: Any
    pool_forward: Any
    pool_infer: Any
    pool_backward: Any
    batch_norm_backward: Any

    def conv_bn_relu_forward(
        self, conv: ConvSpec, norm: NormSpec, pool: PoolSpec | None, x: Array, w: Array, *rest: Any
    ) -> Any:
        """Return (out, saved), and in training also mean and biased variance of each channel."""
        b, gamma, beta, mean, var, residual = rest
        z = self.empty(conv.out_shape, conv.dtype)
        self.plan(conv).forward(x, w, b, z, False)
        arg, one_pass = None, pool is not None and _is_one_pass(norm, pool)
        if pool is not None and one_pass:
            saved = (self._statistics(norm, mean, var), None)
            arg = self.empty(pool.out_shape, np.uint8)
            out = self._pooled(norm, pool, z, gamma, beta, residual, saved[0], arg)
        else:
            out, saved = self._forward(norm, z, gamma, beta, residual, (mean, var))
            if pool is not None:
                out, arg = self.pool_forward(pool, out)
        kept = (z, *saved, arg, one_pass)
        if not norm.training:
            return out, kept
        means, variances, _ = saved[0].astype(norm.dtype)
        return out, kept, means.copy(), variances.copy()

    def _statistics(self, norm: NormSpec, mean: Array | None, var: Array | None) -> Any:
        statistics = np.empty(self.plan(norm).statistics_shape)
        if not norm.training:
            statistics[0], statistics[1] = mean, var
        return statistics

    def _pooled(
        self, norm: NormSpec, pool: PoolSpec, z: Array, gamma: Array, beta: Array, residual: Any,
        statistics: Any, arg: Any,
    ) -> Array:  # fmt: skip
        out: Array = self.empty(pool.out_shape, pool.dtype)
        plans = self.plan(norm), self.plan(pool)
        _kernels.norm_pool_forward(*plans, z, gamma, beta, residual, statistics, out, arg)
        return out

    def conv_bn_relu_infer(
        self, conv: ConvSpec, norm: NormSpec, pool: PoolSpec | None, x: Array, w: Array, *rest: Any
    ) -> Array:
        """Return out; a few images at a time, so that z is normalised while it is in the cache."""
        b, gamma, beta, mean, var, residual = rest
        last = conv if pool is None else pool
        out: Array = self.empty(last.out_shape, conv.dtype)
        for part in parts(conv, _BYTES):
            count = part.stop - part.start
            to = out[part]
            z = to if pool is None else self.empty((count, *conv.out_shape[1:]), conv.dtype)
            self.plan(of_images(conv, count)).forward(x[part], w, b, z, False)
            some = of_images(norm, count)
            given = self._statistics(norm, mean, var)
            added = None if residual is None else residual[part]
            if pool is None or not _is_one_pass(norm, pool):
                self.plan(some).forward(z, gamma, beta, added, given, None, z)
                if pool is not None:
                    self.plan(of_images(pool, count)).forward(z, to, None)
                continue
            plans = self.plan(some), self.plan(of_images(pool, count))
            _kernels.norm_pool_forward(*plans, z, gamma, beta, added, given, to, None)
        return out

    def conv_bn_relu_backward(
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
        """Return the gradients ``needs`` names, None for the others."""
        z, statistics, positive, arg, one_pass = saved
        of_conv = tuple(name for name in ("dx", "dw", "db") if name in needs)
        of_norm = (*(("dx",) if of_conv else ()), *(n for n in needs if n not in of_conv))
        if one_pass:
            like = {"dx": z, "dgamma": gamma, "dbeta": beta, "dresidual": z}
            found = {n: self.empty(like[n].shape, norm.dtype) for n in of_norm}
            plans, wanted = (self.plan(norm), self.plan(pool)), (found.get(n) for n in like)
            _kernels.norm_pool_backward(*plans, dout, arg, z, gamma, statistics, *wanted)
            dz, *others = (found.get(n) for n in (like if norm.has_residual else tuple(like)[:3]))
        else:
            if pool is not None:
                dout = self.pool_backward(pool, dout, arg)
            kept = (statistics, positive)
            dz, *others = self.batch_norm_backward(norm, dout, z, gamma, beta, kept, of_norm)
        if not of_conv:
            return None, None, None, *others
        return *self.conv_backward(conv, dz, x, w, None, of_conv), *others
