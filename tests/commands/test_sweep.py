"""``convkit sweep`` trains once per value and draws one labelled curve for each."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from convkit import cli, models
from convkit.commands.sweep import CHOICES
from convkit.report import plots
from convkit.training.data import load_data
from convkit.training.history import History
from convkit.training.solver import Solver

pytestmark = pytest.mark.long

SHORT = ["sweep", "--iterations", "6", "--num-train", "150", "--batch-size", "20"]
VALUES = {
    "learning-rate": ["0.05", "0.005", "0.003", "0.001", "0.0001", "1e-05"],
    "reg": ["0.5", "0.05", "0.005", "0.0005"],
    "update-rule": ["sgd", "sgd_momentum", "nesterov", "rmsprop", "adam", "adamw"],
}


@pytest.mark.parametrize("over", VALUES)
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
    count = len(VALUES[over])
    for number, (value, line) in enumerate(zip(VALUES[over], lines[:-2], strict=True), 1):
        assert line.startswith(f"{over} {value}: best val_acc 0.")
        assert line.endswith(f", {number} of {count}")
    assert lines[-2].startswith(f"Best: {over} ")
    assert lines[-1] == f"Page: {tmp_path / 's' / 'sweep.html'}"
    for figure in figures:
        curves = figure.axes[0].get_lines()
        labels = [curve.get_label() for curve in curves]
        assert [label.removesuffix(" (best)") for label in labels] == VALUES[over]
        assert sum(label.endswith(" (best)") for label in labels) == 1
        assert all(len(curve.get_xdata()) > 0 for curve in curves)
    shown = [figure.axes[0].get_ylabel() for figure in figures]
    assert shown == ["loss"] * 2 + ["validation accuracy"] * 2  # on light and on dark paper
    written = {path.name for path in (tmp_path / "s").iterdir()}
    assert written == {
        "loss.png",
        "accuracy.png",
        "sweep.csv",
        "sweep.html",
        "weights.safetensors",
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
    status = cli.run([*SHORT, "--over", "reg", "--out", str(tmp_path), "--name", "s"])
    assert status == cli.EXIT_INTERRUPTED
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


def test_every_numeric_option_is_offered() -> None:
    assert set(VALUES) <= set(CHOICES)
    assert {"batch-size", "dropout", "weight-decay", "seed", "epochs", "num-train"} <= set(CHOICES)
    assert not {"data", "out", "name", "backend", "threads", "augment"} & set(CHOICES)


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "sweep.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_several_options_at_once_and_the_weights_of_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = [
        "--over",
        "learning-rate",
        "--values",
        "1e-2,1e-7",
        "--over",
        "depth",
        "--values",
        "1,2",
    ]
    argv = [*SHORT, "--model", "fc", *axes, "--out", str(tmp_path), "--name", "s"]
    assert cli.run(argv) == 0
    found = rows(tmp_path / "s")
    tried = [(row["learning_rate"], row["depth"]) for row in found]
    assert tried == [("0.01", "1"), ("0.01", "2"), ("1e-07", "1"), ("1e-07", "2")]
    best = max(found, key=lambda row: float(row["best_val_acc"]))
    said = f"learning-rate {best['learning_rate']}, depth {best['depth']}"
    assert f"Best: {said}, kept in {tmp_path / 's' / 'weights.safetensors'}\n" in (
        capsys.readouterr().out
    )
    page = (tmp_path / "s" / "sweep.html").read_text("utf-8")
    assert f"Best: <b>{said}</b>" in page
    network = models.load(tmp_path / "s")
    assert len(network.hidden_dims) == int(best["depth"])
    # It is the network that was measured, with what prepares its images.
    data = load_data("digits", rng=0, preparation="standardise")
    own = load_data("digits", rng=0, preparation=network.preprocessing)
    assert np.abs(data["X_val"] - own["X_val"]).max() < 0.5
    labels = np.argmax(network.loss(own["X_val"]), axis=1)
    assert np.mean(labels == own["y_val"]) == pytest.approx(float(best["best_val_acc"]))


def test_combinations_drawn_at_random(tmp_path: Path) -> None:
    axes = ["--over", "reg", "--values", "1e-5..1e-1", "--over", "batch-size", "--values", "5..50"]
    argv = [*SHORT[:5], *axes, "--random", "3", "--out", str(tmp_path)]
    for name in ("a", "b"):
        assert cli.run([*argv, "--name", name]) == 0
    found = rows(tmp_path / "a")
    assert len({row["reg"] for row in found}) == 3
    assert all(1e-5 <= float(row["reg"]) <= 0.1 for row in found)
    assert all(5 <= int(row["batch_size"]) <= 50 for row in found)
    assert [row["reg"] for row in rows(tmp_path / "b")] == [row["reg"] for row in found]


def test_an_option_of_the_data_reads_it_anew(tmp_path: Path) -> None:
    argv = ["sweep", "--iterations", "2", "--over", "num-train", "--values", "50,100"]
    assert cli.run([*argv, "--out", str(tmp_path), "--name", "s"]) == 0
    epochs = [
        History.from_csv(tmp_path / "s" / f"history-{n}.csv").rows[-1].epoch for n in (50, 100)
    ]
    assert epochs == [2, 1]


def test_after_each_training_the_folder_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, seen = Solver.train, []

    def looked(solver: Solver) -> object:
        seen.append([path.name for path in tmp_path.glob("s/*")])
        return train(solver)

    monkeypatch.setattr(Solver, "train", looked)
    assert cli.run([*SHORT, "--over", "reg", "--out", str(tmp_path), "--name", "s"]) == 0
    assert seen[0] == []
    assert sorted(seen[1]) == ["history-0.5.csv", "sweep.csv", "weights.safetensors"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "Missing option '--over'"),
        (["--over", "data"], "Invalid value for '--over': 'data' is not one of"),
        (["--over", "reg", "--reg", "1"], "--reg is what the sweep varies; leave it out"),
        (["--over", "reg", "--over", "reg"], "each --over must name another option"),
        (["--over", "dropout"], "--over dropout needs --values"),
        (["--over", "dropout", "--values", "0.1"], "--dropout is no option of the model 'three_l"),
        (["--over", "reg", "--values", "1,x"], "Invalid value for '--reg': 'x' is not a number"),
        (["--over", "reg", "--values", "-1"], "Invalid value for '--reg': -1 must be at least 0"),
        (["--over", "reg", "--values", "1,1"], "--values 1,1 must hold each value once"),
        (["--over", "reg", "--values", "1..2"], "reg: a range has no grid; say how many values"),
        (["--over", "reg", "--values", "2..1"], "--values 2..1: a range (=2..1) must be of fini"),
        (["--over", "reg", "--values", "1", "--values", "2"], "there must be one --over for each"),
        (["--over", "valid", "--values", "0,9"], "--valid 0 leaves no validation images to tell"),
        (["--over", "warm-up", "--values", "2"], "--warm-up needs --schedule, such as constant"),
    ],
)
def test_wrong_options_exit_2_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], line: str
) -> None:
    assert cli.run([*SHORT, *options, "--out", str(tmp_path / "runs")]) == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert printed.startswith(f"convkit: error: {line}")
    assert not (tmp_path / "runs").exists()
