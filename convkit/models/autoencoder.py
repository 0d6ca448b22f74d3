"""A convolutional autoencoder: images to fewer numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError
from convkit.layers import mse_loss
from convkit.models.common import check_counts, check_input_dim
from convkit.models.modules import Conv, ConvTranspose, ReLU
from convkit.models.modules.residual import Element
from convkit.models.sequential import Sequential

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = ["ConvAutoencoder"]


class ConvAutoencoder(Sequential):
    """(3x3 convolution of stride 2 - relu) x N, and back by transposed 4x4 convolutions.

    Each convolution halves the image and each transposed one doubles it; relu is between all of
    them. ``loss(X)`` are the images that come out, ``loss(X, X)`` the mean squared error and its
    gradients.

    Parameters
    ----------
    input_dim:
        (C, H, W) of one image; H and W are multiples of 2^N.
    filters:
        Filters of each of the N convolutions.
    reg:
        Strength of the penalty reg / 2 * the sum of |W|^2.
    dtype, rng, backend:
        As in :class:`Sequential`.
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (3, 32, 32),
        filters: Sequence[int] = (32, 64),
        reg: float = 0.0,
        dtype: npt.DTypeLike = np.float32,
        *,
        rng: int | np.random.Generator | None = None,
        backend: Choice | None = None,
    ) -> None:
        self.filters = tuple(filters)
        check_counts(filters=self.filters)
        c, h, w = check_input_dim(input_dim, len(self.filters))
        step = 2 ** len(self.filters)
        if not self.filters or h % step or w % step:
            raise ParameterError(
                f"input_dim (={tuple(input_dim)}) must have a height and a width that can be "
                f"halved once for each of filters (={self.filters}), at least one"
            )
        layers: list[Element] = []
        for number in self.filters:
            layers += [Conv(number, 3, stride=2, pad=1), ReLU()]
        for number in (*self.filters[-2::-1], c):
            layers += [ConvTranspose(number, 4, stride=2, pad=1), ReLU()]
        super().__init__(
            layers[:-1],
            input_dim=input_dim,
            dtype=dtype,
            rng=rng,
            backend=backend,
            loss=mse_loss,
            reg=reg,
        )
