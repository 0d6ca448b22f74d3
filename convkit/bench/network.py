"""The problems that a network's first layer poses, small enough for the naive loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from convkit.bench.problems import Problem
from convkit.models import Conv, MaxPool
from convkit.models.placing import Place

TIMED_OUTPUTS = 20_000
"""The outputs of a batch, about: the naive loops take some 10 µs for each."""


def first_layer_problems(places: Sequence[Place], batch_size: int) -> list[Problem]:
    """Return the first layer's convolution and, where the network pools, a pooling of its output.

    A problem has about TIMED_OUTPUTS outputs: few images, and a crop of each where two whole ones
    have more. A network whose first layer is no convolution has no problems.
    """
    first, *others = places
    conv = first.layer
    if not isinstance(conv, Conv):
        return []
    filters, *size = first.out_shape
    images = int(np.clip(TIMED_OUTPUTS // (filters * math.prod(size)), 2, max(2, batch_size)))
    cropped = _crop(size, TIMED_OUTPUTS / (images * filters))
    channels, *x_size = first.shape
    least = int(np.max(conv.kernel))
    crop = [
        min(n, max(least, n * part // whole))
        for n, part, whole in zip(x_size, cropped, size, strict=True)
    ]
    geometry: Any = (conv.kernel, conv.stride, conv.pad)  # of these networks: one for all axes
    problems = [Problem("conv", "conv", (images, channels, *crop), filters, *geometry)]
    if any(isinstance(place.layer, MaxPool) for place in others):
        shape = (images, filters, *cropped)
        problems.append(Problem("pool", "max", shape, filters, 2, stride=2, pad=0))
    return problems


def _crop(size: Sequence[int], pixels: float) -> list[int]:
    """Return sizes of at most ``size`` and at least 2 with about so many pixels, near a square."""
    cropped = list(size)
    for done, axis in enumerate(np.argsort(size)):
        side = int(max(pixels, 1) ** (1 / (len(size) - done)))
        cropped[axis] = min(size[axis], max(2, side))
        pixels /= cropped[axis]
    return cropped
