"""``convkit train --resume``: runs that go on to the bit, and what may differ."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from convkit import cli
from convkit.report.folders import alone_in
from convkit.report.record import UNFINISHED, load_record, save_plain
from convkit.training import snapshot
from convkit.training.solver import Solver

pytestmark = pytest.mark.long

RUN = ["train", "--epochs", "3", "--num-train", "200", "--no-speedups", "--model", "fc",
       "--hidden-dim", "9", "--dropout", "0.3", "--sampling", "shuffle", "--schedule", "cosine",
       "--augment", "shift=1"]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing has disturbed: 12 iterations."""
    out = tmp_path_factory.mktemp("runs")
    assert cli.run([*RUN, "--out", str(out), "--name", "whole"]) == 0
    return out / "whole"


def error(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("convkit: error: ").removesuffix(" (see 'convkit train --help')")


@pytest.mark.parametrize("step", [1, 6, 8, 12])
def test_a_run_that_ended_early_goes_on_to_the_bit(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    plain = Solver._step

    def interrupted(solver: Solver) -> float:
        if solver.iteration == step - 1:
            raise KeyboardInterrupt
        return plain(solver)

    monkeypatch.setattr(Solver, "_step", interrupted)
    assert cli.run([*RUN, "--out", str(tmp_path), "--name", "whole"]) == 130
    monkeypatch.undo()
    run = tmp_path / "whole"
    assert load_record(run).stopped == "interrupted"
    assert snapshot.read(run / "resume.safetensors")["iteration"] == step - 1
    assert cli.run(["train", "--resume", str(run)]) == 0
    one, other = load_record(run), load_record(whole)
    np.testing.assert_equal(one.weights, other.weights)
    assert one.history.rows == other.history.rows
    assert (one.stopped, one.confusion, one.settings) == (None, other.confusion, other.settings)
    assert one.results["test_acc"] == other.results["test_acc"]
    np.testing.assert_equal(
        *(snapshot.read(folder / "resume.safetensors") for folder in (run, whole))
    )


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def test_it_may_be_longer_and_computed_otherwise(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    free = ["--epochs", "4", "--threads", "1", "--backend", "im2col_numpy", "--print-every", "3"]
    assert cli.run(["train", "--resume", str(run), *free]) == 0
    out = capsys.readouterr().out
    assert f"{run} goes on after iteration 12 of 16\n" in out
    assert "--epochs is 4 from here on; it was 3\n" in out
    record = load_record(run)
    assert len(record.history.losses) == 16
    assert (record.settings["epochs"], record.backend) == (4, "im2col_numpy")
    assert cli.run(["train", "--resume", str(run), "--iterations", "18"]) == 0
    assert len(load_record(run).history.losses) == 18
    assert load_record(run).settings["epochs"] is None


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--batch-size", "7"], "--batch-size (=7) is 50 in the run; leave it out, or give --o"),
        (["--dropout", "0.5"], "--dropout (=0.5) is 0.3 in the run; leave it out, or give --o"),
        (["--seed", "4"], "--seed (=4) is 0 in the run; leave it out, or give --override to"),
        (["--augment", "flip"], "--augment (=flip) is shift=1 in the run; leave it out, or giv"),
        (["--early-stop", "4"], "--early-stop (=4) is None in the run; leave it out, or give -"),
        (["--schedule", "step"], "--schedule (=step) is cosine in the run; leave it out, or gi"),
        (["--lr-decay", "0.5"], "--lr-decay (=0.5) is 1.0 in the run; leave it out, or give -"),
        (["--name", "b"], "--name is for a new run; --resume goes on in its folder"),
        (["--out", "b"], "--out is for a new run; --resume goes on in its folder"),
        ([], "the run has done its 12 iterations; give more --epochs or --iterations"),
        (["--num-filters", "3"], "--num-filters is no option of the model 'fc', which has"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_may_not_differ_is_refused_and_nothing_changes(
    run: Path, capsys: pytest.CaptureFixture[str], given: list[str], line: str
) -> None:
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    assert cli.run(["train", "--resume", str(run), *given]) == 2
    assert line in error(capsys)
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_with_override_it_goes_on_with_other_options(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ["--batch-size", "40", "--learning-rate", "0.002", "--lr-decay", "0.5"]
    more = ["--iterations", "20", "--override"]
    assert cli.run(["train", "--resume", str(run), *other, *more]) == 0
    out = capsys.readouterr().out
    assert "--batch-size is 40 from here on; it was 50\n" in out
    assert "--schedule is None from here on; it was cosine\n" in out
    record = load_record(run)
    assert (record.settings["batch_size"], record.settings["lr_decay"]) == (40, 0.5)
    assert len(record.history.losses) == 20
    rule = ["--update-rule", "sgd", "--iterations", "21", "--override"]
    assert cli.run(["train", "--resume", str(run), *rule]) == 0
    assert load_record(run).settings["update_rule"] == "sgd"


def test_another_network_is_refused_also_with_override(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "--resume", str(run), "--hidden-dim", "5", "--epochs", "9", "--override"]
    assert cli.run(argv) == 1
    assert "expected W1 of shape (64, 5) float32, found (64, 9) float32" in error(capsys)


def test_data_that_has_changed_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = load_record(run)
    record.data["test"] = 77
    save_plain(record, run)
    assert cli.run(["train", "--resume", str(run), "--epochs", "5"]) == 1
    assert error(capsys) == "digits: the number of test images is 359, and was 77 in the run"


def test_a_run_that_was_killed_after_its_last_step_gets_its_report(run: Path) -> None:
    record = load_record(run)
    record.stopped = UNFINISHED
    save_plain(record, run)
    (run / "report.html").unlink()
    (run / ".weights.safetensors.x.tmp").write_bytes(b"half")
    assert cli.run(["train", "--resume", str(run)]) == 0
    assert not (run / ".weights.safetensors.x.tmp").exists()
    assert load_record(run).stopped is None
    assert (run / "report.html").is_file()


def test_a_run_in_which_another_process_trains_is_left_alone(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fcntl", reason="this system has no such locks")
    with alone_in(run):
        assert cli.run(["train", "--resume", str(run), "--epochs", "5"]) == 1
    assert error(capsys) == (
        f"RUN (={str(run)!r}) must be at rest, but another process is training in it"
    )


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["train", "--resume", str(tmp_path / "none")]) == 1
    assert error(capsys).endswith("must be a run's folder, but there is none")
    assert cli.run(["train", "--resume", str(tmp_path)]) == 1
    assert error(capsys).endswith("must be a run's folder, with a run.json in it")
    assert cli.run(["train", "--override"]) == 2
    assert error(capsys) == "--override needs --resume, or leave it out"


def test_a_run_without_its_state_cannot_go_on(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "resume.safetensors").unlink()
    assert cli.run(["train", "--resume", str(run), "--epochs", "5"]) == 1
    assert "must hold a resume.safetensors, from which it goes on" in error(capsys)
