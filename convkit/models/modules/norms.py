"""The normalisations: BatchNorm and GroupNorm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from convkit.models.modules.layer import Shape
from convkit.models.modules.operation import OperationLayer
from convkit.spec import NormSpec

__all__ = ["BatchNorm", "GroupNorm", "Norm"]


class Norm(OperationLayer):
    """A normalisation: gamma (C,) starts at 1 and beta (C,) at 0."""

    operands: ClassVar[tuple[str, ...]] = ("gamma", "beta")

    def create(self, shape: Shape, rng: np.random.Generator) -> Mapping[str, Any]:
        """Return gamma and beta."""
        return {"gamma": np.ones(shape[0]), "beta": np.zeros(shape[0])}


@dataclass(repr=False)
class BatchNorm(Norm):
    """Batch normalisation; arguments are those of :func:`convkit.batch_norm_forward`.

    Its buffers ``running_mean`` and ``running_var`` start at 0 and 1. Frozen, it normalises with
    them in training too, and leaves them as they are.
    """

    eps: float = 1e-5
    momentum: float = 0.9
    unbiased: bool = False

    operation: ClassVar[str] = "batch_norm"
    settings: ClassVar[tuple[str, ...]] = ("eps", "momentum", "unbiased")
    state: ClassVar[tuple[str, ...]] = ("running_mean", "running_var")

    def parameters(self, training: bool) -> dict[str, Any]:
        """Return bn_param without its statistics."""
        mode = "train" if training and self.trainable else "test"
        return super().parameters(training) | {"mode": mode}

    def create_buffers(self, shape: Shape) -> Mapping[str, Any]:
        """Return the running statistics."""
        return {"running_mean": np.zeros(shape[0]), "running_var": np.ones(shape[0])}

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape, checked together with eps."""
        c = shape[:1]
        NormSpec.of((1, *shape), c, c, kind="batch", eps=self.eps, dtype=np.float32)
        return shape


@dataclass(repr=False)
class GroupNorm(Norm):
    """Group normalisation; arguments are those of :func:`convkit.group_norm_forward`.

    ``groups=1`` is layer normalisation over channels and pixels.
    """

    groups: int
    eps: float = 1e-5

    operation: ClassVar[str] = "group_norm"
    settings: ClassVar[tuple[str, ...]] = ("groups", "eps")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape, checked together with groups and eps."""
        c = shape[:1]
        NormSpec.of(
            (1, *shape), c, c, kind="group", groups=self.groups, eps=self.eps, dtype=np.float32
        )
        return shape
