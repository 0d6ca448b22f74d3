"""Arguments of a spec, checked and in one form: ints, one value per axis, shapes and dtypes.

Nothing here knows how a window lies on an image.
"""

from __future__ import annotations

import operator
from typing import Any, Literal, TypeAlias

import numpy as np

from convkit.errors import DtypeError, ParameterError, ShapeError

Axes: TypeAlias = int | tuple[int, ...]
Pad: TypeAlias = int | tuple[int, ...] | tuple[tuple[int, int], ...] | Literal["same", "valid"]
Shape: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

MOST = 2**62
"""A kernel, stride or dilation beyond it would overflow a backend's 64-bit integers."""
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def freeze(name: str, value: Any) -> Any:
    """Return a geometry argument as hashable plain ints, nested tuples of them, or a str.

    Lists become tuples and NumPy integers ints. Bools and floats raise: as dictionary keys they
    equal ints, as geometry they are mistakes.
    """
    if type(value) is int or isinstance(value, str):
        return value
    if isinstance(value, tuple | list):
        return tuple(freeze(name, v) for v in value)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return tuple(freeze(name, v) for v in value)
    if not isinstance(value, bool | np.bool_):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise ParameterError(
        f"{name} (={value!r}) must be an int or a tuple of ints, not {type(value).__name__}"
    )


def check_flag(name: str, value: Any) -> bool:
    """Return a bool argument; anything but a bool raises."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ParameterError(f"{name} (={value!r}) must be True or False")


def per_axis(name: str, value: Any, axes: int, *, least: int = 1) -> tuple[int, ...]:
    """Return one int per spatial axis, ``least`` or more, from an int or a flat tuple of ints."""
    frozen = freeze(name, value)
    if isinstance(frozen, int):
        frozen = (frozen,) * axes
    if not isinstance(frozen, tuple) or not all(isinstance(v, int) for v in frozen):
        raise ParameterError(f"{name} (={value!r}) must be an int or a flat tuple of {axes} ints")
    if len(frozen) != axes:
        raise ParameterError(
            f"{name} (={value!r}) must be an int or have one value per spatial axis ({axes}); "
            f"it has {len(frozen)}"
        )
    if any(v < least for v in frozen):
        raise ParameterError(f"{name} (={value!r}) must be at least {least} along every axis")
    if any(v > MOST for v in frozen):
        raise ParameterError(f"{name} (={value!r}) must be at most 2**62 along every axis")
    return frozen


def shape_and_dtype(name: str, value: Any, dtype: Any) -> tuple[Shape, np.dtype[Any]]:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        shape, found = tuple(value.shape), np.dtype(value.dtype)
        if dtype is not None and np.dtype(dtype).newbyteorder("=") != found.newbyteorder("="):
            raise DtypeError(
                f"{name}.dtype (={found}) must equal dtype (={np.dtype(dtype)}); "
                f"cast with {name}.astype(np.{np.dtype(dtype)})"
            )
    else:
        shape = freeze(f"the shape of {name}", value)
        if not isinstance(shape, tuple) or not all(isinstance(v, int) and v >= 0 for v in shape):
            raise ShapeError(f"the shape of {name} (={value!r}) must be a tuple of ints >= 0")
        if dtype is None:
            raise DtypeError(f"dtype is needed where {name} is given as a shape")
        found = np.dtype(dtype)
    found = found.newbyteorder("=")
    if found not in FLOATS:
        raise DtypeError(
            f"{name}.dtype (={found}) must be float32 or float64; cast with "
            f"{name}.astype(np.float32)"
        )
    return shape, FLOATS[FLOATS.index(found)]  # NumPy's own object, so that ``is`` compares


def check_x(shape: Shape) -> None:
    if len(shape) < 3:
        raise ShapeError(
            f"x.shape (={shape}) must be (N, C, spatial axes ...), so at least 3 axes; "
            "add the missing ones with x[None] or x[:, None]"
        )
    if min(shape[1:]) == 0:
        raise ShapeError(f"x.shape (={shape}) must have no empty axis but the first (N)")


def check_same_dtype(name: str, found: np.dtype[Any], expected: np.dtype[Any]) -> None:
    if found != expected:
        raise DtypeError(
            f"{name}.dtype (={found}) must equal x.dtype (={expected}); "
            f"cast with {name}.astype(np.{expected})"
        )


def check_groups(value: Any) -> int:
    """Return the number of groups; anything but a positive int raises."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ParameterError(f"groups (={value!r}) must be an int of at least 1")
    return int(value)
