"""Extra memory is what is allocated beyond the results."""

from __future__ import annotations

import numpy as np
import pytest

from convkit.bench import memory


def test_extra_memory_counts_what_is_not_a_result() -> None:
    def call() -> dict[str, np.ndarray]:
        scratch = np.ones(32 << 17)  # 32 MiB
        return {"out": np.full(8 << 17, scratch[5])}

    found = memory.extra_bytes(call)
    if found is None:
        pytest.skip("no /proc here")
    assert 30 * 2**20 < found < 40 * 2**20
