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
from convkit.operations import OPERATIONS, Operation
from convkit.spec import FLOATS

DTYPES = tuple(str(dtype) for dtype in FLOATS)

Values = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Case:
    """One problem: operation, geometry, dtype, kind of data and its seed.

    ``geometry`` holds the sizes and the API's keywords; the pool of a conv_relu_pool has the
    prefix ``pool_``, the norm of a conv_bn_relu ``bn_``. ``extra`` is what only one check reads (a
    layout, an axis). ``feature`` says where the case is counted in the summary and is no part of
    its identity.
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

    @property
    def moves(self) -> bool:
        """Whether forward computes statistics of x that move the running ones."""
        return bool(self.operation.statistics) and _trains(self.op, self.geometry)

    @property
    def moving(self) -> int:
        """Which parameter dictionary holds running statistics."""
        return _moving(self.operation)

    @property
    def infers(self) -> bool:
        """Whether there is an inference call for it."""
        return self.operation.infer and not self.moves

    @property
    def operation(self) -> Operation:
        """The operation's row in the table."""
        return OPERATIONS[self.op]

    @cached_property
    def params(self) -> tuple[dict[str, Any], ...]:
        """What the geometry says of each parameter dictionary."""
        return _params(self.op, self.geometry)

    @cached_property
    def shapes(self) -> dict[str, Any]:
        """The shape of each input by name; None for one that is not given."""
        return _shapes(self.op, self.geometry)

    @cached_property
    def specs(self) -> tuple[Any, ...]:
        """What ``supports`` is asked about."""
        return _specs(self.op, self.geometry, self.dtype)

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
            taps = int(np.prod(getattr(spec, "kernel", ())))
            total += int(np.prod(spec.out_shape)) * taps
            channels = getattr(spec, "w_shape", (1, 1))[1]
            total += int(np.prod(spec.out_shape)) * taps * (channels - 1)
        return total

    def __str__(self) -> str:
        words = [self.op, *(f"{k}={_text(v)}" for k, v in self.geometry)]
        words += [f"dtype={self.dtype}", f"data={self.data}", f"seed={self.seed}"]
        return " ".join([*words, *(f"{k}={_text(v)}" for k, v in self.extra)])


def _prefixes(operation: Operation) -> tuple[str, ...]:
    """What the keys of each parameter dictionary begin with in a geometry: none for the first."""
    later = operation.parameters[1:]
    return ("", *(f"{p.name.removesuffix('_param')}_" for p in later))


def _params(op: str, geometry: Values) -> tuple[dict[str, Any], ...]:
    operation, sizes = OPERATIONS[op], dict(geometry)
    return tuple(
        {key: sizes[prefix + key] for key in table.defaults if prefix + key in sizes}
        for prefix, table in zip(_prefixes(operation), operation.parameters, strict=True)
    )


_FLAGS = {"b": "bias", "residual": "residual"}
"""Inputs whose shape follows from the others, each with the flag that says whether it is given."""
_PER_CHANNEL = ("gamma", "beta")
"""Inputs that are always given, one number for each channel of what is normalised."""


def _moving(operation: Operation) -> int:
    key = f"running_{operation.statistics[0]}"
    return next(i for i, table in enumerate(operation.parameters) if key in table.others)


def _trains(op: str, geometry: Values) -> bool:
    """Whether an operation with statistics computes them."""
    given = _params(op, geometry)[_moving(OPERATIONS[op])]
    return bool(given.get("training", True))


@lru_cache(maxsize=16384)
def _normalised(op: str, geometry: Values) -> tuple[int, ...]:
    """Return the shape of what is normalised: x, or what the convolution before it gives."""
    operation, sizes = OPERATIONS[op], dict(geometry)
    if "w" not in operation.inputs:
        return tuple(sizes["x"])
    first = OPERATIONS[operation.parts[0]]
    inputs = [sizes.get(name) for name in first.inputs]
    shape: tuple[int, ...] = first.make_specs(inputs, _params(op, geometry), FLOATS[0])[0].out_shape
    return shape


def _shapes(op: str, geometry: Values) -> dict[str, Any]:
    sizes = dict(geometry)
    found: dict[str, Any] = {}
    for name in OPERATIONS[op].inputs:
        if name == "b":
            found[name] = _bias_shape(op, geometry)
        elif name in _FLAGS:
            found[name] = _normalised(op, geometry) if sizes.get(_FLAGS[name], False) else None
        elif name in _PER_CHANNEL:
            found[name] = _normalised(op, geometry)[1:2]
        elif name in OPERATIONS[op].statistics:  # given where they are not computed
            found[name] = None if _trains(op, geometry) else _normalised(op, geometry)[1:2]
        else:
            found[name] = sizes[name]
    return found


def _spelled(op: str) -> tuple[str, ...]:
    """Return the inputs whose shape a geometry gives."""
    operation = OPERATIONS[op]
    derived = (*_FLAGS, *_PER_CHANNEL, *operation.statistics)
    return tuple(name for name in operation.inputs if name not in derived)


def _bias_shape(op: str, geometry: Values) -> Any:
    """One number for each channel that comes out of the first part."""
    return _normalised(op, geometry)[1:2] if dict(geometry).get(_FLAGS["b"], True) else None


# Kept, because many checks ask for one problem, each with a case and data of its own.


@lru_cache(maxsize=16384)
def _specs(op: str, geometry: Values, dtype: str) -> tuple[Any, ...]:
    shapes = tuple(_shapes(op, geometry).values())
    return OPERATIONS[op].make_specs(shapes, _params(op, geometry), dtype)


def geometry_keys(op: str) -> set[str]:
    """Return the keys that a geometry of an operation may have."""
    operation = OPERATIONS[op]
    tables = zip(_prefixes(operation), operation.parameters, strict=True)
    keys = {prefix + key for prefix, table in tables for key in table.defaults}
    flags = {flag for name, flag in _FLAGS.items() if name in operation.inputs}
    return keys | flags | {*_spelled(op)}


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
    known = geometry_keys(op)
    geometry: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    named: dict[str, Any] = {"dtype": "float32", "data": "exact", "seed": 0}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign:
            raise ParameterError(f"case: {word!r} must be key=value")
        target = named if key in named else geometry if key in known else extra
        target[key] = value if key in ("dtype", "data") else _value(value)
    needed = _spelled(op)
    if any(name not in geometry for name in needed):
        raise ParameterError(f"case (={text!r}) must give {' and '.join(f'{n}=' for n in needed)}")
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
        return float(text) if "." in text or "e-" in text else int(text)
    except ValueError:
        return text
