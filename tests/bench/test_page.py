"""The page's summaries."""

from __future__ import annotations

from bench_cases import make_row

from convkit.bench import page


def test_shares_are_of_the_limit_that_a_row_has() -> None:
    rows = [
        make_row("cython", 1.0, problem="a", peak_share=0.5),
        make_row("cython", 1.0, problem="b", peak_share=0.9),
        make_row("cython", 1.0, problem="pool", kind="max", copy_share=0.25, memory_bound=True),
        make_row("torch", 1.0, problem="c", peak_share=0.1),
    ]
    lines = page.shares(rows).splitlines()[2:]
    assert lines == [
        "| float32 | forward | peak | 2 | 70% | 50% (a) |",
        "| float32 | forward | copy | 1 | 25% | 25% (pool) |",
    ]


def test_what_threads_gain_is_held_against_what_the_peak_gained() -> None:
    row = {"problem": "a", "direction": "dw", "dtype": "float32"}
    rows = [
        {**row, "one": 0.006, "all": 0.003, "peak": 2.0},
        {**row, "one": 0.009, "all": 0.006, "peak": 1.5},
        {**row, "one": 0.006, "all": 0.003, "peak": 2.5},
    ]
    assert page.threads_table(rows).splitlines()[3].endswith("| 1.50 | 1.50 |")
    text = page.threads_summary(rows)
    assert "mean 1.82, smallest 1.50" in text
    assert "gained 1.96 and, at worst, 1.50" in text
    assert "kept 93% (smallest 80%)" in text
