"""Arrays by name in a safetensors file, with strings as metadata.

The format holds numbers and strings and no code, so an untrusted checkpoint is safe to open.
Files are written atomically.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.files import write_bytes
from convkit.optional import require

__all__ = ["WEIGHTS_FILE", "load_weights", "save_weights"]

WEIGHTS_FILE = "weights.safetensors"
"""A network's file in the folder of a run."""


def save_weights(
    path: str | os.PathLike[str],
    params: Mapping[str, npt.NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays by name, with strings by name as metadata."""
    safetensors = require("safetensors.numpy", "a weights file")
    # safetensors writes the memory regardless of strides: a transposed view would be scrambled.
    # (ascontiguousarray would give an array without axes one axis.)
    arrays = {name: np.asarray(array, order="C") for name, array in params.items()}
    write_bytes(path, safetensors.save(arrays, metadata=dict(metadata or {})))


def load_weights(
    path: str | os.PathLike[str],
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Return (arrays, metadata) of a file that ``save_weights`` wrote; DataError for another."""
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file; expected a safetensors file of weights")
    safetensors = require("safetensors", "a weights file")
    try:
        with safetensors.safe_open(os.fspath(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: expected a safetensors file of weights, found {reason}") from None
