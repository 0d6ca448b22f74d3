"""A deeper network of a configurable depth: (conv - [norm] - relu - pool) x N - affine x M.

For data on which three layers are not enough. It calls :mod:`convkit.api` and
:mod:`convkit.layers` and knows no backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from convkit import api, layers
from convkit.errors import ParameterError
from convkit.models.affine import (
    affine_backward,
    affine_forward,
    affine_relu_backward,
    affine_relu_forward,
)
from convkit.models.common import (
    POOL,
    Array,
    Labels,
    add_penalty,
    as_batch,
    check_counts,
    check_dtype,
    check_input_dim,
    check_number,
)

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = ["DeepConvNet"]

# The backward function of one layer: returns dx for dout, and adds its gradients by name.
Backward: TypeAlias = Callable[[Array, dict[str, Any]], Array]


class DeepConvNet:
    """(conv - [batch norm] - relu - 2x2 max pool) x N - (affine - relu - [dropout]) x M - affine.

    Parameters are numbered through the layers: W1, b1, ... (with batch norm gamma1, beta1, ...
    for the convolutions). ``buffers`` holds the running means and variances.

    Parameters
    ----------
    input_dim:
        (C, H, W) of one image, at least 2^N pixels high and wide.
    num_filters:
        Filters of each convolution; its length is N, at least 1.
    filter_size, hidden_dims, num_classes:
        Size of every filter; widths of the hidden layers (M of them, none allowed); scores.
    weight_scale:
        Standard deviation of the initial weights; None: sqrt(2 / fan-in) (He et al., 2015).
    reg:
        Strength of the penalty reg / 2 * the sum of |W|^2.
    batchnorm:
        Normalise between each convolution and its relu.
    dropout:
        The fraction of hidden units that is kept in training, or None.
    dtype, rng, backend:
        As in ThreeLayerConvNet; ``rng`` also draws the dropout masks.
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (3, 32, 32),
        num_filters: Sequence[int] = (32, 64),
        filter_size: int = 3,
        hidden_dims: Sequence[int] = (100,),
        num_classes: int = 10,
        weight_scale: float | None = None,
        reg: float = 0.0,
        batchnorm: bool = False,
        dropout: float | None = None,
        dtype: npt.DTypeLike = np.float32,
        *,
        rng: int | np.random.Generator | None = None,
        backend: Choice | None = None,
    ) -> None:
        self.num_filters, self.hidden_dims = tuple(num_filters), tuple(hidden_dims)
        check_counts(
            num_filters=self.num_filters,
            filter_size=filter_size,
            hidden_dims=self.hidden_dims,
            num_classes=num_classes,
        )
        if not self.num_filters:
            raise ParameterError("num_filters (=()) must name at least one convolution")
        if dropout is not None and not 0 < dropout <= 1:
            raise ParameterError(
                f"dropout (={dropout!r}) must be greater than 0 and at most 1, or None"
            )
        self.input_dim = check_input_dim(input_dim, len(self.num_filters))
        self.reg = check_number("reg", reg)
        self.batchnorm, self.dropout = batchnorm, dropout
        self.dtype, self.backend, self.num_classes = check_dtype(dtype), backend, num_classes
        self.rng = np.random.default_rng(rng)
        self.params: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        scale = None if weight_scale is None else check_number("weight_scale", weight_scale)
        self._create_parameters(filter_size, scale)

    def _create_parameters(self, filter_size: int, scale: float | None) -> None:
        channels, h, w = self.input_dim
        shapes: list[tuple[int, ...]] = []
        for filters in self.num_filters:
            shapes.append((filters, channels, filter_size, filter_size))
            channels, h, w = filters, h // 2, w // 2
        widths = (channels * h * w, *self.hidden_dims, self.num_classes)
        shapes += pairwise(widths)
        for i, shape in enumerate(shapes, 1):
            outputs, fan_in = shape[0], int(np.prod(shape[1:]))
            if i > len(self.num_filters):
                fan_in, outputs = shape
            std = np.sqrt(2 / fan_in) if scale is None else scale
            self.params[f"W{i}"] = (std * self.rng.standard_normal(shape)).astype(self.dtype)
            self.params[f"b{i}"] = np.zeros(outputs, self.dtype)
            if self.batchnorm and i <= len(self.num_filters):
                self.params[f"gamma{i}"] = np.ones(outputs, self.dtype)
                self.params[f"beta{i}"] = np.zeros(outputs, self.dtype)
                self.buffers[f"running_mean{i}"] = np.zeros(outputs, self.dtype)
                self.buffers[f"running_var{i}"] = np.zeros(outputs, self.dtype)

    @overload
    def loss(self, X: npt.ArrayLike, y: None = None) -> Array: ...
    @overload
    def loss(self, X: npt.ArrayLike, y: Labels) -> tuple[float, dict[str, Array]]: ...

    def loss(
        self, X: npt.ArrayLike, y: Labels | None = None
    ) -> Array | tuple[float, dict[str, Array]]:
        """Return the scores (N, num_classes) of images X (N, C, H, W), in test mode.

        With labels y (N,), in training mode: the loss and its gradient for every parameter.
        """
        mode = "test" if y is None else "train"
        x = as_batch(X, self.input_dim, self.dtype)
        tape: list[Backward] = []
        last = len(self.num_filters) + len(self.hidden_dims) + 1
        for i in range(1, last + 1):
            if i <= len(self.num_filters):
                x = self._block(i, x, mode, tape)
            elif i < last:
                x = self._hidden(i, x, mode, tape)
            else:
                x = self._affine(i, x, tape)
        if y is None:
            return x

        loss, dout = layers.softmax_loss(x, y)
        grads: dict[str, Any] = {}
        for backward in reversed(tape):
            dout = backward(dout, grads)
        weights = [name for name in self.params if name.startswith("W")]
        return add_penalty(loss, grads, self.params, weights, self.reg), grads

    def _block(self, i: int, x: Array, mode: str, tape: list[Backward]) -> Array:
        """conv - [batch norm] - relu - pool, layer i."""
        w, b = self.params[f"W{i}"], self.params[f"b{i}"]
        needs = ("dw", "db") if i == 1 else ("dx", "dw", "db")
        if not self.batchnorm:
            out, cache = api.conv_relu_pool_forward(
                x, w, b, {"pad": "same"}, POOL, backend=self.backend
            )

            def backward(dout: Array, grads: dict[str, Any]) -> Array:
                dx, grads[f"W{i}"], grads[f"b{i}"] = api.conv_relu_pool_backward(
                    dout, cache, needs=needs
                )
                return dout if dx is None else dx

            tape.append(backward)
            return out

        z, conv_cache = api.conv_forward(x, w, b, pad="same", backend=self.backend)
        normal, norm_cache = self._normalise(i, z, mode)
        np.maximum(normal, 0, out=normal)
        out, pool_cache = api.max_pool_forward(normal, POOL, backend=self.backend)

        def backward_normalised(dout: Array, grads: dict[str, Any]) -> Array:
            dz = layers.relu_backward(api.max_pool_backward(dout, pool_cache), normal)
            dz, grads[f"gamma{i}"], grads[f"beta{i}"] = layers.spatial_batchnorm_backward(
                dz, norm_cache
            )
            dx, grads[f"W{i}"], grads[f"b{i}"] = api.conv_backward(dz, conv_cache, needs=needs)
            return dout if dx is None else dx

        tape.append(backward_normalised)
        return out

    def _normalise(self, i: int, z: Array, mode: str) -> tuple[Array, Any]:
        names = {"running_mean": f"running_mean{i}", "running_var": f"running_var{i}"}
        bn_param: dict[str, Any] = {"mode": mode}
        bn_param |= {key: self.buffers[name] for key, name in names.items()}
        gamma, beta = self.params[f"gamma{i}"], self.params[f"beta{i}"]
        result = layers.spatial_batchnorm_forward(z, gamma, beta, bn_param)
        self.buffers |= {name: bn_param[key] for key, name in names.items()}
        return result

    def _hidden(self, i: int, x: Array, mode: str, tape: list[Backward]) -> Array:
        """affine - relu - [dropout], layer i."""
        out, cache = affine_relu_forward(
            x, self.params[f"W{i}"], self.params[f"b{i}"], backend=self.backend
        )

        def backward(dout: Array, grads: dict[str, Any]) -> Array:
            dx, grads[f"W{i}"], grads[f"b{i}"] = affine_relu_backward(dout, cache)
            return dx

        tape.append(backward)
        if self.dropout is not None:
            param = {"mode": mode, "p": self.dropout, "rng": self.rng}
            out, drop_cache = layers.dropout_forward(out, param)
            tape.append(lambda dout, grads: layers.dropout_backward(dout, drop_cache))
        return out

    def _affine(self, i: int, x: Array, tape: list[Backward]) -> Array:
        out, cache = affine_forward(
            x, self.params[f"W{i}"], self.params[f"b{i}"], backend=self.backend
        )

        def backward(dout: Array, grads: dict[str, Any]) -> Array:
            dx, grads[f"W{i}"], grads[f"b{i}"] = affine_backward(dout, cache)
            return dx

        tape.append(backward)
        return out
