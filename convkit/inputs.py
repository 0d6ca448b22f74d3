"""Arrays as backends get them: C-contiguous, aligned, in native byte order, float32 or float64.

Called for what is not so already; an array that is comes back as it is, never copied. Nothing here
knows a problem or a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convkit.errors import DtypeError, ShapeError
from convkit.spec import FLOATS

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.plans import Plan


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


def native(*arrays: Array | None) -> list[Array | None] | None:
    """Return the arrays with those of another byte order converted; None where there is none."""
    names = ("x", "w", "b")
    found = [a if a is None else as_input(n, a) for n, a in zip(names, arrays, strict=False)]
    return found if any(f is not a for f, a in zip(found, arrays, strict=True)) else None


def check_dout(dout: Any, plan: Plan) -> Array:
    """Return ``dout`` as backends get it; raise unless it fits the forward call's out."""
    array: Array = dout
    if not (type(dout) is np.ndarray and dout.dtype is plan.dtype and dout.flags.carray):
        array = as_input("dout", dout)
    if array.dtype != plan.dtype:
        raise DtypeError(
            f"dout.dtype (={array.dtype}) must equal x.dtype (={plan.dtype}); "
            f"cast with dout.astype(np.{plan.dtype})"
        )
    if array.shape != plan.out_shape:
        raise ShapeError(
            f"dout.shape (={array.shape}) must equal the shape of the forward call's out "
            f"(={plan.out_shape})"
        )
    return array
