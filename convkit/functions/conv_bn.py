"""A convolution, batch normalisation, relu and pool in one call, re-exported by :mod:`convkit.api`.

Shapes are those of :func:`convkit.conv_forward`; gamma and beta are (F,), one for each filter.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from convkit.calls import dispatch
from convkit.calls.dispatch import Cache
from convkit.functions.bn_param import check_inference, merged, momentum_of, move, training_of
from convkit.functions.calling import values_of
from convkit.operations import CONV_BN_PARAM, CONV_BN_RELU, CONV_PARAM, MAX_POOL_PARAM

if TYPE_CHECKING:
    import numpy.typing as npt

    from convkit.contract import Array
    from convkit.selection.request import Choice

__all__ = ["conv_bn_relu", "conv_bn_relu_backward", "conv_bn_relu_forward"]


def conv_bn_relu_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    conv_param: Mapping[str, Any],
    bn_param: MutableMapping[str, Any],
    pool_param: Mapping[str, Any] | None = None,
    *,
    residual: npt.ArrayLike | None = None,
    relu: bool | None = None,
    backend: Choice | None = None,
) -> tuple[Array, Cache]:
    """Convolve, normalise each filter's result over the batch, and apply relu.

    out = maxpool(relu(gamma * (z - mean) / sqrt(var + eps) + beta + residual)), z = conv(x, w, b);
    the pool, relu and residual only where they are asked for. In fewer passes over memory where the
    backend has them, otherwise composed of its parts.

    Parameters
    ----------
    x, w, b:
        (N, C, H, W), (F, C / groups, KH, KW) and (F,) or None; a bias changes nothing in training.
    gamma, beta:
        (F,) each.
    conv_param, pool_param:
        As in :func:`convkit.conv_forward` and :func:`convkit.max_pool_forward`; None: no pool.
    bn_param:
        As in :func:`convkit.batch_norm_forward`, with its ``mode`` or ``training``. In training the
        moved running statistics are put into it, as new arrays.
    residual:
        None, or an array of the shape of z that is added before relu.
    relu:
        Default True; also a key of ``bn_param``. relu keeps NaN, its derivative is 0 at 0.
    backend:
        As in :func:`convkit.conv_forward`.

    Returns
    -------
    out, cache:
        Of the shape of z or of the pooled z, and what :func:`conv_bn_relu_backward` needs.

    Raises
    ------
    The same as :func:`convkit.conv_forward`.
    """
    values, pool, inputs, geometry = _read(x, w, b, gamma, beta, conv_param, bn_param, pool_param,
                                           residual, relu, backend)  # fmt: skip
    training = training_of(values)
    momentum, unbiased = momentum_of(values["momentum"]), bool(values["unbiased"])
    result = _call(True, training, values, inputs, (geometry, pool))
    out, cache, *statistics = result
    if training:
        move(bn_param, statistics, cache.plan.specs[1].set_size, momentum, unbiased)
    return out, cache


def conv_bn_relu_backward(
    dout: npt.ArrayLike, cache: Cache, *, needs: tuple[str, ...] = CONV_BN_RELU.gradients
) -> tuple[Array | None, ...]:
    """Return (dx, dw, db, dgamma, dbeta), and dresidual where one was added.

    ``needs`` names the gradients wanted; the others are None, and so is db where b is. Errors are
    those of :func:`convkit.conv_backward`.
    """
    gradients: tuple[Array | None, ...] = dispatch.backward(CONV_BN_RELU, dout, cache, needs)
    return gradients


def conv_bn_relu(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    conv_param: Mapping[str, Any],
    bn_param: Mapping[str, Any],
    pool_param: Mapping[str, Any] | None = None,
    *,
    residual: npt.ArrayLike | None = None,
    relu: bool | None = None,
    backend: Choice | None = None,
) -> Array:
    """Return out with the running statistics of ``bn_param``: inference, nothing is kept.

    They are needed; the mode "train" is a ParameterError.
    """
    values, pool, inputs, geometry = _read(x, w, b, gamma, beta, conv_param, bn_param, pool_param,
                                           residual, relu, backend)  # fmt: skip
    check_inference("conv_bn_relu", values)
    out: Array = _call(False, False, values, inputs, (geometry, pool))
    return out


def _read(
    x: Any, w: Any, b: Any, gamma: Any, beta: Any, conv_param: Any, bn_param: Any, pool_param: Any,
    residual: Any, relu: Any, backend: Any,
) -> tuple[dict[str, Any], Any, list[Any], Any]:  # fmt: skip
    """Return bn_param's values, backend among them, the pool's, the inputs, the convolution's."""
    geometry, backend = values_of(CONV_PARAM, conv_param, backend)
    pool = None
    if pool_param is not None:
        pool, backend = values_of(MAX_POOL_PARAM, pool_param, backend)
    values = merged(CONV_BN_PARAM, bn_param, {"relu": relu, "backend": backend})
    return values, pool, [x, w, b, gamma, beta, residual], geometry


def _call(want_cache: bool, training: bool, values: Any, inputs: Any, others: Any) -> Any:
    *arrays, residual = inputs
    running = (None, None) if training else (values["running_mean"], values["running_var"])
    norm = (training, values["eps"], values["relu"])
    geometry = (others[0], norm, others[1])
    given = (*arrays, *running, residual)
    return dispatch.call(want_cache, CONV_BN_RELU, given, geometry, values["backend"])
