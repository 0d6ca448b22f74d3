"""Tables show every row and the ratio to the peer."""

from __future__ import annotations

import math

from bench_cases import make_row

from convkit.bench import tables


def test_tables_show_losing_rows_and_ratios() -> None:
    rows = [
        make_row("cython", 2.0),
        make_row("torch", 1.0),
        make_row("cython", 0.001, direction="dx"),
    ]
    lines = tables.text(rows).splitlines()
    assert lines[0] == "float32, 2 threads"
    assert lines[2].split() == [
        *("p", "forward", "cython", "2", "s", "±1%", "1.0", "50%", "peak", "1.0", "MiB", "0.50")
    ]
    assert lines[4].split()[-2:] == ["1.0", "MiB"]  # nothing to compare it with
    wide = tables.wide_table(rows, ["cython", "torch"])
    assert "| p | forward | 2 s ±1% | 1.0 | 50% peak | 1.0 MiB | 0.50 | 1 s ±1% |" in wide
    assert tables.geometric_mean([2.0, 8.0, math.nan]) == 4.0
    assert "25% copy" in tables.text([make_row("cython", 1.0, memory_bound=True)])
