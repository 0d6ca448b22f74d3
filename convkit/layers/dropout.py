"""Dropout, under the course's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from convkit.errors import ParameterError
from convkit.layers.arrays import Array, Cache
from convkit.layers.mode import check_mode

__all__ = ["dropout_backward", "dropout_forward"]


def dropout_forward(x: Array, dropout_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Keep each number of x with probability p and divide it by p; the others become 0.

    Srivastava et al. (2014), inverted: nothing is left to do in mode "test", which returns a copy.
    ``dropout_param``: ``mode``, ``p`` in (0, 1], and ``rng`` (a Generator) or ``seed``, which makes
    every call draw the same mask, as a gradient check needs.
    """
    mode = check_mode("dropout_param", dropout_param)
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
