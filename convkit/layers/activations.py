"""Activations: elementwise functions, and softmax."""

from __future__ import annotations

import numpy as np

from convkit.errors import ParameterError, ShapeError
from convkit.layers.arrays import Array, Cache, underflow_is_zero

__all__ = [
    "leaky_relu_backward",
    "leaky_relu_forward",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_backward",
    "softmax_forward",
    "tanh_backward",
    "tanh_forward",
]


def relu_forward(x: Array) -> tuple[Array, Array]:
    """Return max(x, 0), elementwise; NaN stays NaN."""
    return np.maximum(x, 0), x


def relu_backward(dout: Array, cache: Array) -> Array:
    """Return dout where x > 0, else 0 (at 0 too)."""
    return np.where(cache > 0, dout, np.zeros((), dout.dtype))


@underflow_is_zero
def leaky_relu_forward(x: Array, slope: float = 0.01) -> tuple[Array, Cache]:
    """Return x where x > 0, else slope * x (Maas et al., 2013); NaN stays NaN."""
    if not np.isfinite(slope):
        raise ParameterError(f"slope (={slope!r}) must be a finite number")
    return np.where(x > 0, x, x * x.dtype.type(slope)), (x, slope)


@underflow_is_zero
def leaky_relu_backward(dout: Array, cache: Cache) -> Array:
    """Return dout where x > 0, else slope * dout (at 0 too)."""
    x, slope = cache
    return np.where(x > 0, dout, dout * dout.dtype.type(slope))


@underflow_is_zero
def sigmoid_forward(x: Array) -> tuple[Array, Array]:
    """Return 1 / (1 + exp(-x)), elementwise. No finite x overflows; the cache is out."""
    # exp of a negative number alone: e^x / (1 + e^x) where x < 0.
    small = np.exp(-np.abs(x))
    out: Array = np.where(x < 0, small, x.dtype.type(1)) / (1 + small)
    return out, out


@underflow_is_zero
def sigmoid_backward(dout: Array, cache: Array) -> Array:
    """Return dout * out * (1 - out)."""
    return dout * cache * (1 - cache)


@underflow_is_zero
def tanh_forward(x: Array) -> tuple[Array, Array]:
    """Return tanh(x), elementwise; the cache is out."""
    out: Array = np.tanh(x)
    return out, out


@underflow_is_zero
def tanh_backward(dout: Array, cache: Array) -> Array:
    """Return dout * (1 - out^2)."""
    dx: Array = dout * (1 - np.square(cache))
    return dx


@underflow_is_zero
def softmax_forward(x: Array) -> tuple[Array, Array]:
    """Return exp(x) / the sum of exp(x) over axis 1: the classes of (N, C), a pixel's channels.

    The largest value is subtracted first, so no finite x overflows; the cache is out.
    """
    if x.ndim < 2 or not x.shape[1]:
        raise ShapeError(f"x.shape (={x.shape}) must be (N, C, ...) with C at least 1")
    out: Array = np.exp(x - x.max(axis=1, keepdims=True))
    out /= out.sum(axis=1, keepdims=True)
    return out, out


@underflow_is_zero
def softmax_backward(dout: Array, cache: Array) -> Array:
    """Return out * (dout - the sum of dout * out over axis 1)."""
    along: Array = (dout * cache).sum(axis=1, keepdims=True)
    return cache * (dout - along)
