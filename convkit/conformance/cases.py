"""A case: one problem with its data, small enough to be written on one line and read back.

The text form is what a failure prints and what ``--case`` takes; every array of a case follows
from it, so a case means the same on every machine. Nothing here knows a backend or a check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from convkit.errors import ParameterError
from convkit.spec import ConvSpec, PoolSpec

OPERATIONS = ("conv", "max_pool", "avg_pool", "conv_relu_pool")
DTYPES = ("float32", "float64")

_CONV_KEYS = ("stride", "pad", "dilation", "groups")
_POOL_KEYS = ("kernel", "stride", "pad", "dilation", "ceil_mode", "count_include_pad")
_FUSED_POOL = ("kernel", "stride", "pad", "dilation", "ceil_mode")

Values = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Case:
    """One problem: operation, geometry, dtype, kind of data and its seed.

    ``geometry`` holds the sizes and the API's keywords; the pool of a conv_relu_pool has the
    prefix ``pool_``. ``extra`` is what only one check reads (a layout, an axis). ``feature`` says
    where the case is counted in the summary and is no part of its identity.
    """

    op: str
    geometry: Values
    dtype: str = "float32"
    data: str = "exact"
    seed: int = 0
    extra: Values = ()
    feature: str = field(default="given", compare=False)

    @property
    def sizes(self) -> dict[str, Any]:
        """The geometry as a dictionary."""
        return dict(self.geometry)

    def get(self, key: str, default: Any = None) -> Any:
        """Return one value of ``extra``."""
        return dict(self.extra).get(key, default)

    @cached_property
    def conv_param(self) -> dict[str, Any]:
        """The keywords of a convolution."""
        return _conv_param(self.geometry)

    @cached_property
    def pool_param(self) -> dict[str, Any]:
        """The keywords of a pooling."""
        return _pool_param(self.op, self.geometry)

    @cached_property
    def conv_spec(self) -> ConvSpec:
        """The spec of the convolution."""
        return _conv_spec(self.geometry, self.dtype)

    @cached_property
    def pool_spec(self) -> PoolSpec:
        """The spec of the pooling."""
        return _pool_spec(self.op, self.geometry, self.dtype)

    @cached_property
    def specs(self) -> tuple[Any, ...]:
        """What ``supports`` is asked about."""
        if self.op == "conv":
            return (self.conv_spec,)
        if self.op == "conv_relu_pool":
            return (self.conv_spec, self.pool_spec)
        return (self.pool_spec,)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The input's shape."""
        shape: tuple[int, ...] = self.sizes["x"]
        return shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The result's shape."""
        shape: tuple[int, ...] = self.specs[-1].out_shape
        return shape

    @cached_property
    def work(self) -> int:
        """Outputs times the terms of each: what a slow backend's time grows with."""
        total = 0
        for spec in self.specs:
            taps = int(np.prod(spec.kernel))
            total += int(np.prod(spec.out_shape)) * taps
            if spec.operation == "conv":
                total += int(np.prod(spec.out_shape)) * taps * (spec.w_shape[1] - 1)
        return total

    def __str__(self) -> str:
        words = [self.op, *(f"{k}={_text(v)}" for k, v in self.geometry)]
        words += [f"dtype={self.dtype}", f"data={self.data}", f"seed={self.seed}"]
        return " ".join([*words, *(f"{k}={_text(v)}" for k, v in self.extra)])


def _conv_param(geometry: Values) -> dict[str, Any]:
    return {k: v for k, v in geometry if k in _CONV_KEYS}


def _pool_param(op: str, geometry: Values) -> dict[str, Any]:
    if op == "conv_relu_pool":
        sizes = dict(geometry)
        return {k: sizes[f"pool_{k}"] for k in _FUSED_POOL if f"pool_{k}" in sizes}
    return {k: v for k, v in geometry if k in _POOL_KEYS}


# Kept, because many checks ask for one problem, each with a case and data of its own.


@lru_cache(maxsize=8192)
def _conv_spec(geometry: Values, dtype: str) -> ConvSpec:
    sizes = dict(geometry)
    bias = (sizes["w"][0],) if sizes.get("bias", True) else None
    return ConvSpec.of(sizes["x"], sizes["w"], bias, dtype=dtype, **_conv_param(geometry))


@lru_cache(maxsize=8192)
def _pool_spec(op: str, geometry: Values, dtype: str) -> PoolSpec:
    if op == "conv_relu_pool":
        shape = _conv_spec(geometry, dtype).out_shape
    else:
        shape = dict(geometry)["x"]
    kind = "avg" if op == "avg_pool" else "max"
    return PoolSpec.of(shape, kind=kind, dtype=dtype, **_pool_param(op, geometry))


def case(
    op: str,
    feature: str,
    *,
    dtype: str = "float32",
    data: str = "exact",
    seed: int = 0,
    extra: Mapping[str, Any] | None = None,
    **geometry: Any,
) -> Case:
    """Make a case; geometry is given as the API's keywords beside x, w and bias."""
    values = tuple(geometry.items())
    return Case(op, values, dtype, data, seed, tuple((extra or {}).items()), feature)


def parse(text: str) -> Case:
    """Return the case that ``str(case)`` wrote. Raises ParameterError."""
    op, *words = text.split()
    if op not in OPERATIONS:
        raise ParameterError(f"case (={text!r}) must begin with one of {', '.join(OPERATIONS)}")
    known = {"x", "w", "bias", *_CONV_KEYS, *_POOL_KEYS, *(f"pool_{k}" for k in _FUSED_POOL)}
    geometry: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    named: dict[str, Any] = {"dtype": "float32", "data": "exact", "seed": 0}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign:
            raise ParameterError(f"case: {word!r} must be key=value")
        target = named if key in named else geometry if key in known else extra
        target[key] = value if key in ("dtype", "data") else _value(value)
    if "x" not in geometry or (op.startswith("conv") and "w" not in geometry):
        raise ParameterError(f"case (={text!r}) must give x= and, for a convolution, w=")
    made = Case(op, tuple(geometry.items()), extra=tuple(extra.items()), **named)
    _ = made.specs
    return made


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value)) + "b"
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return ",".join(f"{begin}:{end}" for begin, end in value)
        return ",".join(map(str, value)) + ("," if len(value) == 1 else "")
    return str(value)


def _value(text: str) -> Any:
    if text in ("0b", "1b"):
        return text == "1b"
    if ":" in text:
        return tuple(
            (int(begin), int(end)) for begin, end in (p.split(":") for p in text.split(","))
        )
    try:
        if "," in text:
            return tuple(int(p) for p in text.split(",") if p)
        return int(text)
    except ValueError:
        return text
