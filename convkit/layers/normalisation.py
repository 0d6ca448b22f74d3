"""Normalisation under the course's names, on the functions of :mod:`convkit.api`.

A backend may have kernels for them. Arrays of several dtypes are cast to their common one first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convkit import api
from convkit.layers.arrays import Array
from convkit.layers.mode import check_mode

__all__ = [
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "batchnorm_forward",
    "layernorm_backward",
    "layernorm_forward",
    "spatial_batchnorm_backward",
    "spatial_batchnorm_forward",
    "spatial_groupnorm_backward",
    "spatial_groupnorm_forward",
]


def batchnorm_forward(
    x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]
) -> tuple[Array, api.Cache]:
    """Normalise each of the D columns of x (N, D), then scale by gamma (D,) and shift by beta (D,).

    Ioffe & Szegedy (2015). ``bn_param['mode']`` is "train" (the batch's mean and biased variance,
    which also move ``running_mean`` and ``running_var`` in bn_param) or "test" (the running ones).
    ``eps`` (1e-5) is added to the variance; ``momentum`` (0.9) is the share of the old running
    value that stays. The running values start at mean 0 and variance 0, as in the course.
    """
    x, gamma, beta = common(x, gamma, beta)
    start(bn_param, x.shape[1], x.dtype)
    return api.batch_norm_forward(x, gamma, beta, bn_param)


def start(bn_param: dict[str, Any], channels: int, dtype: np.dtype[Any]) -> None:
    """Check the mode; put running statistics of a dtype into ``bn_param``, 0 where it has none."""
    check_mode("bn_param", bn_param)
    for name in ("running_mean", "running_var"):
        running = np.asarray(bn_param.get(name, np.zeros(channels, dtype)))
        bn_param[name] = running.astype(dtype, copy=False)


def batchnorm_backward(dout: Array, cache: api.Cache) -> tuple[Array, ...]:
    """Return (dx, dgamma, dbeta) of :func:`batchnorm_forward`, for dout of x's shape."""
    return gradients_of(api.batch_norm_backward, dout, cache)


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
    x, gamma, beta = common(x, gamma, beta)
    return api.group_norm_forward(x, gamma, beta, groups=1, eps=ln_param.get("eps", 1e-5))


def layernorm_backward(dout: Array, cache: api.Cache) -> tuple[Array, ...]:
    """Return (dx, dgamma, dbeta) of :func:`layernorm_forward`."""
    return gradients_of(api.group_norm_backward, dout, cache)


def spatial_groupnorm_forward(
    x: Array, gamma: Array, beta: Array, G: int, gn_param: Mapping[str, Any]
) -> tuple[Array, api.Cache]:
    """Normalise each of G groups of channels of each image of x (N, C, H, W).

    Wu & He (2018). gamma and beta are (1, C, 1, 1), as in the course. ``gn_param`` may have ``eps``
    (1e-5).
    """
    x, gamma, beta = common(x, gamma, beta)
    eps = gn_param.get("eps", 1e-5)
    return api.group_norm_forward(x, gamma.reshape(-1), beta.reshape(-1), groups=G, eps=eps)


def spatial_groupnorm_backward(dout: Array, cache: api.Cache) -> tuple[Array, ...]:
    """Return (dx, dgamma, dbeta), the latter two (1, C, 1, 1)."""
    dx, *rest = gradients_of(api.group_norm_backward, dout, cache)
    return dx, *(gradient.reshape(1, -1, 1, 1) for gradient in rest)


def common(*arrays: Any) -> tuple[Array, ...]:
    """Return arrays in their common dtype, float32 or float64."""
    found = [np.asarray(a) for a in arrays]
    dtype = np.result_type(*found)
    dtype = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
    return tuple(a.astype(dtype, copy=False) for a in found)


def gradients_of(backward: Any, dout: Any, cache: api.Cache) -> tuple[Array, ...]:
    """Return what a backward function gives for dout, cast to the dtype of its call."""
    dout = np.asarray(dout)
    dtype = getattr(getattr(cache, "plan", None), "dtype", dout.dtype)
    gradients: tuple[Array, ...] = backward(dout.astype(dtype, copy=False), cache)
    return gradients
