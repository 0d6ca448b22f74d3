"""``convkit train`` from options to a run's folder."""

from __future__ import annotations

import csv
import importlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from convkit import cli, models
from convkit.report.record import load_record
from convkit.training import snapshot
from convkit.training.checkpoint import load_weights
from convkit.training.history import History
from convkit.training.solver import Solver

pytestmark = pytest.mark.long

SHORT = ["train", "--iterations", "12", "--num-train", "200", "--no-speedups"]
# SIGINT may be ignored where the tests run in the background, and stays so in a child.
LISTENING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from convkit.cli import main; main()"
)


def run_names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir()) if out.exists() else []


def one_error_line(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("convkit: error: ")
    return line.removeprefix("convkit: error: ")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A short run with everything, and what it printed."""
    out = tmp_path_factory.mktemp("runs")
    options = ["--iterations", "60", "--batch-size", "50", "--seed", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "convkit", "train", "--out", out, "--name", "first", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return out / "first", done.stdout


def test_it_prints_backends_with_speedups_and_the_solver_s_lines(
    finished: tuple[Path, str],
) -> None:
    run, out = finished
    header, *rows = out[out.index("backend ") :].splitlines()[:4]
    assert re.split(r"\s{2,}", header)[2:] == [
        "conv forward",
        "conv backward",
        "pool forward",
        "pool backward",
    ]
    assert [row.startswith("* ") for row in rows].count(True) == 1
    naive = next(row for row in rows if row.split()[0] == "naive")
    assert re.split(r"\s{2,}", naive.strip())[1:] == ["loaded", "1x", "1x", "1x", "1x"]
    assert re.search(
        r"^\(Epoch 0 / \d+, iteration 1 / 60\) train acc: 0\.\d{6}; val_acc: 0\.\d{6}$", out, re.M
    )
    assert re.search(r"^Test accuracy: 0\.\d{4} ", out, re.M)
    assert out.endswith(f"Report: {run / 'report.html'}\n")
    assert "\r" not in out


def test_it_writes_the_whole_run(finished: tuple[Path, str]) -> None:
    run, _ = finished
    written = set(run_names(run))
    assert {"report.html", "history.csv", "weights.safetensors", "run.json"} <= written
    assert {"loss.png", "accuracy.png", "filters.png", "confusion.png", "speedups.png"} <= written
    assert run_names(run.parent) == ["first"]
    with open(run / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in history] == list(range(1, 61))
    assert all(float(row["loss"]) > 0 for row in history)
    assert float(history[-1]["val_acc"]) > 0.3


def test_the_record_says_what_was_done(finished: tuple[Path, str]) -> None:
    run, out = finished
    record = load_record(run)
    assert record.name == "first"
    assert record.stopped is None
    assert record.settings["batch_size"] == 50
    assert record.settings["seed"] == 3
    assert record.settings["update_rule"]
    assert sum(map(sum, record.confusion)) == record.data["test"]
    right = sum(record.confusion[i][i] for i in range(10))
    assert record.results["test_acc"] == pytest.approx(right / record.data["test"])
    assert f"Test accuracy: {record.results['test_acc']:.4f}" in out
    assert record.results["parameters"] == sum(v.size for v in record.weights.values())
    assert (record.mistakes.true != record.mistakes.predicted).all()
    assert len(record.mistakes.images) == min(20, record.data["test"] - right)
    assert 0 <= record.mistakes.images.min() <= record.mistakes.images.max() <= 255
    assert {row["backend"] for row in record.speedups} >= {"naive", "im2col_numpy"}
    assert record.versions["numpy"] == np.__version__


def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        assert cli.run([*SHORT, "--out", str(tmp_path), "--name", name, "--seed", seed]) == 0
    files = {
        name: [(tmp_path / name / "history.csv").read_bytes(), load_record(tmp_path / name).weights]
        for name in "abc"
    }
    assert files["a"][0] == files["b"][0] != files["c"][0]
    for key, value in files["a"][1].items():
        assert np.array_equal(value, files["b"][1][key]), key


def test_every_hyper_parameter_reaches_the_run(tmp_path: Path) -> None:
    options = {
        "backend": "im2col_numpy",
        "num-filters": 3,
        "filter-size": 5,
        "hidden-dim": 7,
        "weight-scale": 0.02,
        "reg": 0.1,
        "dtype": "float64",
        "batch-size": 11,
        "update-rule": "adam",
        "learning-rate": 0.002,
        "lr-decay": 0.9,
        "beta1": 0.8,
        "beta2": 0.95,
        "epsilon": 1e-7,
        "num-train-samples": 50,
        "num-val-samples": 40,
        "print-every": 4,
        "seed": 9,
    }
    argv = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    assert cli.run([*SHORT, *argv, "--out", str(tmp_path), "--name", "a"]) == 0
    record = load_record(tmp_path / "a")
    for key, value in options.items():
        assert record.settings[key.replace("-", "_")] == value, key
    assert record.backend == "im2col_numpy"
    assert record.data["training"] == 200
    assert record.weights["W1"].shape == (3, 1, 5, 5)
    assert record.weights["W1"].dtype == np.float64
    assert record.weights["W2"].shape[1] == 7


@pytest.mark.sampled(usual=3)
@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("three_layer", "sgd"),
        ("three_layer", "sgd_momentum"),
        ("three_layer", "rmsprop"),
        ("deep", "adam"),
        ("fc", "adam"),
        ("resnet", "adam"),
        ("mobilenet", "adam"),
    ],
)
def test_every_model_and_rule_trains(tmp_path: Path, model: str, rule: str) -> None:
    argv = ["--model", model, "--update-rule", rule, "--out", str(tmp_path), "--name", "a"]
    assert cli.run([*SHORT, *argv]) == 0
    record = load_record(tmp_path / "a")
    assert (record.settings["model"], record.settings["update_rule"]) == (model, rule)
    assert (tmp_path / "a" / "filters.png").exists() == (model != "fc")
    assert record.results["parameters"] <= sum(v.size for v in record.weights.values())
    network = models.load(tmp_path / "a" / "weights.safetensors")
    assert type(network) is models.MODELS[model]
    assert network.loss(np.zeros((2, 1, 8, 8))).shape == (2, 10)


def test_a_first_loss_that_is_too_large_is_remarked_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, scale in (("a", "3"), ("b", "0.001")):
        argv = ["--out", str(tmp_path), "--name", name, "--weight-scale", scale]
        assert cli.run([*SHORT, *argv]) == 0
        out = capsys.readouterr().out
        lines = [line for line in out.splitlines() if line.startswith("The first loss is ")]
        assert len(lines) == (name == "a")


def test_images_of_one_s_own(tmp_path: Path, rng: np.random.Generator) -> None:
    y = np.arange(120) % 3
    X = (
        rng.integers(0, 80, (120, 9, 7, 3), dtype=np.uint8)
        + (y * 60).astype(np.uint8)[:, None, None, None]
    )
    np.savez(tmp_path / "mine.npz", X=X, y=y, layout="NHWC")
    argv = ["train", "--data", str(tmp_path / "mine.npz"), "--iterations", "30", "--no-speedups"]
    assert cli.run([*argv, "--out", str(tmp_path / "runs")]) == 0
    (name,) = run_names(tmp_path / "runs")
    assert name.startswith("mine-")
    record = load_record(tmp_path / "runs" / name)
    assert record.data["shape"] == "3×9×7"
    assert len(record.classes) == 3


def test_a_taken_name_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    assert cli.run([*SHORT, "--out", str(tmp_path), "--name", "a"]) == 1
    assert one_error_line(capsys) == (
        f"--name (='a') must be new, but {tmp_path / 'a'} exists; choose another name"
    )
    assert run_names(tmp_path) == ["a"]
    assert run_names(tmp_path / "a") == []


@pytest.mark.parametrize(
    "wrong",
    [
        ["--epochs", "0"],
        ["--epochs", "two"],
        ["--iterations", "-1"],
        ["--batch-size", "0"],
        ["--learning-rate", "0"],
        ["--learning-rate", "nan"],
        ["--learning-rate", "inf"],
        ["--reg", "-0.1"],
        ["--weight-scale", "-1"],
        ["--momentum", "1.5"],
        ["--beta1", "1"],
        ["--epochs", "2"],  # beside --iterations
        ["--data-dir", "x"],  # beside --data digits
        ["--data", "some.npz", "--data-dir", "x"],
        ["--backend", "cyton"],
        ["--name", "../up"],
        ["--name", ""],
        ["--update-rule", "adagrad"],
        ["--update-rule", "sgd", "--beta1", "0.9"],
        ["--dtype", "float16"],
        ["--model", "vgg"],
        ["--model", "resnet", "--filter-size", "5"],
        ["--threads", "0"],
        ["--seed", "-1"],
        ["--filter-size", "0"],
        ["--nonsense"],
        ["extra"],
    ],
    ids=" ".join,
)
def test_wrong_options_exit_2_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    assert cli.run([*SHORT, "--out", str(tmp_path / "runs"), *wrong]) == 2
    line = one_error_line(capsys)
    assert wrong[-1] in line or wrong[-2] in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        (["--data", "no/such/folder"], "no/such/folder"),
        (["--data", "cifar10", "--data-dir", "no/such/folder"], "no/such/folder"),
        (["--data", "some.npz"], "some.npz: expected an .npz file, found no such file"),
        (["--backend", "json:dumps"], "backend 'json:dumps' cannot be loaded: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_exits_1_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str], part: str
) -> None:
    assert cli.run([*SHORT, "--out", str(tmp_path / "runs"), *wrong]) == 1
    assert part in one_error_line(capsys)
    assert not (tmp_path / "runs").exists()


def test_a_file_is_no_place_for_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").write_text("mine")
    assert cli.run([*SHORT, "--out", str(tmp_path / "runs")]) == 2
    assert "is a file" in one_error_line(capsys)
    assert (tmp_path / "runs").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert cli.run([*SHORT, "--out", str(tmp_path / "file" / "runs")]) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert str(tmp_path / "file" / "runs") in line
    assert "Iteration" not in printed.out


@pytest.mark.parametrize("package", ["safetensors", "jinja2"])
def test_a_package_that_is_needed_in_the_end_is_missed_at_the_start(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert cli.run([*SHORT, "--out", str(tmp_path / "runs")]) == 1
    assert f"convkit train needs the module {package!r}" in one_error_line(capsys)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_diverges_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["--update-rule", "sgd", "--learning-rate", "1e30", "--out", str(tmp_path)]
    assert cli.run([*SHORT, *wild, "--name", "a"]) == 0
    assert "diverged" in capsys.readouterr().out
    assert load_record(tmp_path / "a").stopped == "diverged"
    assert "smaller learning rate" in (tmp_path / "a" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_keeps_what_was_learned(tmp_path: Path, number: signal.Signals) -> None:
    argv = ["train", "--iterations", "1000000", "--print-every", "5", "--no-speedups"]
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", LISTENING, *argv, "--out", tmp_path, "--name", "a"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    seen = ""
    while "(Iteration 21 /" not in seen:
        line = process.stdout.readline()
        assert line, f"training ended early:\n{seen}"
        seen += line
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err == ""
    assert "Interrupted: keeping what was learned." in out
    record = load_record(tmp_path / "a")
    assert record.stopped == "interrupted"
    assert len(record.history.losses) >= 21
    assert record.history.rows[-1].val_acc is not None
    assert "Training was interrupted" in (tmp_path / "a" / "report.html").read_text("utf-8")
    assert run_names(tmp_path) == ["a"]
    # What is kept is the state of the last iteration, from which the run goes on.
    state = snapshot.read(tmp_path / "a" / "resume.safetensors")
    assert len(record.history.losses) - 1 <= state["iteration"] <= len(record.history.losses)


def test_ctrl_c_before_anything_is_learned_still_ends_in_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(solver: Solver) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(Solver, "_step", interrupted)
    status = cli.run([*SHORT, "--out", str(tmp_path), "--name", "a"])
    assert status == cli.EXIT_INTERRUPTED
    assert "Interrupted: keeping what was learned." in capsys.readouterr().out
    assert load_record(tmp_path / "a").history.losses == []
    assert (tmp_path / "a" / "report.html").is_file()


@pytest.mark.parametrize("late", ["add_test", "save_record", "write_report"])
def test_ctrl_c_after_training_keeps_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], late: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("convkit.commands.train"), late, interrupted)
    assert cli.run([*SHORT, "--out", str(tmp_path), "--name", "a"]) == cli.EXIT_INTERRUPTED
    out = capsys.readouterr().out
    assert out.endswith(f"Interrupted: no report; what was learned is in {tmp_path / 'a'}\n")
    weights, _ = load_weights(tmp_path / "a" / "weights.safetensors")
    assert set(weights) == {"W1", "b1", "W2", "b2", "W3", "b3"}
    assert len(History.from_csv(tmp_path / "a" / "history.csv").losses) == 12
    assert run_names(tmp_path) == ["a"]


def shown_on_terminal(tmp_path: Path, columns: int) -> str:
    """What a short training shows on a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, columns))
    process = subprocess.Popen(
        [sys.executable, "-m", "convkit", *SHORT, "--out", tmp_path, "--name", "a"],
        stdout=theirs,
        stderr=theirs,
        env={k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # the other end closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_at_80_columns_the_progress_bar_has_cells(tmp_path: Path) -> None:
    text = shown_on_terminal(tmp_path, 80)
    (bar,) = set(re.findall(r"100%\|([^|]*)\| 12/12", text))
    assert len(bar) >= 16
    assert re.search(r"12/12 \[[\d:]+<00:00, loss \d\.\d+, val \d+\.\d%", text)


def test_on_a_terminal_there_is_a_progress_bar(tmp_path: Path) -> None:
    text = shown_on_terminal(tmp_path, 160)
    assert re.search(
        r"epoch \d+/\d+ 100%\|.*\| 12/12 \[[\d:]+<00:00, loss \d\.\d+, train \d+\.\d%, "
        r"val \d+\.\d%, [\d,]+ images/s\]",
        text,
    )
    assert "(Iteration" not in text
    assert "Test accuracy" in text


@pytest.mark.slow
def test_the_defaults_reach_97_percent_on_digits(tmp_path: Path) -> None:
    assert cli.run(["train", "--no-speedups", "--out", str(tmp_path), "--name", "a"]) == 0
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    assert record["results"]["test_acc"] >= 0.97


def image_folder(root: Path, *classes: bytes) -> Path:
    """A folder of 20 grey images of 8x8 pixels per class; names are bytes."""
    pillow = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name in classes:
        folder = os.path.join(os.fsencode(root), name)
        os.makedirs(folder)
        for number in range(20):
            with open(os.path.join(folder, b"%d.png" % number), "wb") as file:
                pillow.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).save(file, "png")
    return root


@pytest.mark.parametrize(
    ("name", "shown"), [(b"a$_$b", "a$_$b"), (b"$\\frac$", r"$\frac$"), (b"caf\xe9", r"caf\xe9")]
)
def test_class_folders_with_dollars_or_not_utf_8_are_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: bytes, shown: str
) -> None:
    data = image_folder(tmp_path / "data", name, b"other")
    out = ["--out", str(tmp_path), "--name", "a", "--no-speedups", "--iterations", "5"]
    assert cli.run(["train", "--data", str(data), *out]) == 0
    assert capsys.readouterr().err == ""
    assert shown in load_record(tmp_path / "a").classes
    assert "could not be drawn" not in (tmp_path / "a" / "report.html").read_text("utf-8")


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("out of ink")


def test_a_failing_picture_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convkit.report.plots.confusion_matrix", broken)
    assert cli.run([*SHORT, "--out", str(tmp_path), "--name", "a"]) == 0
    said = "A picture could not be drawn: Confusion matrix: RuntimeError: out of ink\n"
    assert capsys.readouterr().err == said
    assert "RuntimeError: out of ink" in (tmp_path / "a" / "report.html").read_text("utf-8")
    assert not (tmp_path / "a" / "confusion.png").exists()
    assert load_record(tmp_path / "a").results["test_acc"] > 0


@pytest.mark.parametrize("late", ["add_test", "write_report"])
def test_a_failure_after_training_keeps_weights_history_and_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    monkeypatch.setattr(importlib.import_module("convkit.commands.train"), late, broken)
    with pytest.raises(RuntimeError, match="out of ink"):
        cli.run([*SHORT, "--out", str(tmp_path), "--name", "a"])
    assert f"what was learned is in {tmp_path / 'a'}\n" in capsys.readouterr().err
    record = load_record(tmp_path / "a")
    assert set(record.weights) == {"W1", "b1", "W2", "b2", "W3", "b3"}
    assert len(record.history.losses) == 12
    assert record.settings["iterations"] == 12
    monkeypatch.undo()
    assert cli.run(["report", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a" / "report.html").is_file()


def test_without_validation_images_all_are_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "--valid", "0", "--iterations", "12", "--no-speedups"]
    assert cli.run([*argv, "--out", str(tmp_path), "--name", "a"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert re.search(r"^digits: 1,438 training, 0 validation, 359 test images", printed.out, re.M)
    assert "validation accuracy" not in printed.out
    record = load_record(tmp_path / "a")
    assert "best_val_acc" not in record.results
    assert record.history.val_accs == []
    assert "best validation" not in (tmp_path / "a" / "report.html").read_text("utf-8")


def test_a_loss_that_explodes_but_stays_finite_is_remarked_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ["--update-rule", "sgd", "--learning-rate", "1e4", "--reg", "1e-4", "--model", "fc"]
    argv = ["train", "--iterations", "3", "--num-train", "200", "--no-speedups", *wild]
    assert cli.run([*argv, "--out", str(tmp_path), "--name", "a"]) == 0
    assert load_record(tmp_path / "a").stopped is None
    (line,) = (
        line for line in capsys.readouterr().out.splitlines() if line.startswith("The loss rose")
    )
    assert line.endswith("the network is not learning; a smaller --learning-rate may help.")
    assert line in (tmp_path / "a" / "report.html").read_text("utf-8")


def test_images_of_one_class_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = image_folder(tmp_path / "data", b"cat")
    assert cli.run(["train", "--data", str(data), "--out", str(tmp_path / "runs")]) == 1
    assert "are all of one class ('cat'): there is nothing to tell apart" in one_error_line(capsys)
    assert not (tmp_path / "runs").exists()


def test_a_failure_in_the_first_step_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Solver, "_step", broken)
    with pytest.raises(RuntimeError, match="out of ink"):
        cli.run([*SHORT, "--out", str(tmp_path), "--name", "a"])
    assert run_names(tmp_path) == []


def test_what_an_epoch_learned_outlives_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Solver._step

    def failing(solver: Solver) -> float:
        if solver.iteration == 6:
            raise RuntimeError("out of ink")
        return plain(solver)

    monkeypatch.setattr(Solver, "_step", failing)
    with pytest.raises(RuntimeError, match="out of ink"):
        cli.run([*SHORT, "--out", str(tmp_path), "--name", "a"])
    assert len(load_record(tmp_path / "a").history.losses) == 4
