"""Batch and group normalisation by compiled kernels.

What is saved for backward are the statistics (mean, variance and 1 / sqrt(variance + eps) of each
set, in float64) and, with relu, a bit for each element: whether it was above 0.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.spec import NormSpec

Array: TypeAlias = npt.NDArray[np.floating[Any]]


class Norms:
    """The methods of both normalisations, for a backend with normalisation plans."""

    plan: Any
    empty: Any

    def batch_norm_forward(
        self,
        spec: NormSpec,
        x: Array,
        gamma: Array,
        beta: Array,
        mean: Array | None,
        var: Array | None,
        residual: Array | None,
    ) -> Any:
        """Return (out, saved), and in training also mean and biased variance of each channel."""
        out, saved = self._forward(spec, x, gamma, beta, residual, (mean, var))
        if not spec.training:
            return out, saved
        means, variances, _ = saved[0].astype(spec.dtype)
        return out, saved, means.copy(), variances.copy()

    def batch_norm_infer(
        self,
        spec: NormSpec,
        x: Array,
        gamma: Array,
        beta: Array,
        mean: Array | None,
        var: Array | None,
        residual: Array | None,
    ) -> Array:
        """Return out."""
        return self._forward(spec, x, gamma, beta, residual, (mean, var), keep=False)[0]

    def group_norm_forward(
        self, spec: NormSpec, x: Array, gamma: Array, beta: Array, residual: Array | None
    ) -> tuple[Array, Any]:
        """Return (out, saved)."""
        return self._forward(spec, x, gamma, beta, residual)

    def group_norm_infer(
        self, spec: NormSpec, x: Array, gamma: Array, beta: Array, residual: Array | None
    ) -> Array:
        """Return out."""
        return self._forward(spec, x, gamma, beta, residual, keep=False)[0]

    def _forward(
        self,
        spec: NormSpec,
        x: Array,
        gamma: Array,
        beta: Array,
        residual: Array | None,
        given: tuple[Array | None, Array | None] = (None, None),
        keep: bool = True,
    ) -> tuple[Array, Any]:
        plan = self.plan(spec)
        statistics = np.empty(plan.statistics_shape)
        if not spec.training:
            statistics[0], statistics[1] = given
        positive = self.empty((plan.positive_bytes,), np.uint8) if keep and spec.relu else None
        out = self.empty(spec.out_shape, spec.dtype)
        plan.forward(x, gamma, beta, residual, statistics, positive, out)
        return out, (statistics, positive)

    def batch_norm_backward(
        self,
        spec: NormSpec,
        dout: Array,
        x: Array,
        gamma: Array,
        beta: Array,
        saved: Any,
        needs: tuple[str, ...],
    ) -> tuple[Array | None, ...]:
        """Return the gradients ``needs`` names, None for the others."""
        like = {"dx": x, "dgamma": gamma, "dbeta": beta, "dresidual": x}
        grads = {name: self.empty(like[name].shape, spec.dtype) for name in needs}
        self.plan(spec).backward(dout, x, gamma, *saved, *(grads.get(name) for name in like))
        names = tuple(like) if spec.has_residual else tuple(like)[:3]
        return tuple(grads.get(name) for name in names)

    group_norm_backward = batch_norm_backward
