"""What the tests of the compiled backend's kernels share: the table's list of them, and data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convkit.spec import ConvSpec, PoolSpec

convkit_cython = pytest.importorskip("convkit_cython")

DTYPES = [np.float32, np.float64]


def integers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Small integers, so that every sum is exact whatever its order."""
    return rng.integers(-4, 5, shape).astype(dtype)


def listed(operation: str, spec: ConvSpec | PoolSpec) -> list[int]:
    return [kernel.number for kernel in convkit_cython.candidates(operation, spec)]
