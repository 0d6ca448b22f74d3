"""Thread counts are timed alternately."""

from __future__ import annotations

import pytest
from bench_cases import make_row

from convkit.bench import scaling, subjects
from convkit.bench.machine import Yardsticks


def test_threads_are_compared_in_turns_where_they_count(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr(Yardsticks, "peak", lambda self, dtype: {1: 10.0, 2: 15.0}[used[-1]])

    class Counting(subjects.Ours):
        def set_num_threads(self, n: int) -> None:
            used.append(n)

    subject = Counting("naive")
    subject.name = "cython"
    rows = [
        make_row("cython", 0.004, problem="tiny", direction="dx"),
        make_row("cython", 0.001, problem="tiny", direction="dw"),  # too short
        make_row("cython", 0.004, problem="mob_dw3", memory_bound=True),
        make_row("torch", 0.004, problem="tiny"),
    ]
    (row,) = scaling.thread_rows([subject], rows, 2, 3)
    assert (row["problem"], row["direction"], used) == ("tiny", "dx", [1, 2] * 3)
    assert row["one"] > 0 < row["all"]
    assert row["peak"] == 1.5
    assert scaling.thread_rows([subject], rows, 1, 3) == []
