"""The normalisations of the API, re-exported by :mod:`convkit.api`.

x is (N, C) or (N, C, spatial axes ...), gamma and beta are (C,), and out has the shape of x. The
running statistics of a batch normalisation are moved here; all else is as in the other layer
functions: arguments are read, the call is made, the values come from a backend.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from convkit.calls import dispatch
from convkit.calls.dispatch import Cache
from convkit.errors import ParameterError
from convkit.functions.bn_param import check_inference, merged, momentum_of, move, training_of
from convkit.functions.calling import call_merged
from convkit.operations import BATCH_NORM, BATCH_NORM_PARAM, GROUP_NORM

if TYPE_CHECKING:
    import numpy.typing as npt

    from convkit.contract import Array
    from convkit.selection.request import Choice

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_forward",
    "group_norm",
    "group_norm_backward",
    "group_norm_forward",
]


def batch_norm_forward(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    bn_param: MutableMapping[str, Any] | None = None,
    *,
    training: bool | None = None,
    running_mean: npt.ArrayLike | None = None,
    running_var: npt.ArrayLike | None = None,
    eps: float | None = None,
    momentum: float | None = None,
    unbiased: bool | None = None,
    relu: bool | None = None,
    residual: npt.ArrayLike | None = None,
    backend: Choice | None = None,
) -> tuple[Array, Cache]:
    """Normalise each channel of x over the batch and all pixels (Ioffe & Szegedy, 2015).

    out = relu(gamma * (x - mean) / sqrt(var + eps) + beta + residual), relu and residual only where
    they are asked for.

    Parameters
    ----------
    x, gamma, beta:
        (N, C) or (N, C, H, W), (C,) and (C,).
    bn_param:
        The keywords as a dictionary, as in CS231n, where ``mode`` is "train" or "test". In training
        the moved running statistics are put into it, as new arrays, under ``running_mean`` and
        ``running_var``; where it has none they start at 0. No other argument is ever written to.
    training:
        Default True: the batch's mean and biased variance. False: the running ones.
    running_mean, running_var:
        (C,) each; as keywords only where ``training`` is False.
    eps, momentum:
        Default 1e-5, and 0.9: running = momentum * running + (1 - momentum) * batch.
    unbiased:
        Default False. Move running_var by the unbiased variance, as PyTorch does (whose momentum of
        0.1 is 0.9 here); with one element by the biased one.
    relu, residual:
        Default False, and None: an array of x's shape that is added before relu.
    backend:
        As in :func:`convkit.conv_forward`.

    Returns
    -------
    out, cache:
        Of x's shape, and what :func:`batch_norm_backward` needs.

    Raises
    ------
    The same as :func:`convkit.conv_forward`.
    """
    given = {
        "training": training, "eps": eps, "relu": relu, "running_mean": running_mean,
        "running_var": running_var, "momentum": momentum, "unbiased": unbiased, "backend": backend,
    }  # fmt: skip
    return _batch_norm_forward(x, gamma, beta, bn_param, residual, given)


def _batch_norm_forward(
    x: Any, gamma: Any, beta: Any, bn_param: Any, residual: Any, given: dict[str, Any]
) -> tuple[Array, Cache]:
    values = merged(BATCH_NORM_PARAM, bn_param, given)
    training = training_of(values)
    mean, var = values["running_mean"], values["running_var"]
    momentum, unbiased = momentum_of(values["momentum"]), bool(values["unbiased"])
    if training:
        for name in ("running_mean", "running_var"):
            if given[name] is not None:
                raise ParameterError(
                    f"{name} goes with training=False; in training give a bn_param, into which "
                    "the moved statistics are put"
                )
    running = (None, None) if training else (mean, var)
    geometry = (training, values["eps"], values["relu"])
    inputs = (x, gamma, beta, *running, residual)
    result = dispatch.call(True, BATCH_NORM, inputs, (geometry,), values["backend"])
    out, cache, *statistics = result
    if training and bn_param is not None:
        move(bn_param, statistics, cache.plan.spec.set_size, momentum, unbiased)
    return out, cache


def batch_norm_backward(
    dout: npt.ArrayLike, cache: Cache, *, needs: tuple[str, ...] = BATCH_NORM.gradients
) -> tuple[Array | None, ...]:
    """Return (dx, dgamma, dbeta) of a batch normalisation, and dresidual where one was added.

    ``needs`` names the gradients wanted; the others are None. Raises CacheError, ShapeError,
    DtypeError or ParameterError.
    """
    gradients: tuple[Array | None, ...] = dispatch.backward(BATCH_NORM, dout, cache, needs)
    return gradients


def batch_norm(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    bn_param: Mapping[str, Any] | None = None,
    *,
    running_mean: npt.ArrayLike | None = None,
    running_var: npt.ArrayLike | None = None,
    eps: float | None = None,
    relu: bool | None = None,
    residual: npt.ArrayLike | None = None,
    backend: Choice | None = None,
) -> Array:
    """Normalise with the running statistics: inference, nothing is kept for backward.

    They are needed, as keywords or in ``bn_param``; its mode "train" is a ParameterError.
    """
    given = {
        "eps": eps, "relu": relu, "running_mean": running_mean, "running_var": running_var,
        "backend": backend,
    }  # fmt: skip
    values = merged(BATCH_NORM_PARAM, bn_param, given)
    check_inference("batch_norm", values)
    geometry = (False, values["eps"], values["relu"])
    inputs = (x, gamma, beta, values["running_mean"], values["running_var"], residual)
    out: Array = dispatch.call(False, BATCH_NORM, inputs, (geometry,), values["backend"])
    return out


def group_norm_forward(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    gn_param: Mapping[str, Any] | None = None,
    *,
    groups: int | None = None,
    eps: float | None = None,
    relu: bool | None = None,
    residual: npt.ArrayLike | None = None,
    backend: Choice | None = None,
) -> tuple[Array, Cache]:
    """Normalise each image's groups of channels over their channels and pixels (Wu & He, 2018).

    ``groups`` = C is instance normalisation, ``groups`` = 1 layer normalisation. Shapes, ``relu``
    and ``residual`` are those of :func:`batch_norm_forward`; ``gn_param`` holds the keywords as a
    dictionary. Returns out and the cache for :func:`group_norm_backward`.
    """
    inputs, values = (x, gamma, beta, residual), (groups, eps, relu, backend)
    pair: tuple[Array, Cache] = call_merged(True, GROUP_NORM, inputs, gn_param, values)
    return pair


def group_norm_backward(
    dout: npt.ArrayLike, cache: Cache, *, needs: tuple[str, ...] = GROUP_NORM.gradients
) -> tuple[Array | None, ...]:
    """Return (dx, dgamma, dbeta) of a group normalisation, and dresidual where one was added.

    ``needs`` and errors are those of :func:`batch_norm_backward`.
    """
    gradients: tuple[Array | None, ...] = dispatch.backward(GROUP_NORM, dout, cache, needs)
    return gradients


def group_norm(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    gn_param: Mapping[str, Any] | None = None,
    *,
    groups: int | None = None,
    eps: float | None = None,
    relu: bool | None = None,
    residual: npt.ArrayLike | None = None,
    backend: Choice | None = None,
) -> Array:
    """Return :func:`group_norm_forward`'s out alone: inference, nothing is kept."""
    inputs, values = (x, gamma, beta, residual), (groups, eps, relu, backend)
    out: Array = call_merged(False, GROUP_NORM, inputs, gn_param, values)
    return out
