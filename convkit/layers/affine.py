"""Fully connected layers: one matrix product each, in NumPy.

The models leave these products to their backend, :mod:`convkit.models.affine`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convkit.errors import ShapeError
from convkit.layers.activations import relu_backward, relu_forward
from convkit.layers.arrays import Array, Cache, underflow_is_zero
from convkit.layers.normalisation import batchnorm_backward, batchnorm_forward

__all__ = [
    "affine_backward",
    "affine_bn_relu_backward",
    "affine_bn_relu_forward",
    "affine_forward",
    "affine_relu_backward",
    "affine_relu_forward",
    "affine_shape",
]


def affine_shape(x: Array, w: Array, b: Array) -> tuple[int, int]:
    """Return (D, M), the shape that x asks of w and that w has; raise ShapeError where w or b has
    another.
    """
    size = math.prod(x.shape[1:])
    if w.ndim != 2 or w.shape[0] != size:
        raise ShapeError(
            f"w.shape (={w.shape}) must be ({size}, M): x.shape (={x.shape}) has {size} numbers "
            "per example"
        )
    if b.shape != w.shape[1:]:
        raise ShapeError(f"b.shape (={b.shape}) must be ({w.shape[1]},), one per column of w")
    return size, w.shape[1]


@underflow_is_zero
def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Return x w + b, each of the N examples flattened to D numbers.

    x (N, d_1, ..., d_k) with D = d_1 * ... * d_k, w (D, M), b (M,); out (N, M).
    """
    size, _ = affine_shape(x, w, b)
    out = x.reshape(x.shape[0], size) @ w
    out += b
    return out, (x, w)


@underflow_is_zero
def affine_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return (dx, dw, db), of the shapes of x, w and b, for dout (N, M)."""
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), w.shape[0]).T @ dout
    return dx, dw, dout.sum(axis=0)


def affine_relu_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Return relu(x w + b); shapes as in :func:`affine_forward`."""
    out, fc_cache = affine_forward(x, w, b)
    np.maximum(out, 0, out=out)
    # The relu's output is positive exactly where its input is: it serves as the cache, and the
    # input need not be kept.
    return out, (fc_cache, out)


def affine_relu_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return (dx, dw, db) of :func:`affine_relu_forward`."""
    fc_cache, out = cache
    return affine_backward(relu_backward(dout, out), fc_cache)


def affine_bn_relu_forward(
    x: Array, w: Array, b: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]
) -> tuple[Array, Cache]:
    """Return relu(batchnorm(x w + b)), gamma and beta (M,); see batchnorm_forward."""
    product, fc_cache = affine_forward(x, w, b)
    normal, bn_cache = batchnorm_forward(product, gamma, beta, bn_param)
    out, relu_cache = relu_forward(normal)
    return out, (fc_cache, bn_cache, relu_cache)


def affine_bn_relu_backward(dout: Array, cache: Cache) -> tuple[Array, ...]:
    """Return (dx, dw, db, dgamma, dbeta) of :func:`affine_bn_relu_forward`."""
    fc_cache, bn_cache, relu_cache = cache
    dproduct, dgamma, dbeta = batchnorm_backward(relu_backward(dout, relu_cache), bn_cache)
    return *affine_backward(dproduct, fc_cache), dgamma, dbeta
