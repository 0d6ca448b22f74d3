"""The layers beside convolution and pooling, in plain NumPy: affine, relu, losses, batch
normalisation, dropout.

They need no backend: each is one matrix product or a few passes over memory, which NumPy does at
speed. (The models leave the products to their backend, :mod:`convkit.models.affine`.) Every
``*_forward`` returns ``(out, cache)`` and its ``*_backward`` takes ``(dout, cache)``, with the
course's names and shapes. No input is ever written to, except the running statistics in
``bn_param``, which is what they are for.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError, ShapeError

__all__ = [
    "affine_backward",
    "affine_forward",
    "affine_relu_backward",
    "affine_relu_forward",
    "affine_shape",
    "batchnorm_backward",
    "batchnorm_forward",
    "dropout_backward",
    "dropout_forward",
    "relu_backward",
    "relu_forward",
    "softmax_loss",
    "spatial_batchnorm_backward",
    "spatial_batchnorm_forward",
    "svm_loss",
]

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Cache: TypeAlias = tuple[Any, ...]


# --- fully connected and relu ----------------------------------------------------------------


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


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Return x w + b, each of the N examples flattened to D numbers.

    x (N, d_1, ..., d_k) with D = d_1 * ... * d_k, w (D, M), b (M,); out (N, M).
    """
    size, _ = affine_shape(x, w, b)
    out = x.reshape(x.shape[0], size) @ w
    out += b
    return out, (x, w)


def affine_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return (dx, dw, db), of the shapes of x, w and b, for dout (N, M)."""
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), w.shape[0]).T @ dout
    return dx, dw, dout.sum(axis=0)


def relu_forward(x: Array) -> tuple[Array, Array]:
    """Return max(x, 0), elementwise; NaN stays NaN."""
    return np.maximum(x, 0), x


def relu_backward(dout: Array, cache: Array) -> Array:
    """Return dout where x > 0, else 0 (at 0 too)."""
    return np.where(cache > 0, dout, np.zeros((), dout.dtype))


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


# --- losses ----------------------------------------------------------------------------------


def softmax_loss(x: Array, y: Labels) -> tuple[float, Array]:
    """Return the mean cross-entropy of the softmax of scores x (N, C) and its gradient (N, C).

    y (N,) holds labels in [0, C). loss = mean(log(sum(exp(x))) - x[y]); the largest score of a
    row is subtracted first, so no finite score overflows.
    """
    rows = _check_labels(x, y)
    shifted = x - x.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - shifted[rows, y]))
    p /= total
    p[rows, y] -= 1
    p /= len(x)
    return loss, p


def svm_loss(x: Array, y: Labels) -> tuple[float, Array]:
    """Return the mean multi-class hinge loss (margin 1) of scores x (N, C) and its gradient.

    loss = mean over n of the sum over c != y of max(0, x[n, c] - x[n, y] + 1) (Weston & Watkins,
    1999).
    """
    rows = _check_labels(x, y)
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    dx = (margins > 0).astype(x.dtype)
    dx[rows, y] -= dx.sum(axis=1)
    dx /= len(x)
    return float(margins.sum() / len(x)), dx


def _check_labels(x: Array, y: Labels) -> npt.NDArray[np.intp]:
    """Check one label in [0, C) per row of x (N, C), N at least 1; return the row numbers."""
    if x.ndim != 2 or not len(x):
        raise ShapeError(f"x.shape (={x.shape}) must be (N, C) with N at least 1")
    if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
        raise ShapeError(
            f"y (shape {y.shape}, {y.dtype}) must be {len(x)} integer labels, one per row of x"
        )
    if y.min() < 0 or y.max() >= x.shape[1]:
        bad = int(np.flatnonzero((y < 0) | (y >= x.shape[1]))[0])
        raise ParameterError(f"y[{bad}] (={y[bad]}) must be a label in [0, {x.shape[1]})")
    return np.arange(len(x))


# --- batch normalisation ---------------------------------------------------------------------


def batchnorm_forward(
    x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]
) -> tuple[Array, Cache]:
    """Normalise each of the D columns of x (N, D), then scale by gamma (D,) and shift by beta (D,).

    Ioffe & Szegedy (2015). ``bn_param['mode']`` is "train" (the batch's mean and biased variance,
    which also move ``running_mean`` and ``running_var`` in bn_param) or "test" (the running ones).
    ``eps`` (1e-5) is added to the variance; ``momentum`` (0.9) is the share of the old running
    value that stays. The running values start at mean 0 and variance 0, as in the course.
    """
    mode = _mode("bn_param", bn_param)
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    mean = bn_param.setdefault("running_mean", np.zeros(x.shape[1], x.dtype))
    var = bn_param.setdefault("running_var", np.zeros(x.shape[1], x.dtype))
    if mode == "train":
        batch_mean, batch_var = x.mean(axis=0), x.var(axis=0)
        # New arrays, not an update in place: the old ones may be kept elsewhere.
        bn_param["running_mean"] = momentum * mean + (1 - momentum) * batch_mean
        bn_param["running_var"] = momentum * var + (1 - momentum) * batch_var
        mean, var = batch_mean, batch_var
    inverse = (1 / np.sqrt(var + eps)).astype(x.dtype, copy=False)
    normal = x - mean
    normal *= inverse
    out = gamma * normal
    out += beta
    return out, (mode, normal, gamma, inverse)


def batchnorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return (dx, dgamma, dbeta) for dout (N, D).

    dx = gamma / std * (dout - mean(dout) - normal * mean(dout * normal)): the mean and the
    variance depend on x too. In test mode they do not, and dx = dout * gamma / std.
    """
    mode, normal, gamma, inverse = cache
    dbeta = dout.sum(axis=0)
    dgamma = (dout * normal).sum(axis=0)
    if mode == "test":
        return dout * (gamma * inverse), dgamma, dbeta
    dx = dout - dbeta / len(dout)
    dx -= normal * (dgamma / len(dout))
    dx *= gamma * inverse
    return dx, dgamma, dbeta


def spatial_batchnorm_forward(
    x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]
) -> tuple[Array, Cache]:
    """Normalise each channel of x (N, C, H, W) over the batch and all pixels; gamma, beta (C,)."""
    out, cache = batchnorm_forward(_channels_last(x), gamma, beta, bn_param)
    return _channels_first(out, x.shape), cache


def spatial_batchnorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return (dx, dgamma, dbeta) of :func:`spatial_batchnorm_forward`."""
    dx, dgamma, dbeta = batchnorm_backward(_channels_last(dout), cache)
    return _channels_first(dx, dout.shape), dgamma, dbeta


def _channels_last(x: Array) -> Array:
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def _channels_first(rows: Array, shape: tuple[int, ...]) -> Array:
    n, channels, *spatial = shape
    return np.ascontiguousarray(np.moveaxis(rows.reshape(n, *spatial, channels), -1, 1))


# --- dropout ---------------------------------------------------------------------------------


def dropout_forward(x: Array, dropout_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Keep each number of x with probability p and divide it by p; the others become 0.

    Srivastava et al. (2014), inverted: nothing is left to do in mode "test", which returns a copy.
    ``dropout_param``: ``mode``, ``p`` in (0, 1], and ``rng`` (a Generator) or ``seed``, which makes
    every call draw the same mask, as a gradient check needs.
    """
    mode = _mode("dropout_param", dropout_param)
    p = dropout_param.get("p")
    if not isinstance(p, (int, float)) or not 0 < p <= 1:
        raise ParameterError(
            f"dropout_param['p'] (={p!r}) must be greater than 0 and at most 1: the share to keep"
        )
    if mode == "test":
        return x.copy(), (mode, None)
    seed = dropout_param.get("seed")
    rng = np.random.default_rng(dropout_param.get("rng") if seed is None else seed)
    mask = (rng.random(x.shape, np.float32) < p) * x.dtype.type(1 / p)
    return x * mask, (mode, mask)


def dropout_backward(dout: Array, cache: Cache) -> Array:
    """Return the gradient of :func:`dropout_forward` with respect to x."""
    mode, mask = cache
    dx: Array = dout.copy() if mode == "test" else dout * mask
    return dx


def _mode(name: str, param: dict[str, Any]) -> str:
    mode = param.get("mode")
    if mode not in ("train", "test"):
        raise ParameterError(f"{name}['mode'] (={mode!r}) must be 'train' or 'test'")
    return str(mode)
