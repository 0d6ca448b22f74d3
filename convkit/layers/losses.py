"""Losses: ``(x, y) -> (loss, dx)``, the mean over the batch and its gradient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError, ShapeError
from convkit.layers.arrays import Array, Labels, underflow_is_zero

__all__ = ["mse_loss", "softmax_loss", "svm_loss"]


@underflow_is_zero
def softmax_loss(x: Array, y: Labels) -> tuple[float, Array]:
    """Return the mean cross-entropy of the softmax of scores x (N, C) and its gradient (N, C).

    y (N,) holds labels in [0, C). loss = mean(log(sum(exp(x))) - x[y]); the largest score of a
    row is subtracted first, so no finite score overflows.

    y may also hold a target (N, C) for every score, floating-point numbers of at least 0, as for
    smoothed labels: loss = mean over n of the sum over c of y[n, c] * (log(sum(exp(x[n]))) -
    x[n, c]). Rows that do not sum to 1 weigh their images.
    """
    if np.ndim(y) == 2:
        return _soft_cross_entropy(x, y)
    rows = _check_labels(x, y)
    shifted = x - x.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - shifted[rows, y]))
    p /= total
    p[rows, y] -= 1
    p /= len(x)
    return loss, p


@underflow_is_zero
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


@underflow_is_zero
def mse_loss(x: Array, y: npt.ArrayLike) -> tuple[float, Array]:
    """Return the mean over all elements of (x - y)^2, and its gradient; y has the shape of x."""
    target = np.asarray(y, x.dtype)
    if x.shape != target.shape or not x.size:
        raise ShapeError(
            f"y.shape (={target.shape}) must be that of x (={x.shape}), with at least one element"
        )
    difference: Array = x - target
    # Summed in float64: a float32 sum over all pixels of a batch would lose digits.
    loss = float(np.square(difference).mean(dtype=np.float64))
    difference *= x.dtype.type(2 / x.size)
    return loss, difference


def _soft_cross_entropy(x: Array, y: npt.ArrayLike) -> tuple[float, Array]:
    """Return ``softmax_loss`` of targets y (N, C)."""
    target = np.asarray(y)
    if x.shape != target.shape or not len(x) or not np.issubdtype(target.dtype, np.floating):
        raise ShapeError(
            f"y (shape {target.shape}, {target.dtype}) must be a floating-point target for each of "
            f"the scores x (shape {x.shape}), of at least one row"
        )
    if not (target >= 0).all():
        raise ParameterError(f"y (least element {target.min()}) must hold targets of at least 0")
    q = target.astype(x.dtype)
    log_p = x - x.max(axis=1, keepdims=True)
    p = np.exp(log_p)
    total = p.sum(axis=1, keepdims=True)
    log_p -= np.log(total)
    # A target of 0 counts nothing, whatever the score: 0 times minus infinity would be NaN.
    loss = -float((q * np.where(q > 0, log_p, 0)).sum() / len(x))
    p /= total
    p *= q.sum(axis=1, keepdims=True)
    p -= q
    p /= len(x)
    return loss, p


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
