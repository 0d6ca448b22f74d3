"""The files of a sweep."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from convkit.report.sweeps import draw_sweep, save_best, write_tables
from convkit.tensors import load_weights
from convkit.training.history import History, Row
from convkit.training.sweeps import SweepResult, label_of


def result(label: str, stopped: str | None) -> SweepResult:
    history = History([Row(1, 0, 2.0, 0.25, 0.5), Row(2, 1, 1.0, 0.5, 0.75)])
    return SweepResult(label, float(label), history, 0.75, 1.23456, stopped)


def test_a_sweep_has_two_plots_a_table_and_a_history_each(tmp_path: Path) -> None:
    results = [result("0.1", None), result("5", "diverged")]
    write_tables(tmp_path, "learning_rate", results)
    assert not [*tmp_path.glob("*.png")]
    draw_sweep(tmp_path, "learning_rate", results)
    assert {path.name for path in tmp_path.iterdir()} == {
        "loss.png", "accuracy.png", "sweep.csv", "sweep.html", "history-0.1.csv", "history-5.csv"
    }  # fmt: skip
    with open(tmp_path / "sweep.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["learning_rate", "best_val_acc", "seconds", "stopped"],
            ["0.1", "0.75", "1.235", ""],
            ["5", "0.75", "1.235", "diverged"],
        ]
    assert History.from_csv(tmp_path / "history-5.csv").losses == [2.0, 1.0]


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    results = [
        replace(result(name, None), best_val_acc=acc, weights={"W": np.full(2, acc)})
        for name, acc in (("1", 0.25), ("2", 0.75), ("3", 0.75))
    ]
    assert save_best(tmp_path, results) is results[1]  # the first of equals
    weights, metadata = load_weights(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(weights["W"], [0.75, 0.75])
    assert metadata["run"] == "2"
    assert save_best(tmp_path, []) is None


def test_several_parameters_have_a_column_each(tmp_path: Path) -> None:
    value = {"learning_rate": 0.1, "batch_size": 5}
    one = replace(result("1", None), label=label_of(value), value=value)
    write_tables(tmp_path, ["learning_rate", "batch_size"], [one])
    assert (tmp_path / "history-learning-rate_0.1,_batch-size_5.csv").is_file()
    with open(tmp_path / "sweep.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1][:2] == ["0.1", "5"]
