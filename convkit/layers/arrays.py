"""The types of arrays and caches that the layers share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Cache", "Labels", "underflow_is_zero"]

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Labels: TypeAlias = npt.NDArray[np.integer[Any]]
Cache: TypeAlias = tuple[Any, ...]
Function = TypeVar("Function", bound=Callable[..., Any])


def underflow_is_zero(function: Function) -> Function:
    """Let nothing raise for a number too small to matter: in contrast to an overflow it is right.

    ``np.errstate`` is made for each call, for one of NumPy 1 cannot be shared between threads.
    """

    @functools.wraps(function)
    def quiet(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return cast("Function", quiet)
