"""The course's layers beside convolution and pooling: affine, relu, losses, normalisation, dropout.

The normalisations go through the API, so a backend may have kernels for them. The others are plain
NumPy: one matrix product, or a few passes over memory. (The models leave the products to their
backend, :mod:`convkit.models.affine`.) Every
``*_forward`` returns ``(out, cache)`` and its ``*_backward`` takes ``(dout, cache)``, with the
course's names and shapes. No input is ever written to, except the running statistics in
``bn_param``, which is what they are for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit import api
from convkit.errors import ParameterError, ShapeError

__all__ = [
    "affine_backward",
    "affine_forward",
    "affine_relu_backward",
    "affine_relu_forward",
    "affine_shape",
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "batchnorm_forward",
    "dropout_backward",
    "dropout_forward",
    "layernorm_backward",
    "layernorm_forward",
    "relu_backward",
    "relu_forward",
    "softmax_loss",
    "spatial_batchnorm_backward",
    "spatial_batchnorm_forward",
    "spatial_groupnorm_backward",
    "spatial_groupnorm_forward",
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


# --- normalisation ---------------------------------------------------------------------------
#
# The course's functions, on those of :mod:`convkit.api`. Arrays of several dtypes are cast to their
# common one first.


def batchnorm_forward(
    x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]
) -> tuple[Array, api.Cache]:
    """Normalise each of the D columns of x (N, D), then scale by gamma (D,) and shift by beta (D,).

    Ioffe & Szegedy (2015). ``bn_param['mode']`` is "train" (the batch's mean and biased variance,
    which also move ``running_mean`` and ``running_var`` in bn_param) or "test" (the running ones).
    ``eps`` (1e-5) is added to the variance; ``momentum`` (0.9) is the share of the old running
    value that stays. The running values start at mean 0 and variance 0, as in the course.
    """
    _mode("bn_param", bn_param)
    x, gamma, beta = _common(x, gamma, beta)
    for name in ("running_mean", "running_var"):
        running = np.asarray(bn_param.get(name, np.zeros(x.shape[1], x.dtype)))
        bn_param[name] = running.astype(x.dtype, copy=False)
    return api.batch_norm_forward(x, gamma, beta, bn_param)


def batchnorm_backward(dout: Array, cache: api.Cache) -> tuple[Array, ...]:
    """Return (dx, dgamma, dbeta) of :func:`batchnorm_forward`, for dout of x's shape."""
    return _gradients(api.batch_norm_backward, dout, cache)


batchnorm_backward_alt = batchnorm_backward
"""The course's name for the simplified derivation, which is the one used."""


def spatial_batchnorm_forward(
    x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]
) -> tuple[Array, api.Cache]:
    """Normalise each channel of x (N, C, H, W) over the batch and all pixels; gamma, beta (C,)."""
    return batchnorm_forward(x, gamma, beta, bn_param)


def spatial_batchnorm_backward(dout: Array, cache: api.Cache) -> tuple[Array, ...]:
    """Return (dx, dgamma, dbeta) of :func:`spatial_batchnorm_forward`."""
    return batchnorm_backward(dout, cache)


def layernorm_forward(
    x: Array, gamma: Array, beta: Array, ln_param: Mapping[str, Any]
) -> tuple[Array, api.Cache]:
    """Normalise each row of x (N, D), then scale by gamma (D,) and shift by beta (D,).

    Ba, Kiros & Hinton (2016). ``ln_param`` may have ``eps`` (1e-5).
    """
    x, gamma, beta = _common(x, gamma, beta)
    return api.group_norm_forward(x, gamma, beta, groups=1, eps=ln_param.get("eps", 1e-5))


def layernorm_backward(dout: Array, cache: api.Cache) -> tuple[Array, ...]:
    """Return (dx, dgamma, dbeta) of :func:`layernorm_forward`."""
    return _gradients(api.group_norm_backward, dout, cache)


def spatial_groupnorm_forward(
    x: Array, gamma: Array, beta: Array, G: int, gn_param: Mapping[str, Any]
) -> tuple[Array, api.Cache]:
    """Normalise each of G groups of channels of each image of x (N, C, H, W).

    Wu & He (2018). gamma and beta are (1, C, 1, 1), as in the course. ``gn_param`` may have ``eps``
    (1e-5).
    """
    x, gamma, beta = _common(x, gamma, beta)
    eps = gn_param.get("eps", 1e-5)
    return api.group_norm_forward(x, gamma.reshape(-1), beta.reshape(-1), groups=G, eps=eps)


def spatial_groupnorm_backward(dout: Array, cache: api.Cache) -> tuple[Array, ...]:
    """Return (dx, dgamma, dbeta), the latter two (1, C, 1, 1)."""
    dx, *rest = _gradients(api.group_norm_backward, dout, cache)
    return dx, *(gradient.reshape(1, -1, 1, 1) for gradient in rest)


def _common(*arrays: Any) -> tuple[Array, ...]:
    """Return arrays in their common dtype, float32 or float64."""
    found = [np.asarray(a) for a in arrays]
    dtype = np.result_type(*found)
    dtype = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
    return tuple(a.astype(dtype, copy=False) for a in found)


def _gradients(backward: Any, dout: Any, cache: api.Cache) -> tuple[Array, ...]:
    dout = np.asarray(dout)
    dtype = getattr(getattr(cache, "plan", None), "dtype", dout.dtype)
    gradients: tuple[Array, ...] = backward(dout.astype(dtype, copy=False), cache)
    return gradients


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
