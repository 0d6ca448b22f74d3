"""What the tests of the compiled kernels share: the table's rows for a problem, and data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

convkit_cython = pytest.importorskip("convkit_cython")

DTYPES = [np.float32, np.float64]


def integers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Small integers, so that every sum is exact whatever its order."""
    return rng.integers(-4, 5, shape).astype(dtype)


def listed(operation: str, problem: Any, kernels: Any = convkit_cython.KERNELS) -> list[str]:
    """Names of all kernels that compute the problem, the chosen one first."""
    return [kernel.name for kernel in convkit_cython.candidates(operation, problem, kernels)]
