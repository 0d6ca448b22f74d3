"""Arrays as backends get them: C-contiguous, aligned, in native byte order, float32 or float64.

An array that has all this is returned as it is, never copied. Nothing here knows a problem or a
backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit.errors import DtypeError, ShapeError
from convkit.spec import FLOATS

if TYPE_CHECKING:
    from convkit.contract import Array


def as_input(name: str, value: Any) -> Array:
    """Return an array as backends get it: C-contiguous, aligned, native, float32 or float64.

    The array itself where it is so already, else a copy. Raises DtypeError.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise DtypeError(f"{name} must not be a masked array; fill it with {name}.filled(value)")
    try:
        array: Array = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise ShapeError(f"{name} cannot be made an array: {error}; give a regular one") from error
    native = array.dtype.newbyteorder("=")
    if native not in FLOATS:
        raise DtypeError(
            f"{name}.dtype (={array.dtype}) must be float32 or float64; cast with "
            f"{name}.astype(np.float32)"
        )
    dtype = FLOATS[FLOATS.index(native)]  # NumPy's own object, which makes no new view of an array
    array = np.asarray(array, dtype, order="C")
    return array if array.flags.aligned else array.copy()


def to_native(names: tuple[str, ...], arrays: Sequence[Array | None]) -> list[Array | None] | None:
    """Return the arrays with those of another byte order converted; None where there is none."""
    found = [a if a is None else as_input(n, a) for n, a in zip(names, arrays, strict=True)]
    return found if any(f is not a for f, a in zip(found, arrays, strict=True)) else None


def check_dout(dout: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return ``dout`` as backends get it; raise unless it has the shape and dtype of out."""
    array: Array = dout
    if not (type(dout) is np.ndarray and dout.dtype is dtype and dout.flags.carray):
        array = as_input("dout", dout)
    if array.dtype != dtype:
        raise DtypeError(
            f"dout.dtype (={array.dtype}) must equal x.dtype (={dtype}); "
            f"cast with dout.astype(np.{dtype})"
        )
    if array.shape != shape:
        raise ShapeError(
            f"dout.shape (={array.shape}) must equal the shape of the forward call's out (={shape})"
        )
    return array
