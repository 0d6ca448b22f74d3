"""The problems that are timed: layers of well-known networks, pools, and a tiny call.

A problem holds sizes only; :func:`arrays` makes its data. Operations are counted as usual, 2 per
weight and output with padding included, so that figures compare with published ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from convkit.contract import Array
from convkit.errors import ParameterError
from convkit.operations import OPERATIONS, Operation
from convkit.spec import ConvSpec, PoolSpec

Arrays: TypeAlias = dict[str, Array]


@dataclass(frozen=True)
class Problem:
    """One convolution (``kind`` "conv") or pooling ("max" or "avg"), all axes of a window alike."""

    name: str
    kind: str
    x_shape: tuple[int, ...]
    filters: int
    kernel: int
    stride: int
    pad: int | Literal["same"]
    groups: int = 1

    @property
    def operation(self) -> Operation:
        """The operation of convkit's that solves it."""
        return OPERATIONS[self.kind if self.is_conv else f"{self.kind}_pool"]

    @property
    def is_conv(self) -> bool:
        """Whether it has weights."""
        return self.kind == "conv"

    @property
    def axes(self) -> int:
        """How many spatial axes."""
        return len(self.x_shape) - 2

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved on its own."""
        return self.is_conv and self.groups == self.x_shape[1] > 1

    @property
    def directions(self) -> tuple[str, ...]:
        """What is timed: forward, backward, and dx and dw alone where there are several gradients.

        "dw" stands for the gradients of all parameters, db included.
        """
        both = ("forward", "backward")
        return both if len(self.operation.gradients) == 1 else (*both, "dx", "dw")

    def gradients(self, direction: str) -> tuple[str, ...]:
        """The gradients that a direction computes; none in forward."""
        every = self.operation.gradients
        if direction == "dw":
            return tuple(name for name in every if name != "dx")
        return {"forward": (), "backward": every}.get(direction, (direction,))

    @property
    def w_shape(self) -> tuple[int, ...]:
        """Shape of the weights (F, C / groups, K, K), with a K for each axis."""
        return (self.filters, self.x_shape[1] // self.groups, *[self.kernel] * self.axes)

    @property
    def parameters(self) -> dict[str, Any]:
        """The geometry as convkit's layer functions take it."""
        if self.is_conv:
            return {"stride": self.stride, "pad": self.pad, "groups": self.groups}
        return {"kernel": self.kernel, "stride": self.stride, "pad": self.pad}

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each input of the operation, by its name."""
        shapes = {"x": self.x_shape, "w": self.w_shape, "b": self.w_shape[:1]}
        return {name: shapes[name] for name in self.operation.inputs}

    def spec(self, dtype: Any) -> ConvSpec | PoolSpec:
        """The spec, with every size worked out."""
        inputs = tuple(self.input_shapes.values())
        (spec,) = self.operation.make_specs(inputs, (self.parameters,), dtype)
        return cast("ConvSpec | PoolSpec", spec)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        return self.spec(np.float32).out_shape

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array that the calls take: the inputs and dout."""
        return {"x": self.x_shape, "dout": self.out_shape} | self.input_shapes

    def operations(self, direction: str) -> float:
        """Multiplications and additions of a convolution; comparisons or additions of a pool."""
        outputs = math.prod(self.out_shape)
        if not self.is_conv:
            return float(outputs * self.kernel**self.axes)
        passes = 2 if direction == "backward" else 1
        return 2.0 * outputs * math.prod(self.w_shape[1:]) * passes

    def traffic(self, direction: str, dtype: Any) -> float:
        """The least number of bytes to move: every input, output and argmax index once."""
        size = np.dtype(dtype).itemsize
        x, out = math.prod(self.x_shape), math.prod(self.out_shape)
        if self.kind == "max":
            return float((x + out) * size + out)  # one byte for each argmax index
        if self.kind == "avg":
            return float((x + out) * size)
        passes = 2 if direction == "backward" else 1
        return float(passes * (x + out + math.prod(self.w_shape)) * size)

    def with_(self, **changes: Any) -> Problem:
        """The same problem with some sizes changed."""
        return replace(self, **changes)


def _conv(name: str, n: int, c: int, h: int, w: int, f: int, k: int, s: int, p: int, g: int):  # type: ignore[no-untyped-def]
    return Problem(name, "conv", (n, c, h, w), f, k, s, p, g)


def _pool(name: str, kind: str, n: int, c: int, h: int, k: int, s: int, p: int) -> Problem:
    return Problem(name, kind, (n, c, h, h), c, k, s, p)


# N, C, H, W, F, kernel, stride, pad, groups
_CONVS = {
    "seed_3x3s2": (100, 3, 31, 31, 25, 3, 2, 1, 1),
    "seed_7x7": (100, 3, 32, 32, 32, 7, 1, 3, 1),
    "cifar_c1": (64, 3, 32, 32, 64, 3, 1, 1, 1),
    "cifar_c2": (64, 64, 32, 32, 64, 3, 1, 1, 1),
    "cifar_r2": (64, 16, 32, 32, 16, 3, 1, 1, 1),
    "cifar_r3": (64, 32, 16, 16, 32, 3, 1, 1, 1),
    "cifar_r4": (64, 64, 8, 8, 64, 3, 1, 1, 1),
    "cifar_ds": (64, 32, 32, 32, 64, 3, 2, 1, 1),
    "lenet_5x5": (64, 6, 14, 14, 16, 5, 1, 0, 1),
    "resnet_c1": (4, 3, 224, 224, 64, 7, 2, 3, 1),
    "resnet_2b": (4, 64, 56, 56, 64, 3, 1, 1, 1),
    "resnet_3b": (4, 128, 28, 28, 128, 3, 1, 1, 1),
    "resnet_4b": (4, 256, 14, 14, 256, 3, 1, 1, 1),
    "resnet_5b": (4, 512, 7, 7, 512, 3, 1, 1, 1),
    "resnet_3ds": (4, 128, 56, 56, 128, 3, 2, 1, 1),
    "resnet_5ds": (4, 512, 14, 14, 512, 3, 2, 1, 1),
    "resnet_2a": (4, 256, 56, 56, 64, 1, 1, 0, 1),
    "resnet_2c": (4, 64, 56, 56, 256, 1, 1, 0, 1),
    "resnet_3a": (4, 512, 28, 28, 128, 1, 1, 0, 1),
    "resnet_4c": (4, 256, 14, 14, 1024, 1, 1, 0, 1),
    "resnet_sc": (4, 256, 56, 56, 512, 1, 2, 0, 1),
    "vgg_11": (2, 3, 224, 224, 64, 3, 1, 1, 1),
    "vgg_12": (2, 64, 224, 224, 64, 3, 1, 1, 1),
    "vgg_42": (2, 512, 28, 28, 512, 3, 1, 1, 1),
    "alex_c1": (8, 3, 227, 227, 96, 11, 4, 0, 1),
    "alex_c2": (8, 96, 27, 27, 256, 5, 1, 2, 2),
    "mob_c1": (8, 3, 224, 224, 32, 3, 2, 1, 1),
    "mob_dw3": (8, 128, 56, 56, 128, 3, 1, 1, 128),
    "mob_dw5s2": (8, 512, 14, 14, 512, 3, 2, 1, 512),
    "mob_pw8": (8, 512, 14, 14, 512, 1, 1, 0, 1),
}

# kind, N, C, H = W, kernel, stride, pad
_POOLS = {
    "seed_pool": ("max", 100, 3, 32, 2, 2, 0),
    "max_2x2": ("max", 64, 64, 32, 2, 2, 0),
    "max_3x3s2": ("max", 4, 64, 112, 3, 2, 1),
    "max_3x3s1": ("max", 8, 192, 28, 3, 1, 1),
    "max_global": ("max", 32, 512, 7, 7, 1, 0),
    "avg_2x2": ("avg", 64, 64, 32, 2, 2, 0),
    "avg_3x3s2": ("avg", 4, 64, 112, 3, 2, 1),
    "avg_3x3s1": ("avg", 8, 192, 28, 3, 1, 1),
    "avg_global": ("avg", 32, 512, 7, 7, 1, 0),
}

# One and three axes.
_OTHER_AXES = {
    "wave_1d": Problem("wave_1d", "conv", (16, 64, 4096), 64, 9, 1, 4),
    "c3d_c1": Problem("c3d_c1", "conv", (2, 3, 16, 112, 112), 64, 3, 1, 1),
    "c3d_c2": Problem("c3d_c2", "conv", (1, 64, 16, 56, 56), 128, 3, 1, 1),
    "r3d_ds": Problem("r3d_ds", "conv", (2, 64, 8, 28, 28), 128, 3, 2, 1),
    "r3d_sc": Problem("r3d_sc", "conv", (2, 64, 8, 28, 28), 128, 1, 2, 0),
    "max_3d": Problem("max_3d", "max", (2, 64, 16, 56, 56), 64, 2, 2, 0),
    "avg_3d": Problem("avg_3d", "avg", (2, 64, 16, 56, 56), 64, 2, 2, 0),
}

_IMAGES: dict[str, Problem] = {
    **{name: _conv(name, *sizes) for name, sizes in _CONVS.items()},
    **{name: _pool(name, *sizes) for name, sizes in _POOLS.items()},
    "tiny": _conv("tiny", 1, 3, 8, 8, 4, 3, 1, 1, 1),
}

SHAPES: dict[str, Problem] = _IMAGES | _OTHER_AXES

SETS: dict[str, tuple[str, ...]] = {
    "course": ("seed_3x3s2", "seed_7x7", "seed_pool", "tiny"),
    "quick": (
        *("seed_3x3s2", "seed_7x7", "cifar_r3", "resnet_3b", "resnet_3ds", "resnet_3a"),
        *("mob_c1", "mob_dw3", "seed_pool", "max_3x3s2", "avg_2x2", "tiny"),
    ),
    "full": tuple(_IMAGES),
    "axes": tuple(_OTHER_AXES),
}


def chosen(text: str) -> list[Problem]:
    """The problems that a comma list of sets and shapes names, each once, in order."""
    names: dict[str, None] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        if part not in SETS and part not in SHAPES:
            raise ParameterError(
                f"set (={part!r}) must be one of the sets {', '.join(SETS)} or of the shapes "
                f"{', '.join(SHAPES)}"
            )
        names.update(dict.fromkeys(SETS.get(part, (part,))))
    if not names:
        raise ParameterError(f"set (={text!r}) must name a set or a shape")
    return [SHAPES[name] for name in names]


def arrays(problem: Problem, dtype: Any, seed: int = 0) -> Arrays:
    """Normally distributed inputs and dout; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.standard_normal(shape, np.float32).astype(dtype)
        for name, shape in problem.shapes.items()
    }
