"""Convolutions with their neighbours, and the course's im2col, all under the course's names.

A backend computes the convolutions; im2col and its adjoint are plain NumPy, in the course's order
of rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convkit import api
from convkit.errors import ParameterError, ShapeError
from convkit.layers.arrays import Array
from convkit.layers.normalisation import common, gradients_of, start

__all__ = [
    "col2im_indices",
    "conv_bn_relu_backward",
    "conv_bn_relu_forward",
    "conv_relu_backward",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
    "im2col_indices",
]

conv_relu_forward = api.conv_relu_forward
conv_relu_backward = api.conv_relu_backward
conv_relu_pool_forward = api.conv_relu_pool_forward
conv_relu_pool_backward = api.conv_relu_pool_backward


def conv_bn_relu_forward(
    x: Array,
    w: Array,
    b: Array | None,
    gamma: Array,
    beta: Array,
    conv_param: Mapping[str, Any],
    bn_param: dict[str, Any],
) -> tuple[Array, api.Cache]:
    """Return relu(batchnorm(conv(x, w, b))), gamma and beta (F,).

    ``conv_param`` is that of :func:`convkit.conv_forward`, ``bn_param`` that of batchnorm_forward.
    """
    x, w, gamma, beta, *bias = common(x, w, gamma, beta, *(() if b is None else (b,)))
    start(bn_param, len(w), x.dtype)
    b = bias[0] if bias else None
    return api.conv_bn_relu_forward(x, w, b, gamma, beta, conv_param, bn_param)


def conv_bn_relu_backward(dout: Array, cache: api.Cache) -> tuple[Array | None, ...]:
    """Return (dx, dw, db, dgamma, dbeta) of :func:`conv_bn_relu_forward`."""
    return gradients_of(api.conv_bn_relu_backward, dout, cache)


def im2col_indices(
    x: Array, field_height: int, field_width: int, padding: int = 1, stride: int = 1
) -> Array:
    """Return the windows of x (N, C, H, W) as the columns of a matrix.

    (C * field_height * field_width, OH * OW * N): a row's channel varies slowest and its column in
    the window fastest, and a column's window row varies slowest and its image fastest.
    OH = (H + 2 * padding - field_height) // stride + 1, OW alike.
    """
    n, c, oh, ow = _windows(x.shape, field_height, field_width, padding, stride)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    every = np.lib.stride_tricks.sliding_window_view(padded, (field_height, field_width), (2, 3))
    chosen = every[:, :, ::stride, ::stride]  # N, C, OH, OW, KH, KW
    columns = chosen.transpose(1, 4, 5, 2, 3, 0)
    return columns.reshape(c * field_height * field_width, oh * ow * n)


def col2im_indices(
    cols: Array,
    x_shape: tuple[int, int, int, int],
    field_height: int = 3,
    field_width: int = 3,
    padding: int = 1,
    stride: int = 1,
) -> Array:
    """Return the adjoint of :func:`im2col_indices`: each pixel (N, C, H, W) sums its copies."""
    n, c, oh, ow = _windows(x_shape, field_height, field_width, padding, stride)
    expected = (c * field_height * field_width, oh * ow * n)
    if cols.shape != expected:
        raise ShapeError(f"cols.shape (={cols.shape}) must be {expected} for x_shape (={x_shape})")
    h, w = x_shape[2:]
    padded = np.zeros((n, c, h + 2 * padding, w + 2 * padding), cols.dtype)
    windows = cols.reshape(c, field_height, field_width, oh, ow, n).transpose(1, 2, 5, 0, 3, 4)
    for i in range(field_height):
        for j in range(field_width):
            rows = slice(i, i + stride * oh, stride)
            padded[:, :, rows, j : j + stride * ow : stride] += windows[i, j]
    return padded[:, :, padding : padding + h, padding : padding + w].copy()


def _windows(
    x_shape: tuple[int, ...], height: int, width: int, padding: int, stride: int
) -> tuple[int, int, int, int]:
    """Return (N, C, OH, OW); raise where the arguments do not fit."""
    for name, value, least in (
        ("field_height", height, 1), ("field_width", width, 1),
        ("padding", padding, 0), ("stride", stride, 1),
    ):  # fmt: skip
        if not isinstance(value, int | np.integer) or value < least:
            raise ParameterError(f"{name} (={value!r}) must be an integer of at least {least}")
    if len(x_shape) != 4:
        raise ShapeError(f"x.shape (={x_shape}) must be (N, C, H, W)")
    n, c, *size = x_shape
    out = [(s + 2 * padding - k) // stride + 1 for s, k in zip(size, (height, width), strict=True)]
    if min(out) < 1:
        raise ShapeError(
            f"x.shape (={x_shape}) with padding (={padding}) must be at least as large as the "
            f"window (={height}x{width})"
        )
    return n, c, out[0], out[1]
