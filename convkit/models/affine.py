"""The fully connected layers of the models, computed by the backend that computes the convolutions.

x w, for x (N, D) and w (D, M), is the 1x1 convolution of one image of D channels and M pixels, the
memory of w, with N filters, the memory of x: nothing is copied or transposed. So one thread pool
does all of a model's work. A BLAS has a pool of its own, whose threads spin on the CPUs for a while
after each product, and a convolution beside them takes up to 1.5 times as long.

Where the backend does not support this convolution, NumPy computes the product: the user chose a
backend for convolutions, and a model should not fail for its other layers.

The functions and their shapes are those of :mod:`convkit.layers`, with a ``backend``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from convkit import api, layers
from convkit.errors import BackendUnsupportedError
from convkit.models.common import Array

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = [
    "affine_backward",
    "affine_forward",
    "affine_relu_backward",
    "affine_relu_forward",
]

Cache: TypeAlias = tuple[Any, Any]


def affine_forward(
    x: Array, w: Array, b: Array, *, backend: Choice | None = None
) -> tuple[Array, Cache]:
    """Return x w + b, as :func:`convkit.layers.affine_forward`."""
    size, outputs = layers.affine_shape(x, w, b)
    convolved = _convolve(w.reshape(1, size, 1, outputs), x.reshape(len(x), size, 1, 1), backend)
    if convolved is None:
        out, layer_cache = layers.affine_forward(x, w, b)
        return out, (None, layer_cache)
    out = convolved[0].reshape(len(x), outputs)
    out += b
    return out, (convolved[1], (x.shape, w.shape))


def affine_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return (dx, dw, db), of the shapes of x, w and b, for dout (N, M)."""
    conv_cache, rest = cache
    if conv_cache is None:
        return layers.affine_backward(dout, rest)
    x_shape, w_shape = rest
    image = dout.reshape(1, len(dout), 1, w_shape[1])
    gradients: Any = api.conv_backward(image, conv_cache, needs=("dx", "dw"))
    dw, dx, _ = gradients  # w was the image and x the filters
    return dx.reshape(x_shape), dw.reshape(w_shape), dout.sum(axis=0)


def affine_relu_forward(
    x: Array, w: Array, b: Array, *, backend: Choice | None = None
) -> tuple[Array, Cache]:
    """Return relu(x w + b), as :func:`convkit.layers.affine_relu_forward`."""
    out, affine_cache = affine_forward(x, w, b, backend=backend)
    np.maximum(out, 0, out=out)
    return out, (affine_cache, out)


def affine_relu_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return (dx, dw, db) of :func:`affine_relu_forward`."""
    affine_cache, out = cache
    return affine_backward(layers.relu_backward(dout, out), affine_cache)


def _convolve(image: Array, filters: Array, backend: Choice | None) -> tuple[Array, Any] | None:
    """Return (out, cache); None where it is unsupported or there are no filters."""
    if not len(filters):
        return None
    try:
        return api.conv_forward(image, filters, backend=backend)
    except BackendUnsupportedError:
        return None
