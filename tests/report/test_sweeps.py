"""The files of a sweep."""

from __future__ import annotations

import csv
from pathlib import Path

from convkit.report.sweeps import draw_sweep, write_tables
from convkit.training.history import History, Row
from convkit.training.sweeps import SweepResult


def result(label: str, stopped: str | None) -> SweepResult:
    history = History([Row(1, 0, 2.0, 0.25, 0.5), Row(2, 1, 1.0, 0.5, 0.75)])
    return SweepResult(label, float(label), history, 0.75, 1.23456, stopped)


def test_a_sweep_has_two_plots_a_table_and_a_history_each(tmp_path: Path) -> None:
    results = [result("0.1", None), result("5", "diverged")]
    write_tables(tmp_path, "learning_rate", results)
    assert not [*tmp_path.glob("*.png")]
    draw_sweep(tmp_path, "learning_rate", results)
    assert {path.name for path in tmp_path.iterdir()} == {
        "loss.png", "accuracy.png", "sweep.csv", "history-0.1.csv", "history-5.csv"
    }  # fmt: skip
    with open(tmp_path / "sweep.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["learning_rate", "best_val_acc", "seconds", "stopped"],
            ["0.1", "0.75", "1.235", ""],
            ["5", "0.75", "1.235", "diverged"],
        ]
    assert History.from_csv(tmp_path / "history-5.csv").losses == [2.0, 1.0]
