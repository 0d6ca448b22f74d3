"""The problems that a network's first layer poses, small enough for the naive loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from convkit.bench.problems import Problem
from convkit.models import Conv, MaxPool
from convkit.models.placing import Place

MOST_OUTPUTS = 20_000
"""The outputs of a batch, about: the naive loops then take about a second."""


def first_layer_problems(places: Sequence[Place], batch_size: int) -> list[Problem]:
    """Return the first layer's convolution and, where the network pools, a pooling of its output.

    A batch has 2 to ``batch_size`` images, as MOST_OUTPUTS allows. A network whose first layer is
    no convolution has no problems.
    """
    first, *others = places
    conv = first.layer
    if not isinstance(conv, Conv):
        return []
    filters, *size = first.out_shape
    images = int(np.clip(MOST_OUTPUTS // (filters * math.prod(size)), 2, batch_size))
    geometry: Any = (conv.kernel, conv.stride, conv.pad)  # of these networks: one for all axes
    problems = [Problem("conv", "conv", (images, *first.shape), filters, *geometry)]
    if any(isinstance(place.layer, MaxPool) for place in others):
        shape = (images, filters, *size)
        problems.append(Problem("pool", "max", shape, filters, 2, stride=2, pad=0))
    return problems
