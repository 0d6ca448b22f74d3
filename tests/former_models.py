"""The networks as they were before Sequential, whose results must stay to the bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from convkit import api, layers
from convkit.models import affine
from convkit.models.common import add_penalty

POOL = {"pool_height": 2, "pool_width": 2, "stride": 2}


def three_layer_params(input_dim, filters, size, hidden, classes, scale, dtype, seed):
    """Return the initial parameters of the three-layer network."""
    rng = np.random.default_rng(seed)
    c, h, w = input_dim
    shapes = (filters, c, size, size), (filters * (h // 2) * (w // 2), hidden), (hidden, classes)
    return _params(shapes, (filters, hidden, classes), (scale,) * 3, dtype, rng)


def deep_params(input_dim, filters, size, hidden, classes, dtype, seed):
    """Return the initial parameters of the deep network, at He's scale."""
    rng = np.random.default_rng(seed)
    c, h, w = input_dim
    shapes, outputs, scales = [], [], []
    for f in filters:
        shapes.append((f, c, size, size))
        outputs.append(f)
        scales.append(np.sqrt(2 / (c * size * size)))
        c, h, w = f, h // 2, w // 2
    for d, m in pairwise((c * h * w, *hidden, classes)):
        shapes.append((d, m))
        outputs.append(m)
        scales.append(np.sqrt(2 / d))
    return _params(shapes, outputs, scales, dtype, rng)


def _params(shapes, outputs, scales, dtype, rng):
    params = {}
    for i, (shape, out, scale) in enumerate(zip(shapes, outputs, scales, strict=True), 1):
        params[f"W{i}"] = (scale * rng.standard_normal(shape)).astype(dtype)
        params[f"b{i}"] = np.zeros(out, dtype)
    return params


def loss(p, X, y, *, convs, hidden, reg=0.0, keep=None, rng=None, backend=None):
    """Return scores, or with y (loss, grads), of (conv - relu - pool) x convs - affines."""
    x, tape = np.asarray(X, p["W1"].dtype), []
    last = convs + hidden + 1
    for i in range(1, last + 1):
        w, b = p[f"W{i}"], p[f"b{i}"]
        if i <= convs:
            x, cache = api.conv_relu_pool_forward(x, w, b, {"pad": "same"}, POOL, backend=backend)
        elif i < last:
            x, cache = affine.affine_relu_forward(x, w, b, backend=backend)
        else:
            x, cache = affine.affine_forward(x, w, b, backend=backend)
        mask = None
        if keep is not None and convs < i < last:
            mode = "test" if y is None else "train"
            x, mask = layers.dropout_forward(x, {"mode": mode, "p": keep, "rng": rng})
        tape.append((i, cache, mask))
    if y is None:
        return x
    value, dout = layers.softmax_loss(x, y)
    grads = {}
    for i, cache, mask in reversed(tape):
        if mask is not None:
            dout = layers.dropout_backward(dout, mask)
        if i <= convs:
            needs = ("dw", "db") if i == 1 else ("dx", "dw", "db")
            found = api.conv_relu_pool_backward(dout, cache, needs=needs)
        else:
            back = affine.affine_backward if i == last else affine.affine_relu_backward
            found = back(dout, cache)
        dout, grads[f"W{i}"], grads[f"b{i}"] = found
    weights = [name for name in p if name.startswith("W")]
    return add_penalty(value, grads, p, weights, reg), grads
