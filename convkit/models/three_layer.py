"""The course's three-layer network: conv - relu - 2x2 max pool - affine - relu - affine - softmax.

The smallest network of practical use, and the default of ``convkit train``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from convkit.models.common import POOL_SIZE, check_counts, check_input_dim, check_number
from convkit.models.modules import Affine, Conv, MaxPool, ReLU
from convkit.models.sequential import Sequential

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = ["ThreeLayerConvNet"]


class ThreeLayerConvNet(Sequential):
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
        check_input_dim(input_dim)
        check_counts(
            num_filters=num_filters,
            filter_size=filter_size,
            hidden_dim=hidden_dim,
            num_classes=num_classes,
        )
        self.num_filters, self.filter_size = num_filters, filter_size
        self.hidden_dim, self.num_classes = hidden_dim, num_classes
        scale = self.weight_scale = check_number("weight_scale", weight_scale)
        layers = [
            Conv(num_filters, filter_size, pad="same", weight_scale=scale),
            ReLU(),
            MaxPool(POOL_SIZE),
            Affine(hidden_dim, weight_scale=scale),
            ReLU(),
            Affine(num_classes, weight_scale=scale),
        ]
        super().__init__(
            layers, input_dim=input_dim, dtype=dtype, rng=rng, backend=backend, reg=reg
        )
