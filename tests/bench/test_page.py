"""The page's summaries."""

from __future__ import annotations

from pathlib import Path

import pytest
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


def test_convolutions_and_pools_have_means_of_their_own() -> None:
    rows = [
        make_row("cython", 1.0, problem="a"),
        make_row("torch", 4.0, problem="a"),
        make_row("cython", 1.0, problem="b", kind="depthwise"),
        make_row("torch", 1.0, problem="b", kind="depthwise"),
        make_row("cython", 2.0, problem="p", kind="max"),
        make_row("torch", 1.0, problem="p", kind="max"),
    ]
    assert page.summary(rows).splitlines()[2:] == [
        "| convolutions | float32 | forward | 2.00 | 2.50 | 1.00 (b) | 0 of 2 |",
        "| pools | float32 | forward | 0.50 | 0.50 | 0.50 (p) | 1 of 1 |",
    ]


def test_what_another_run_wrote_about_networks_stays(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "page.md"
    path.write_text("# Old\n\n## Networks\n\nkept\n\n## Summary\n\nnot kept\n")
    facts = {**dict.fromkeys(("cpu", "vectors", "cores", "system", "threads", "rounds"), "?")}
    facts |= {"sweeps": 1, "date": "", "load": 0, "versions": {}, "backends": {}}
    page.write(path, {**facts, "peak_source": "?"}, [make_row("cython", 1.0)], {})
    text = path.read_text(encoding="utf-8")
    assert "## Networks\n\nkept\n\n## Plots" in text
    assert "not kept" not in text
