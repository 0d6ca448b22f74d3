"""A small network of depthwise separable convolutions, in the manner of MobileNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from convkit.models.common import check_counts
from convkit.models.modules import Affine, BatchNorm, Conv, GlobalAvgPool, ReLU
from convkit.models.modules.residual import Element
from convkit.models.sequential import Sequential

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = ["MobileNet"]

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))


class MobileNet(Sequential):
    """3x3 convolution of stride 2 - separable blocks - global average pool - affine - softmax.

    A block is a depthwise 3x3 convolution and a 1x1 convolution, each followed by a batch
    normalisation and relu (Howard et al., 2017).

    Parameters
    ----------
    input_dim, num_classes:
        (C, H, W) of one image; the number of scores.
    stem_filters:
        Filters of the first convolution.
    blocks:
        (filters, stride) of each block; the depthwise convolution has the stride.
    reg:
        Strength of the penalty reg / 2 * the sum of |W|^2.
    dtype, rng, backend:
        As in :class:`Sequential`.
    """

    def __init__(
        self,
        input_dim: Sequence[int] = (3, 64, 64),
        num_classes: int = 10,
        stem_filters: int = 32,
        blocks: Sequence[tuple[int, int]] = BLOCKS,
        reg: float = 0.0,
        dtype: npt.DTypeLike = np.float32,
        *,
        rng: int | np.random.Generator | None = None,
        backend: Choice | None = None,
    ) -> None:
        self.stem_filters, self.num_classes = stem_filters, num_classes
        self.blocks = tuple((filters, stride) for filters, stride in blocks)
        check_counts(stem_filters=stem_filters, num_classes=num_classes)
        check_counts(**{f"blocks[{i}]": block for i, block in enumerate(self.blocks)})
        super().__init__(
            self._layers(), input_dim=input_dim, dtype=dtype, rng=rng, backend=backend, reg=reg
        )

    def _layers(self) -> list[Element]:
        channels = self.stem_filters
        layers: list[Element] = [Conv(channels, 3, stride=2, pad=1), BatchNorm(), ReLU()]
        for filters, stride in self.blocks:
            layers += [Conv(channels, 3, stride=stride, pad=1, groups=channels), BatchNorm()]
            layers += [ReLU(), Conv(filters, 1), BatchNorm(), ReLU()]
            channels = filters
        return [*layers, GlobalAvgPool(), Affine(self.num_classes)]
