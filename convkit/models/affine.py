"""The fully connected layers of the models, computed by the backend that computes the convolutions.

x w, for x (N, D) and w (D, M), is the 1x1 convolution of one image of D channels and M pixels, w
as it lies, with N filters, x as it lies: nothing is copied or transposed. So one set of threads
does all of a model's work. A BLAS would bring its own, which go on spinning on the CPUs for a while
after each product: beside them a convolution takes up to half as long again.

A backend that does not support this convolution leaves the product to NumPy: what was chosen were
convolutions, and a model of them should not fail for its other layers.

The functions are those of :mod:`convkit.layers`, of the same shapes, with a ``backend``.
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
    """Return what the backend makes of it, or None: it has not this convolution, or there is none,
    for want of filters.
    """
    if not len(filters):
        return None
    try:
        return api.conv_forward(image, filters, backend=backend)
    except BackendUnsupportedError:
        return None
