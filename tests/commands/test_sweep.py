"""``convkit sweep`` trains once per value and draws one labelled curve for each."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from convkit import cli
from convkit.commands.sweep import CHOICES
from convkit.report import plots
from convkit.training.solver import Solver

pytestmark = pytest.mark.long

SHORT = ["sweep", "--iterations", "6", "--num-train", "150", "--batch-size", "20"]
VALUES = {
    "learning-rate": ["0.05", "0.005", "0.003", "0.001", "0.0001", "1e-05"],
    "reg": ["0.5", "0.05", "0.005", "0.0005"],
    "update-rule": ["sgd", "sgd_momentum", "nesterov", "rmsprop", "adam", "adamw"],
}


@pytest.mark.parametrize("over", CHOICES)
def test_each_sweep_has_a_plot_with_a_labelled_curve_per_value(
    over: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = []
    plain = plots.sweep_curves

    def kept(*arguments: object, **named: object) -> object:
        figures.append(plain(*arguments, **named))  # type: ignore[arg-type]
        return figures[-1]

    monkeypatch.setattr(plots, "sweep_curves", kept)
    assert cli.run([*SHORT, "--over", over, "--out", str(tmp_path), "--name", "s"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for value, line in zip(VALUES[over], lines[:-1], strict=True):
        assert line.startswith(f"{over} {value}: best val_acc 0.")
    for figure in figures:
        curves = figure.axes[0].get_lines()
        assert [curve.get_label() for curve in curves] == VALUES[over]
        assert all(len(curve.get_xdata()) > 0 for curve in curves)
    assert [figure.axes[0].get_ylabel() for figure in figures] == ["loss", "validation accuracy"]
    written = {path.name for path in (tmp_path / "s").iterdir()}
    assert written == {
        "loss.png",
        "accuracy.png",
        "sweep.csv",
        *(f"history-{value}.csv" for value in VALUES[over]),
    }
    with open(tmp_path / "s" / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row[over.replace("-", "_")] for row in rows] == VALUES[over]


def test_ctrl_c_keeps_the_trainings_that_were_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train, done = Solver.train, []

    def interrupted_in_the_third(solver: Solver) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(train(solver))

    monkeypatch.setattr(Solver, "train", interrupted_in_the_third)
    assert cli.run([*SHORT, "--over", "reg", "--out", str(tmp_path), "--name", "s"]) == 0
    assert "Interrupted: keeping the 2 trainings that were done.\n" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "s").iterdir()}
    assert written >= {"loss.png", "accuracy.png", "history-0.5.csv", "history-0.05.csv"}
    assert "history-0.005.csv" not in written


def test_ctrl_c_in_the_first_training_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(solver: Solver) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Solver, "train", interrupted)
    assert cli.run([*SHORT, "--over", "reg", "--out", str(tmp_path)]) == cli.EXIT_INTERRUPTED
    assert list(tmp_path.iterdir()) == []


def test_the_three_sweeps_of_the_course_are_offered() -> None:
    assert set(CHOICES) == set(VALUES)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "Missing option '--over'"),
        (["--over", "seed"], "Invalid value for '--over': 'seed' is not one of"),
        (["--over", "reg", "--reg", "1"], "--reg is what the sweep varies; leave it out"),
    ],
)
def test_wrong_options_exit_2_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], line: str
) -> None:
    assert cli.run([*SHORT, *options, "--out", str(tmp_path / "runs")]) == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert printed.startswith(f"convkit: error: {line}")
    assert not (tmp_path / "runs").exists()
