"""The layers with weights: Conv, ConvTranspose, Affine."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from convkit.errors import ShapeError
from convkit.models.common import check_counts, check_number
from convkit.models.modules.layer import Arrays, Shape
from convkit.models.modules.operation import OperationLayer
from convkit.spec import Axes, ConvSpec, ConvTransposeSpec, Pad, PadMode
from convkit.spec.arguments import per_axis

__all__ = ["Affine", "Conv", "ConvTranspose", "Weighted"]


@dataclass(repr=False)
class Weighted(OperationLayer):
    """A layer with weights W and a bias b.

    Parameters
    ----------
    bias:
        None: there is one, unless a normalisation follows, which would take it away again.
    weight_scale:
        Standard deviation of the initial weights; None: sqrt(2 / fan-in) (He et al., 2015). The
        bias starts at 0.
    """

    bias: bool | None = field(default=None, kw_only=True)
    weight_scale: float | None = field(default=None, kw_only=True)

    operands: ClassVar[tuple[str, ...]] = ("W", "b")

    def __post_init__(self) -> None:
        if self.weight_scale is not None:
            check_number("weight_scale", self.weight_scale)

    @abstractmethod
    def weight_shape(self, shape: Shape) -> Shape:
        """Return the shape of W for an input shape."""

    @abstractmethod
    def fan_in(self, shape: Shape) -> int:
        """Return how many products each number of the output sums."""

    def create(self, shape: Shape, rng: np.random.Generator) -> Arrays:
        """Return W, and b where there is one."""
        std = self.weight_scale
        scale = np.sqrt(2 / self.fan_in(shape)) if std is None else std
        created = {"W": scale * rng.standard_normal(self.weight_shape(shape))}
        if self.bias is not False:
            created["b"] = np.zeros(self.output_shape(shape)[0])
        return created


@dataclass(repr=False)
class Conv(Weighted):
    """A convolution; arguments and defaults are those of :func:`convkit.conv_forward`.

    W (filters, C / groups, *kernel). ``kernel`` is an int or one per spatial axis; the input's
    shape says how many axes there are.
    """

    filters: int
    kernel: Axes
    stride: Axes = 1
    pad: Pad = 0
    dilation: Axes = 1
    groups: int = 1
    pad_mode: PadMode = "zeros"

    operation: ClassVar[str] = "conv"
    settings: ClassVar[tuple[str, ...]] = ("stride", "pad", "dilation", "groups", "pad_mode")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(filters=self.filters, groups=self.groups)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return (filters, C / groups, *kernel)."""
        return (self.filters, shape[0] // self.groups, *_kernel(self.kernel, shape))

    def fan_in(self, shape: Shape) -> int:
        """Return the size of one filter."""
        return math.prod(self.weight_shape(shape)[1:])

    def output_shape(self, shape: Shape) -> Shape:
        """Return (filters, OH, OW)."""
        spec = ConvSpec.of(
            (1, *shape), self.weight_shape(shape), dtype=np.float32, **self.parameters(True)
        )
        return spec.out_shape[1:]

    def multiply_adds(self, shape: Shape) -> int:
        """Return the size of W times the output's pixels."""
        return math.prod(self.weight_shape(shape)) * math.prod(self.output_shape(shape)[1:])


@dataclass(repr=False)
class ConvTranspose(Weighted):
    """A transposed convolution; arguments are those of :func:`convkit.conv_transpose_forward`.

    W (C, filters / groups, *kernel). Its fan-in counts, on average over the output, the pixels of
    the input whose windows contain one of the output's.
    """

    filters: int
    kernel: Axes
    stride: Axes = 1
    pad: Pad = 0
    output_pad: Axes = 0
    dilation: Axes = 1
    groups: int = 1

    operation: ClassVar[str] = "conv_transpose"
    settings: ClassVar[tuple[str, ...]] = ("stride", "pad", "output_pad", "dilation", "groups")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(filters=self.filters, groups=self.groups)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return (C, filters / groups, *kernel)."""
        return (shape[0], self.filters // self.groups, *_kernel(self.kernel, shape))

    def fan_in(self, shape: Shape) -> int:
        """Return C / groups times the kernel's size divided by the strides' product."""
        kernel = _kernel(self.kernel, shape)
        strides = per_axis("stride", self.stride, len(kernel))
        return max(1, shape[0] // self.groups * math.prod(kernel) // math.prod(strides))

    def output_shape(self, shape: Shape) -> Shape:
        """Return (filters, OH, OW)."""
        if self.filters % self.groups:
            raise ShapeError(
                f"filters (={self.filters}) must be divisible by groups (={self.groups})"
            )
        spec = ConvTransposeSpec.of(
            (1, *shape), self.weight_shape(shape), dtype=np.float32, **self.parameters(True)
        )
        return spec.out_shape[1:]

    def multiply_adds(self, shape: Shape) -> int:
        """Return the size of W times the input's pixels."""
        return math.prod(self.weight_shape(shape)) * math.prod(shape[1:])


@dataclass(repr=False)
class Affine(Weighted):
    """A fully connected layer: x w + b, each example flattened to D numbers. W (D, units)."""

    units: int

    operation: ClassVar[str] = "affine"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(units=self.units)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return (D, units)."""
        return math.prod(shape), self.units

    def fan_in(self, shape: Shape) -> int:
        """Return D."""
        return math.prod(shape)

    def output_shape(self, shape: Shape) -> Shape:
        """Return (units,)."""
        return (self.units,)

    def multiply_adds(self, shape: Shape) -> int:
        """Return the size of W."""
        return math.prod(shape) * self.units


def _kernel(kernel: Axes, shape: Shape) -> tuple[int, ...]:
    """Return one size per spatial axis."""
    if len(shape) < 2:
        raise ShapeError(f"the input's shape (={shape}) must be (C, spatial axes ...)")
    return per_axis("kernel", kernel, len(shape) - 1)
