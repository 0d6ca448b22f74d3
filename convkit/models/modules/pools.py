"""The pools: MaxPool, AvgPool, GlobalAvgPool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from convkit import api
from convkit.errors import ShapeError
from convkit.models.common import Array
from convkit.models.modules.layer import Arrays, Context, Layer, Needs, Shape
from convkit.models.modules.operation import OperationLayer
from convkit.spec import Axes, Pad, PoolSpec

__all__ = ["AvgPool", "GlobalAvgPool", "MaxPool"]


@dataclass(repr=False)
class MaxPool(OperationLayer):
    """Max pooling; arguments and defaults are those of :func:`convkit.max_pool_forward`."""

    kernel: Axes
    stride: Axes | None = None
    pad: Pad = 0
    dilation: Axes = 1
    ceil_mode: bool = False

    operation: ClassVar[str] = "max_pool"
    settings: ClassVar[tuple[str, ...]] = ("kernel", "stride", "pad", "dilation", "ceil_mode")

    def output_shape(self, shape: Shape) -> Shape:
        """Return (C, OH, OW)."""
        given = self.parameters(True)
        return PoolSpec.of((1, *shape), kind="max", dtype=np.float32, **given).out_shape[1:]


@dataclass(repr=False)
class AvgPool(OperationLayer):
    """Average pooling; arguments and defaults are those of :func:`convkit.avg_pool_forward`."""

    kernel: Axes
    stride: Axes | None = None
    pad: Pad = 0
    ceil_mode: bool = False
    count_include_pad: bool = False

    operation: ClassVar[str] = "avg_pool"
    settings: ClassVar[tuple[str, ...]] = (
        "kernel",
        "stride",
        "pad",
        "ceil_mode",
        "count_include_pad",
    )

    def output_shape(self, shape: Shape) -> Shape:
        """Return (C, OH, OW)."""
        given = self.parameters(True)
        return PoolSpec.of((1, *shape), kind="avg", dtype=np.float32, **given).out_shape[1:]


@dataclass(repr=False)
class GlobalAvgPool(Layer):
    """The average of each channel: an average pool with one window, the image. Output (C,)."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return (C,)."""
        if len(shape) < 2:
            raise ShapeError(f"the input's shape (={shape}) must be (C, spatial axes ...)")
        return shape[:1]

    def forward(self, x: Array, arrays: Arrays, context: Context) -> tuple[Array, Any]:
        """Return (N, C)."""
        out, cache = api.avg_pool_forward(x, kernel=x.shape[2:], backend=context.backend)
        return out.reshape(x.shape[:2]), (cache, out.shape)

    def infer(self, x: Array, arrays: Arrays, context: Context) -> Array:
        """Return (N, C)."""
        return api.avg_pool(x, kernel=x.shape[2:], backend=context.backend).reshape(x.shape[:2])

    def backward(self, dout: Array, cache: Any, needs: Needs) -> tuple[Array | None, Arrays]:
        """Return dx."""
        pool_cache, shape = cache
        return api.avg_pool_backward(dout.reshape(shape), pool_cache), {}
