"""Batch and group normalisation in NumPy, for backends that have no kernels for them.

Means and variances are summed in float64. Each row of pixels has its own mean and sum of squared
deviations, which are merged by the formula of Chan, Golub & LeVeque (1983, doi:10.2307/2683386), so
that the error does not grow with the length of a sum. Nothing here calls a backend.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.spec import NormSpec

Doubles = npt.NDArray[np.float64]

BLOCK = 1 << 16
"""How many numbers are widened to float64 at a time."""


class Norm:
    """The forward and backward methods of both normalisations."""

    def __init__(self, backend: Any) -> None:
        pass  # convkit's own: no backend computes any of it

    def forward(self, spec: NormSpec, x: Array, gamma: Array, beta: Array, *rest: Any) -> Any:
        """Return (out, saved), and for a batch normalisation in training also (mean, var)."""
        with np.errstate(all="ignore"):
            return self._forward(spec, x, gamma, beta, *rest)

    def _forward(self, spec: NormSpec, x: Array, gamma: Array, beta: Array, *rest: Any) -> Any:
        *running, residual = rest
        own = spec.kind == "group" or spec.training
        mean, var = moments(spec, x) if own else (a.astype(np.float64) for a in running)
        inverse = 1 / np.sqrt(var + spec.eps)
        out = self._apply(spec, x, gamma, beta, mean, inverse, residual)
        saved = (mean, inverse, out > 0 if spec.relu else None)
        if spec.kind == "batch" and spec.training:
            return out, saved, mean.astype(spec.dtype), var.astype(spec.dtype)
        return out, saved

    def _apply(
        self,
        spec: NormSpec,
        x: Array,
        gamma: Array,
        beta: Array,
        mean: Doubles,
        inverse: Doubles,
        residual: Array | None,
    ) -> Array:
        """Return relu(gamma * (x - mean) * inverse + beta + residual)."""
        centre = mean.astype(spec.dtype)
        scale = per_channel(spec, inverse) * gamma
        # What rounding the mean to x's precision leaves out is put right in the shift.
        shift = beta - per_channel(spec, mean - centre) * scale
        out: Array = x - expanded(spec, per_channel(spec, centre))
        out *= expanded(spec, scale.astype(spec.dtype))
        out += expanded(spec, shift.astype(spec.dtype))
        if residual is not None:
            out += residual
        if spec.relu:
            np.maximum(out, 0, out=out)
        return out

    def backward(
        self,
        spec: NormSpec,
        dout: Array,
        x: Array,
        gamma: Array,
        beta: Array,
        saved: Any,
        needs: tuple[str, ...],
    ) -> tuple[Array | None, ...]:
        """Return (dx, dgamma, dbeta, dresidual).

        dx = gamma / std * (dout - mean(dout) - normal * mean(dout * normal)), where the means are
        over the set that x was normalised in, and of gamma * dout where gamma differs within it. In
        inference mean and std do not depend on x, and dx = gamma / std * dout.
        """
        with np.errstate(all="ignore"):
            return self._backward(spec, dout, x, gamma, saved, needs)

    def _backward(
        self,
        spec: NormSpec,
        dout: Array,
        x: Array,
        gamma: Array,
        saved: Any,
        needs: tuple[str, ...],
    ) -> tuple[Array | None, ...]:
        mean, inverse, positive = saved
        if positive is not None:
            dout = np.where(positive, dout, np.zeros((), spec.dtype))
        normal = x - expanded(spec, per_channel(spec, mean.astype(spec.dtype)))
        normal *= expanded(spec, per_channel(spec, inverse).astype(spec.dtype))
        sums, products = row_sums(dout), row_sums(dout, normal)  # (N, C)
        dbeta = sums.sum(axis=0).astype(spec.dtype) if "dbeta" in needs else None
        dgamma = products.sum(axis=0).astype(spec.dtype) if "dgamma" in needs else None
        dx = None
        if "dx" in needs:
            dx = dout * expanded(spec, per_channel(spec, inverse) * gamma).astype(spec.dtype)
            if spec.kind == "group" or spec.training:
                part, share = (set_means(spec, rows * gamma) for rows in (sums, products))
                shift = per_channel(spec, part * inverse).astype(spec.dtype)
                slope = per_channel(spec, share * inverse).astype(spec.dtype)
                dx -= expanded(spec, shift)
                normal *= expanded(spec, slope)
                dx -= normal
        if not spec.has_residual:
            return dx, dgamma, dbeta
        return dx, dgamma, dbeta, dout.copy() if "dresidual" in needs else None


def moments(spec: NormSpec, x: Array) -> tuple[Doubles, Doubles]:
    """Return mean and biased variance of each set: (C,) for "batch", (N, groups) for "group"."""
    n, channels = x.shape[:2]
    count = math.prod(x.shape[2:])
    rough = row_sums(x) / count
    rest, squares = np.empty((n, channels)), np.empty((n, channels))
    flat = x.reshape(n, channels, count)
    for rows in _blocks(n, channels * count):
        deviation = flat[rows] - rough[rows, :, None]
        # What rounding left out of the mean; without it, a mean far from 0 costs digits of the
        # variance between rows.
        rest[rows] = deviation.mean(axis=-1)
        squares[rows] = np.square(deviation).sum(axis=-1)  # pairwise, along contiguous memory
    squares -= count * np.square(rest)
    rough, rest, squares = (_sets(spec, a) for a in (rough, rest, squares))
    centre = rough[..., :1]
    means = (rough - centre) + rest  # of each row, from the first row's on
    mean = means.mean(axis=-1, keepdims=True)
    between = np.square(means - mean).sum(axis=-1)
    var: Doubles = (squares.sum(axis=-1) + count * between) / (count * means.shape[-1])
    return (centre + mean)[..., 0], var


def _sets(spec: NormSpec, rows: Doubles) -> Doubles:
    """Return values of images and channels, those of one set side by side along the last axis."""
    if spec.kind == "batch":
        return np.ascontiguousarray(rows.T)
    return rows.reshape(len(rows), spec.groups, rows.shape[1] // spec.groups)


def row_sums(a: Array, b: Array | None = None) -> Doubles:
    """Return, for each image and channel, the sum over its pixels of a, or of a times b."""
    n, channels = a.shape[:2]
    found = np.empty((n, channels))
    flat = a.reshape(n, channels, math.prod(a.shape[2:]))
    other = None if b is None else b.reshape(flat.shape)
    for rows in _blocks(n, channels * flat.shape[2]):
        wide = flat[rows].astype(np.float64)
        if other is not None:
            wide *= other[rows]
        found[rows] = wide.sum(axis=-1)
    return found


def set_means(spec: NormSpec, rows: Doubles) -> Doubles:
    """Return the mean over each set, from sums over each image and channel."""
    if spec.kind == "batch":
        total: Doubles = rows.sum(axis=0)
    else:
        total = _sets(spec, rows).sum(axis=-1)
    return total / spec.set_size


def per_channel(spec: NormSpec, values: Any) -> Any:
    """Return one value per channel (C,), or per image and channel (N, C), from one per set."""
    if spec.kind == "batch":
        return values
    return np.repeat(values, spec.x_shape[1] // spec.groups, axis=1)


def expanded(spec: NormSpec, values: Any) -> Any:
    """Return (C,) or (N, C) as it broadcasts against x."""
    return values.reshape(*values.shape, *(1,) * (len(spec.x_shape) - 2))


def _blocks(n: int, size: int) -> list[slice]:
    step = max(1, BLOCK // max(1, size))
    return [slice(i, i + step) for i in range(0, n, step)]
