"""NormSpec: one frozen, hashable description of a batch or group normalisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from convkit.errors import ParameterError, ShapeError
from convkit.spec.arguments import (
    Shape,
    check_flag,
    check_groups,
    check_same_dtype,
    shape_and_dtype,
)
from convkit.spec.conv import ConvSpec

_SAID = {"mean": "running_mean", "var": "running_var"}
"""What messages call an array."""


@dataclass(frozen=True)
class NormSpec:
    """A normalisation of x (N, C) or (N, C, spatial axes ...) with gamma and beta (C,).

    ``kind`` is "batch": each channel over the batch and all pixels; or "group": each image and
    group of channels over its channels and pixels. ``training`` says whether a batch normalisation
    takes the batch's own statistics; it is True for "group". out has the shape of x.
    """

    kind: str
    x_shape: Shape
    out_shape: Shape
    dtype: np.dtype[Any]
    groups: int
    eps: float
    training: bool
    relu: bool
    has_residual: bool

    @property
    def operation(self) -> str:
        """``"batch_norm"`` or ``"group_norm"``."""
        return f"{self.kind}_norm"

    @property
    def gamma_shape(self) -> Shape:
        """(C,)."""
        return self.x_shape[1:2]

    @property
    def beta_shape(self) -> Shape:
        """(C,)."""
        return self.x_shape[1:2]

    @property
    def residual_shape(self) -> Shape | None:
        """The shape of x, or None where nothing is added."""
        return self.x_shape if self.has_residual else None

    @property
    def set_size(self) -> int:
        """How many numbers share a mean and a variance."""
        pixels = math.prod(self.x_shape[2:])
        if self.kind == "batch":
            return self.x_shape[0] * pixels
        return self.x_shape[1] // self.groups * pixels

    @classmethod
    def after(cls, conv: ConvSpec, *arrays: Any, dtype: Any = None, **options: Any) -> NormSpec:
        """Return the batch normalisation of a convolution's result.

        ``arrays`` are gamma, beta, mean, var and residual; all else is as in :meth:`of`.
        """
        for name, array in zip(("gamma", "beta", "mean", "var", "residual"), arrays, strict=False):
            if array is not None:
                found = shape_and_dtype(name, array, dtype)[1]
                check_same_dtype(_SAID.get(name, name), found, conv.dtype)
        what = (conv.out_shape, *arrays)
        return cls.of(*what, kind="batch", dtype=conv.dtype, named="conv(x, w)", **options)

    @classmethod
    def of(
        cls,
        x: Any,
        gamma: Any,
        beta: Any,
        mean: Any = None,
        var: Any = None,
        residual: Any = None,
        *,
        kind: str,
        groups: int = 1,
        eps: float = 1e-5,
        training: bool = True,
        relu: bool = False,
        dtype: Any = None,
        named: str = "x",
    ) -> NormSpec:
        """Check the arguments.

        Arrays, or shapes together with ``dtype``. ``mean`` and ``var`` are the running statistics,
        which a batch normalisation needs where ``training`` is False. Raises ShapeError,
        ParameterError or DtypeError, whose messages call x as ``named`` says.
        """
        x_shape, x_dtype = shape_and_dtype("x", x, dtype)
        if kind not in ("batch", "group"):
            raise ParameterError(f"kind (={kind!r}) must be 'batch' or 'group'")
        if len(x_shape) < 2 or 0 in x_shape[1:]:
            raise ShapeError(
                f"x.shape (={x_shape}) must be (N, C, spatial axes ...) with no empty axis but N"
            )
        training = check_flag("training", training)
        channels = x_shape[1]
        arrays = {"gamma": gamma, "beta": beta}
        if kind == "batch" and not training:
            if mean is None or var is None:
                missing = "running_mean" if mean is None else "running_var"
                raise ParameterError(f"{missing} is needed where training is False")
            arrays |= {"running_mean": mean, "running_var": var}
        for name, value in arrays.items():
            _check(name, value, (channels,), dtype, x_dtype, f"one value per channel of {named}")
        if residual is not None:
            _check("residual", residual, x_shape, dtype, x_dtype, f"as {named} has")
        groups = check_groups(groups)
        if channels % groups:
            raise ShapeError(f"x.shape[1] (={channels}) must be divisible by groups (={groups})")
        if kind == "batch" and training and not x_shape[0]:
            raise ShapeError(
                f"{named}.shape (={x_shape}) must hold at least one example in training"
            )
        return cls(
            kind=kind,
            x_shape=x_shape,
            out_shape=x_shape,
            dtype=x_dtype,
            groups=groups,
            eps=check_eps(eps),
            training=training,
            relu=check_flag("relu", relu),
            has_residual=residual is not None,
        )

    def __str__(self) -> str:
        parts = [f"x {self.x_shape}"]
        parts += [f"groups={self.groups}"] if self.kind == "group" else []
        parts += [f"eps={self.eps:g}", *(["inference"] if not self.training else [])]
        parts += [word for word in ("relu",) if self.relu]
        parts += ["residual"] if self.has_residual else []
        return f"{self.operation}({', '.join(parts)}, {self.dtype})"


def check_eps(value: Any) -> float:
    """Return eps as a float; anything but a finite number of 0 or more raises."""
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not number or not 0 <= value < math.inf:
        raise ParameterError(f"eps (={value!r}) must be a finite number of at least 0")
    return float(value)


def _check(
    name: str, value: Any, wanted: Shape, dtype: Any, x_dtype: np.dtype[Any], what: str
) -> None:
    shape, found = shape_and_dtype(name, value, dtype)
    check_same_dtype(name, found, x_dtype)
    if shape != wanted:
        raise ShapeError(f"{name}.shape (={shape}) must be {wanted}, {what}")
