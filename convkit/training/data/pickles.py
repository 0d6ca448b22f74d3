"""Reading an untrusted pickle without running what it says.

A pickle is a program. This reader admits the three names that an array is made of and no other.
Each name is mapped to a known object; nothing is imported because a file names it.
"""

from __future__ import annotations

import io
import pickle
import warnings
from typing import Any

import numpy as np

from convkit.errors import DataError

__all__ = ["read_pickle"]

_RECONSTRUCT = np.empty(0).__reduce__()[0]  # its module differs between NumPy 1 and 2
ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,  # as NumPy 1 names it
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # as NumPy 2 does
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _Refused(pickle.UnpicklingError):
    """A name that is not admitted."""


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise _Refused(f"the name {f'{module}.{name}'!r}")
        return ADMITTED[module, name]


def read_pickle(where: str, content: bytes) -> Any:
    """Return the object of a pickle of arrays, lists, numbers and strings, those as bytes.

    ``where`` names the file in error messages. Raises DataError for any other pickle.
    """
    if not content:
        raise DataError(f"{where}: expected a pickle of arrays, found an empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # errors are reported below, in one line
            return _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except _Refused as error:
        raise DataError(
            f"{where}: expected a pickle of NumPy arrays only, found {error}, which is not read"
        ) from None
    except Exception as error:  # a broken pickle may raise anything
        raise DataError(
            f"{where}: expected a pickle of arrays, found {len(content)} bytes that are cut short "
            f"or not one ({type(error).__name__})"
        ) from None
