"""``pytest tests/benchmarks``: every backend on every shape, grouped by problem.

Nothing here asserts a time. Keep a run with ``--benchmark-save=NAME`` and compare a later one with
``--benchmark-compare=NAME``.
"""

from __future__ import annotations

from typing import Any

import pytest

from convkit.bench.check import reject_wrong
from convkit.bench.machine import Yardsticks
from convkit.bench.problems import Problem, arrays

pytest.importorskip("pytest_benchmark")


@pytest.fixture(scope="module")
def yardsticks() -> Yardsticks:
    return Yardsticks()


def test_layer(
    benchmark: Any,
    problem: Problem,
    direction: str,
    dtype: str,
    subject: Any,
    yardsticks: Yardsticks,
) -> None:
    reason = subject.why_not(problem, dtype)
    if reason is not None:
        pytest.skip(reason)
    reject_wrong(problem, [subject], dtype)
    call = subject.calls(problem, arrays(problem, dtype))[direction]
    peak = max(yardsticks.peak(dtype) for _ in range(3))
    benchmark.group = f"{problem.name} {direction} {dtype}"
    benchmark(call)
    seconds = benchmark.stats.stats.median if benchmark.stats else float("nan")
    operations, traffic = problem.operations(direction), problem.traffic(direction, dtype)
    benchmark.extra_info |= {
        "gflops": operations / seconds / 1e9,
        "bytes": traffic,
        "gigabytes_per_second": traffic / seconds / 1e9,
        "peak_share": operations / seconds / peak,
        "peak_source": yardsticks.source,
    }
