"""Some images at a time, so that what lies between two kernels stays in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any

from convkit.spec import ConvSpec


def parts(spec: ConvSpec, most: int) -> Iterator[slice]:
    """Slices of some images, whose results take about ``most`` bytes."""
    images = max(1, most // (prod(spec.out_shape[1:]) * spec.dtype.itemsize))
    for start in range(0, spec.x_shape[0], images):
        yield slice(start, min(start + images, spec.x_shape[0]))


@lru_cache(maxsize=256)
def of_images(spec: Any, count: int) -> Any:
    """The same problem on ``count`` images."""
    x_shape, out_shape = (count, *spec.x_shape[1:]), (count, *spec.out_shape[1:])
    return replace(spec, x_shape=x_shape, out_shape=out_shape)
