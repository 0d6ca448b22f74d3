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
Needs: TypeAlias = tuple[str, ...]
Gradients: TypeAlias = tuple[Array | None, Array | None, Array | None]
GRADIENTS = ("dx", "dw", "db")


def affine_forward(
    x: Array, w: Array, b: Array | None, *, backend: Choice | None = None
) -> tuple[Array, Cache]:
    """Return x w + b, as :func:`convkit.layers.affine_forward`; x w where b is None."""
    size, outputs = layers.affine_shape(x, w, np.empty(w.shape[1:]) if b is None else b)
    convolved = _convolve(w.reshape(1, size, 1, outputs), x.reshape(len(x), size, 1, 1), backend)
    if convolved is None:
        out, layer_cache = layers.affine_forward(
            x, w, np.zeros(outputs, w.dtype) if b is None else b
        )
        return out, (None, layer_cache)
    out = convolved[0].reshape(len(x), outputs)
    if b is not None:
        out += b
    return out, (convolved[1], (x.shape, w.shape))


def affine_backward(dout: Array, cache: Cache, *, needs: Needs = GRADIENTS) -> Gradients:
    """Return (dx, dw, db), of the shapes of x, w and b, for dout (N, M).

    ``needs`` names the gradients wanted; the others are None.
    """
    conv_cache, rest = cache
    want_dx, want_dw = "dx" in needs, "dw" in needs
    dx: Array | None = None
    dw: Array | None = None
    if conv_cache is None:
        dx, dw, _ = layers.affine_backward(dout, rest)
    elif want_dx or want_dw:
        image = dout.reshape(1, len(dout), 1, rest[1][1])
        # w was the image and x the filters.
        wanted = ("dx", "dw") if want_dx and want_dw else ("dw",) if want_dx else ("dx",)
        dw, dx, _ = api.conv_backward(image, conv_cache, needs=wanted)
        dx = None if dx is None else dx.reshape(rest[0])
        dw = None if dw is None else dw.reshape(rest[1])
    db = dout.sum(axis=0) if "db" in needs else None
    return dx if want_dx else None, dw if want_dw else None, db


def affine_relu_forward(
    x: Array, w: Array, b: Array | None, *, backend: Choice | None = None
) -> tuple[Array, Cache]:
    """Return relu(x w + b), as :func:`convkit.layers.affine_relu_forward`."""
    out, affine_cache = affine_forward(x, w, b, backend=backend)
    np.maximum(out, 0, out=out)
    return out, (affine_cache, out)


def affine_relu_backward(dout: Array, cache: Cache, *, needs: Needs = GRADIENTS) -> Gradients:
    """Return (dx, dw, db) of :func:`affine_relu_forward`."""
    affine_cache, out = cache
    return affine_backward(layers.relu_backward(dout, out), affine_cache, needs=needs)


def _convolve(image: Array, filters: Array, backend: Choice | None) -> tuple[Array, Any] | None:
    """Return (out, cache); None where it is unsupported or there are no filters."""
    if not len(filters):
        return None
    try:
        return api.conv_forward(image, filters, backend=backend)
    except BackendUnsupportedError:
        return None
