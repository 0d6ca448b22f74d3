"""Tables of networks: ratios, means, and a section that leaves the page's others alone."""

from __future__ import annotations

from pathlib import Path

from convkit.bench import network_tables
from convkit.bench.network_runs import Row

FACTS = {
    "cpu": "a CPU", "vectors": "avx2", "cores": 2, "system": "Linux", "threads": 2, "rounds": 7,
    "versions": {"python": "3.11"}, "date": "2026-01-01", "load": 0.1,
}  # fmt: skip


def row(network: str, subject: str, direction: str, seconds: float, dtype: str = "float32") -> Row:
    return Row(network, dtype, 2, subject, direction, seconds, 0.05)


ROWS = [
    row("resnet20", "cython", "step", 0.2),
    row("resnet20", "cython", "fused", 0.1),
    row("resnet20", "torch", "step", 0.3),
    row("resnet20", "torch", "inference", 0.09),
    row("conv2", "cython", "step", 0.1),
    row("conv2", "torch", "step", 0.24),
]


def test_a_ratio_is_the_peers_time_divided_by_the_sides() -> None:
    text = network_tables.text(ROWS, ["x (float32) without y: z"])
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["network", "dtype", "direction", "backend", "time", "spread", "x", "torch"]
    assert lines[1] == ["conv2", "float32", "step", "cython", "100", "ms", "±5%", "2.40"]
    assert lines[2] == ["conv2", "float32", "step", "torch", "240", "ms", "±5%"]
    assert ["resnet20", "float32", "fused", "cython", "100", "ms", "±5%", "0.90"] in lines
    assert "float32, step, cython: 1.90x torch (0 of 2 slower)" in text  # sqrt(1.5 * 2.4)
    assert "float32, fused, cython: 0.90x torch (1 of 1 slower)" in text
    assert text.endswith("left out: x (float32) without y: z")


def test_the_best_of_pytorchs_sides_is_a_peer_of_its_own() -> None:
    rows = [*ROWS, row("resnet20", "torch channels_last", "step", 0.16)]
    ratios = network_tables.Ratios(rows)
    assert ratios.best
    assert round(ratios.of_best(rows[0]), 3) == 0.8
    assert round(ratios.of(rows[0]), 3) == 1.5
    assert round(ratios.of(rows[-1]), 3) == 1.875
    assert "x best of torch" in network_tables.text(rows)


def test_without_pytorch_backends_are_compared_with_the_last_one() -> None:
    rows = [row("conv2", "cython", "step", 0.1), row("conv2", "im2col_numpy", "step", 0.5)]
    text = network_tables.text(rows)
    assert "x im2col_numpy" in text
    assert "float32, step, cython: 5.00x im2col_numpy (0 of 1 slower)" in text
    alone = network_tables.text(rows[:1])
    assert len(alone.splitlines()) == 2
    assert " x " not in alone


def test_the_section_is_written_into_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Benchmarks\n\nintro\n\n## Networks\n\nold\n\n## All\n\nrows\n")
    network_tables.write(page, FACTS, ROWS, ["x without y"])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Benchmarks\n\nintro\n\n## Networks\n\nWritten by")
    assert text.endswith("## All\n\nrows\n")
    assert "old" not in text
    for part in (
        "| resnet20 | 128 | ResNet-20 for small images; 32x32 |",
        "| float32 | step | cython | torch | 1.90 | 1.95 | 1.50 (resnet20) | 0 of 2 slower |",
        "| resnet20 | float32 | fused | cython | 100 ms | ±5% | 0.90 |",
        "Left out: x without y.",
        "CPU: a CPU (avx2), 2 cores",
    ):
        assert part in text
    fresh = tmp_path / "fresh.md"
    network_tables.write(fresh, FACTS, ROWS)
    assert fresh.read_text(encoding="utf-8").startswith("# Benchmarks\n\n## Networks\n\n")
