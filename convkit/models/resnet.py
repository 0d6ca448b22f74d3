"""ResNet, in its form for small images (He et al., 2016, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError
from convkit.models.common import check_counts
from convkit.models.modules import Affine, BatchNorm, Conv, GlobalAvgPool, ReLU, Residual
from convkit.models.modules.residual import Element
from convkit.models.sequential import Sequential

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = ["ResNet"]


class ResNet(Sequential):
    """3x3 convolution - stages of residual blocks - global average pool - affine - softmax.

    A block is relu(norm(conv3x3(relu(norm(conv3x3(x))))) + shortcut(x)), with batch normalisations.
    The first block of every stage but the first halves the image (stride 2) and has a 1x1
    convolution with a normalisation as its shortcut. The default is ResNet-20.

    Parameters
    ----------
    input_dim, num_classes:
        (C, H, W) of one image; the number of scores.
    stage_blocks, stage_filters:
        How many blocks each stage has, and how many filters.
    reg:
        Strength of the penalty reg / 2 * the sum of |W|^2.
    dtype, rng, backend:
        As in :class:`Sequential`.
    """

    def __init__(
        self,
        input_dim: Sequence[int] = (3, 32, 32),
        num_classes: int = 10,
        stage_blocks: Sequence[int] = (3, 3, 3),
        stage_filters: Sequence[int] = (16, 32, 64),
        reg: float = 0.0,
        dtype: npt.DTypeLike = np.float32,
        *,
        rng: int | np.random.Generator | None = None,
        backend: Choice | None = None,
    ) -> None:
        self.stage_blocks, self.stage_filters = tuple(stage_blocks), tuple(stage_filters)
        self.num_classes = num_classes
        check_counts(
            stage_blocks=self.stage_blocks,
            stage_filters=self.stage_filters,
            num_classes=num_classes,
        )
        if not self.stage_blocks or len(self.stage_blocks) != len(self.stage_filters):
            raise ParameterError(
                f"stage_blocks (={self.stage_blocks}) and stage_filters (={self.stage_filters}) "
                "must have one number for each stage, of which there is at least one"
            )
        super().__init__(
            self._layers(), input_dim=input_dim, dtype=dtype, rng=rng, backend=backend, reg=reg
        )

    def _layers(self) -> list[Element]:
        layers: list[Element] = [Conv(self.stage_filters[0], 3, pad=1), BatchNorm(), ReLU()]
        for stage, (blocks, filters) in enumerate(
            zip(self.stage_blocks, self.stage_filters, strict=True)
        ):
            for block in range(blocks):
                layers.append(_block(filters, 2 if stage and not block else 1))
        return [*layers, GlobalAvgPool(), Affine(self.num_classes)]


def _block(filters: int, stride: int) -> Residual:
    return Residual(
        [
            Conv(filters, 3, stride=stride, pad=1),
            BatchNorm(),
            ReLU(),
            Conv(filters, 3, pad=1),
            BatchNorm(),
        ]
    )
