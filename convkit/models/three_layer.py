"""The course's three-layer network: conv - relu - 2x2 max pool - affine - relu - affine - softmax.

The smallest network of practical use, and the default of ``convkit train``. It calls
:mod:`convkit.api` and :mod:`convkit.layers` and knows no backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from convkit import api, layers
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

__all__ = ["ThreeLayerConvNet"]


class ThreeLayerConvNet:
    """conv - relu - 2x2 max pool - affine - relu - affine - softmax.

    The convolution keeps the image's size, the pooling halves it, rounding down. Parameters: W1
    (F, C, K, K) and b1 (F,) of the convolution, W2 and b2 of the hidden layer, W3 and b3 of the
    scores; the weights start as Gaussian noise, the biases at 0.

    Parameters
    ----------
    input_dim:
        (C, H, W) of one image; any size from 2x2 pixels.
    num_filters, filter_size, hidden_dim, num_classes:
        F; K; the width of the hidden layer; the number of scores.
    weight_scale:
        Standard deviation of the initial weights.
    reg:
        Strength of the penalty reg / 2 * (|W1|^2 + |W2|^2 + |W3|^2).
    dtype:
        float32 or float64: of the parameters and of every computation.
    rng:
        A seed or a Generator, for the initial weights.
    backend:
        The backend of the layers, as in the layer functions; None follows the current selection.
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (3, 32, 32),
        num_filters: int = 32,
        filter_size: int = 7,
        hidden_dim: int = 100,
        num_classes: int = 10,
        weight_scale: float = 1e-3,
        reg: float = 0.0,
        dtype: npt.DTypeLike = np.float32,
        *,
        rng: int | np.random.Generator | None = None,
        backend: Choice | None = None,
    ) -> None:
        c, h, w = self.input_dim = check_input_dim(input_dim)
        check_counts(
            num_filters=num_filters,
            filter_size=filter_size,
            hidden_dim=hidden_dim,
            num_classes=num_classes,
        )
        self.reg = check_number("reg", reg)
        self.dtype = check_dtype(dtype)
        self.backend = backend
        self.num_classes = num_classes
        scale = check_number("weight_scale", weight_scale)
        generator = np.random.default_rng(rng)

        def weights(*shape: int) -> Array:
            return (scale * generator.standard_normal(shape)).astype(self.dtype)

        self.params: dict[str, Array] = {
            "W1": weights(num_filters, c, filter_size, filter_size),
            "b1": np.zeros(num_filters, self.dtype),
            "W2": weights(num_filters * (h // 2) * (w // 2), hidden_dim),
            "b2": np.zeros(hidden_dim, self.dtype),
            "W3": weights(hidden_dim, num_classes),
            "b3": np.zeros(num_classes, self.dtype),
        }
        self.buffers: dict[str, Array] = {}

    @overload
    def loss(self, X: npt.ArrayLike, y: None = None) -> Array: ...
    @overload
    def loss(self, X: npt.ArrayLike, y: Labels) -> tuple[float, dict[str, Array]]: ...

    def loss(
        self, X: npt.ArrayLike, y: Labels | None = None
    ) -> Array | tuple[float, dict[str, Array]]:
        """Return the scores (N, num_classes) of images X (N, C, H, W).

        With labels y (N,): the loss and its gradient for every parameter, by name.
        """
        p = self.params
        x = as_batch(X, self.input_dim, self.dtype)
        pooled, conv_cache = api.conv_relu_pool_forward(
            x, p["W1"], p["b1"], {"stride": 1, "pad": "same"}, POOL, backend=self.backend
        )
        hidden, hidden_cache = affine_relu_forward(pooled, p["W2"], p["b2"], backend=self.backend)
        scores, scores_cache = affine_forward(hidden, p["W3"], p["b3"], backend=self.backend)
        if y is None:
            return scores

        loss, dscores = layers.softmax_loss(scores, y)
        grads: dict[str, Any] = {}
        dhidden, grads["W3"], grads["b3"] = affine_backward(dscores, scores_cache)
        dpooled, grads["W2"], grads["b2"] = affine_relu_backward(dhidden, hidden_cache)
        _, grads["W1"], grads["b1"] = api.conv_relu_pool_backward(
            dpooled, conv_cache, needs=("dw", "db")
        )
        return add_penalty(loss, grads, p, ("W1", "W2", "W3"), self.reg), grads
