"""A deeper network of a configurable depth: (conv - [norm] - relu - pool) x N - affine x M.

For data on which three layers are not enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError
from convkit.models.common import POOL_SIZE, check_counts, check_input_dim, check_number
from convkit.models.modules import Affine, BatchNorm, Conv, Dropout, MaxPool, ReLU
from convkit.models.modules.residual import Element
from convkit.models.sequential import Sequential

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = ["DeepConvNet"]


class DeepConvNet(Sequential):
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
        check_input_dim(input_dim, len(self.num_filters))
        self.filter_size, self.num_classes = filter_size, num_classes
        self.batchnorm, self.dropout = batchnorm, dropout
        self.weight_scale = weight_scale
        if weight_scale is not None:
            check_number("weight_scale", weight_scale)
        super().__init__(
            self._layers(), input_dim=input_dim, dtype=dtype, rng=rng, backend=backend, reg=reg
        )
        for name in self.buffers:  # as in the course, where running variances start at 0 too
            self.buffers[name] = np.zeros_like(self.buffers[name])

    def _layers(self) -> list[Element]:
        scale = self.weight_scale
        layers: list[Element] = []
        for filters in self.num_filters:
            layers.append(
                Conv(filters, self.filter_size, pad="same", bias=True, weight_scale=scale)
            )
            layers += [BatchNorm()] if self.batchnorm else []
            layers += [ReLU(), MaxPool(POOL_SIZE)]
        for units in self.hidden_dims:
            layers += [Affine(units, weight_scale=scale), ReLU()]
            layers += [] if self.dropout is None else [Dropout(keep=self.dropout)]
        return [*layers, Affine(self.num_classes, weight_scale=scale)]
