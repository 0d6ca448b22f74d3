"""What all models share: checks of arguments and input, and the weight penalty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import DtypeError, ParameterError, ShapeError

__all__ = [
    "POOL_SIZE",
    "Array",
    "Labels",
    "add_penalty",
    "as_batch",
    "check_counts",
    "check_dtype",
    "check_input_dim",
    "check_number",
]

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Labels: TypeAlias = npt.NDArray[np.integer[Any]]

POOL_SIZE = 2


def check_input_dim(input_dim: tuple[int, ...], pools: int = 1) -> tuple[int, int, int]:
    """Return (C, H, W), each at least 1 and the image large enough for ``pools`` halvings."""
    if len(input_dim) != 3:
        raise ShapeError(f"input_dim (={input_dim!r}) must be (C, H, W)")
    check_counts(input_dim=tuple(input_dim))
    c, h, w = (int(size) for size in input_dim)
    least = 2**pools
    if min(h, w) < least:
        raise ShapeError(
            f"input_dim (={input_dim!r}) must be at least {least} pixels high and wide: "
            f"it is halved {pools} time{'s' if pools > 1 else ''} by 2x2 pooling"
        )
    return c, h, w


def check_counts(**counts: int | tuple[int, ...]) -> None:
    """Raise ParameterError for a count, or one of several, that is not an integer of at least 1."""
    for name, value in counts.items():
        for number in value if isinstance(value, tuple) else (value,):
            integer = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
            if not integer or number < 1:
                raise ParameterError(f"{name} (={value!r}) must be an integer of at least 1")


def check_number(name: str, value: float) -> float:
    """Return a finite number of at least 0 as a float, or raise ParameterError."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 <= value < np.inf:
        raise ParameterError(f"{name} (={value!r}) must be a finite number of at least 0")
    return float(value)


def check_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64 as a dtype, or raise DtypeError."""
    try:
        result = np.dtype(dtype)
    except TypeError:
        raise DtypeError(f"dtype (={dtype!r}) must be float32 or float64") from None
    if result not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise DtypeError(f"dtype (={result}) must be float32 or float64")
    return result


def as_batch(X: npt.ArrayLike, input_dim: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return X as an array of the model's dtype, without a copy where it has that dtype already."""
    batch = np.asarray(X, dtype=dtype)
    if batch.ndim == 0 or batch.shape[1:] != input_dim:
        raise ShapeError(f"X.shape (={batch.shape}) must be (N, {', '.join(map(str, input_dim))})")
    return batch


def add_penalty(
    loss: float,
    grads: dict[str, Array],
    params: dict[str, Array],
    names: Iterable[str],
    reg: float,
) -> float:
    """Return loss + reg / 2 * the sum of squares of the named parameters; update grads for it."""
    if reg:
        for name in names:
            w = params[name]
            # Not np.vdot, which wakes the threads of a BLAS: see the affine layers.
            loss += 0.5 * reg * float(np.square(w).sum())
            grads[name] += reg * w
    return loss
