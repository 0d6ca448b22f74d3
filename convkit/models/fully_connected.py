"""The course's fully connected network of any depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError
from convkit.models.common import check_counts
from convkit.models.modules import Affine, BatchNorm, Dropout, GroupNorm, ReLU
from convkit.models.modules.residual import Element
from convkit.models.sequential import Sequential

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = ["FullyConnectedNet"]

NORMALIZATIONS = {None: None, "batchnorm": BatchNorm(), "layernorm": GroupNorm(1)}


class FullyConnectedNet(Sequential):
    """(affine - [norm] - relu - [dropout]) x L - affine - softmax, with the course's signature.

    Parameters are numbered through the layers, W1, b1, ..., with gamma1, beta1, ... of the
    normalisations.

    Parameters
    ----------
    hidden_dims:
        Widths of the hidden layers.
    input_dim:
        How many numbers an example has, or their shape; examples of any shape with so many are
        taken.
    num_classes:
        The number of scores.
    dropout_keep_ratio:
        The share of hidden units that is kept in training; 1: no dropout.
    normalization:
        None, "batchnorm" or "layernorm", between each hidden affine layer and its relu.
    reg:
        Strength of the penalty reg / 2 * the sum of |W|^2.
    weight_scale:
        Standard deviation of the initial weights; None: sqrt(2 / fan-in) (He et al., 2015).
    dtype, rng, backend:
        As in :class:`Sequential`.
    seed:
        Makes every dropout mask the same one, as a gradient check needs.
    """

    def __init__(
        self,
        hidden_dims: Sequence[int] = (100,),
        input_dim: int | Sequence[int] = 3 * 32 * 32,
        num_classes: int = 10,
        dropout_keep_ratio: float = 1,
        normalization: str | None = None,
        reg: float = 0.0,
        weight_scale: float | None = 1e-2,
        dtype: npt.DTypeLike = np.float32,
        seed: int | None = None,
        *,
        rng: int | np.random.Generator | None = None,
        backend: Choice | None = None,
    ) -> None:
        if normalization not in NORMALIZATIONS:
            raise ParameterError(
                f"normalization (={normalization!r}) must be 'batchnorm', 'layernorm' or None"
            )
        dims = (input_dim,) if isinstance(input_dim, int | np.integer) else tuple(input_dim)
        check_counts(input_dim=dims)
        size = math.prod(dims)
        self.hidden_dims, self.num_classes = tuple(hidden_dims), num_classes
        check_counts(hidden_dims=self.hidden_dims, num_classes=num_classes)
        self.dropout_keep_ratio, self.seed = dropout_keep_ratio, seed
        self.normalization, self.weight_scale = normalization, weight_scale
        super().__init__(
            self._layers(),
            input_dim=(size,),
            dtype=dtype,
            rng=rng,
            backend=backend,
            reg=reg,
        )

    def _layers(self) -> list[Element]:
        scale, norm = self.weight_scale, NORMALIZATIONS[self.normalization]
        dropout = Dropout(keep=self.dropout_keep_ratio, seed=self.seed)
        layers: list[Element] = []
        for units in self.hidden_dims:
            layers.append(Affine(units, bias=True, weight_scale=scale))
            layers += [] if norm is None else [norm]
            layers.append(ReLU())
            layers += [] if dropout.keep == 1 else [dropout]
        return [*layers, Affine(self.num_classes, weight_scale=scale)]
