"""Reading an untrusted pickle without running what it says.

A pickle is a program. This reader admits the few names that arrays and bytes are made of, in every
protocol, and no other. Each name is mapped to a known object; nothing is imported because a file
names it.
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


class _Refused(pickle.UnpicklingError):
    """What is not admitted."""


def _encode(text: str, encoding: str) -> bytes:
    """Return bytes that Python 3 wrote as a text, as it does in protocols 0 to 2."""
    if encoding != "latin1":
        raise _Refused(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Return empty bytes, as protocols 0 to 2 have them."""
    return b""


def _from_buffer(
    content: bytes | bytearray, dtype: np.dtype[Any], shape: tuple[int, ...], order: str
) -> np.ndarray[Any, Any]:
    """Return an array as protocol 5 has it, in native byte order, as the other protocols do.

    NumPy makes no array of objects from a buffer.
    """
    flat = np.frombuffer(bytearray(content), np.dtype(dtype))
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    return flat.reshape(shape, order="F" if order == "F" else "C")


ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,  # as NumPy 1 names it
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # as NumPy 2 does
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


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
