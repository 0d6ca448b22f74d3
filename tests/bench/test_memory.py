"""Extra memory is what is allocated beyond the results."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit.bench import memory


def test_extra_memory_counts_what_is_not_a_result() -> None:
    def call() -> dict[str, np.ndarray]:
        scratch = np.ones(32 << 17)  # 32 MiB
        return {"out": np.full(8 << 17, scratch[5])}

    found = memory.extra_bytes(call)
    if found is None:
        pytest.skip("no /proc here")
    assert 30 * 2**20 < found < 40 * 2**20


def test_memory_that_a_backend_keeps_hides_nothing() -> None:
    pytest.importorskip("convkit_cython._kernels")
    x, w = np.ones((8, 3, 256, 256), np.float32), np.ones((16, 3, 3, 3), np.float32)

    def call() -> dict[str, np.ndarray]:
        convkit.conv(x, w, pad=1, backend="cython")  # 32 MiB, freed at once
        return {"out": np.ones(8 << 17)}

    call()
    found = memory.extra_bytes(call)
    if found is None:
        pytest.skip("no /proc here")
    assert 30 * 2**20 < found < 44 * 2**20
