"""Small problems and hand-made rows that several of these tests use."""

from __future__ import annotations

from typing import Any

from convkit.bench import timing
from convkit.bench.problems import Problem

SMALL = Problem("small", "conv", (2, 4, 7, 6), 6, 3, 2, 1, 2)
SMALL_MAX = Problem("small_max", "max", (2, 3, 7, 7), 3, 3, 2, 1)
SMALL_AVG = Problem("small_avg", "avg", (2, 3, 7, 7), 3, 3, 2, 1)
SMALL_1D = Problem("small_1d", "conv", (2, 4, 9), 6, 3, 2, 1)
SMALL_3D = Problem("small_3d", "conv", (2, 4, 3, 5, 6), 6, 2, 1, 1, 2)
SMALL_MAX_3D = Problem("small_max_3d", "max", (2, 3, 4, 5, 7), 3, 2, 2, 0)
SMALL_AVG_3D = Problem("small_avg_3d", "avg", (2, 3, 4, 5, 7), 3, 2, 2, 0)
SMALL_ONES = [SMALL, SMALL_MAX, SMALL_AVG, SMALL_1D, SMALL_3D, SMALL_MAX_3D, SMALL_AVG_3D]


def make_row(subject: str, seconds: float, **changes: Any) -> timing.Row:
    values: dict[str, Any] = {
        "problem": "p", "kind": "conv", "dtype": "float32", "threads": 2, "subject": subject,
        "direction": "forward", "seconds": seconds, "spread": 0.01, "gflops": 1.0,
        "peak_share": 0.5, "copy_share": 0.25, "memory_bound": False,
        "extra_bytes": 2**20, "least_bytes": 10.0,
    }  # fmt: skip
    return timing.Row(**{**values, **changes})
