"""``convkit bench`` prints a table or JSON, and writes a page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from convkit.bench import network_runs, others
from convkit.bench.machine import cpu_name
from convkit.cli import run

pytestmark = pytest.mark.long


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "im2col_numpy", "--set", "tiny", "--dtype", "float32", "--rounds", "1"]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["cpu"] == cpu_name()
    assert {row["direction"] for row in found["rows"]} == {"forward", "backward", "dx", "dw"}
    assert all(row["way"] == row["direction"] for row in found["rows"])
    assert run(arguments) == 0
    assert "float32, " in capsys.readouterr().out


def test_the_command_names_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--set", "nope"]) == 2
    assert "--set (='nope') must be one of the sets course, quick, full" in capsys.readouterr().err
    assert run(["bench", "no_such", "--set", "tiny"]) == 2
    assert "no_such" in capsys.readouterr().err


def test_the_report_is_a_page_with_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.md"
    assert run(["bench", "im2col_numpy", "--set", "tiny", "--rounds", "1", "--report", str(page),
                "--no-scaling"]) == 0  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert cpu_name() in text
    assert "| tiny | forward |" in text
    for name in ("roofline", "speedup"):
        assert (tmp_path / "page" / f"{name}.png").stat().st_size > 1000
        assert f"(page/{name}.png)" in text


def test_more_sweeps_than_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--set", "tiny", "--rounds", "2", "--sweeps", "3"]) == 2
    assert "--sweeps (=3) must not be above --rounds (=2)" in capsys.readouterr().err


def test_the_other_operations_take_one_backend(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "naive", "im2col_numpy", "--others"]) == 2
    assert "--others takes one backend, not 2" in capsys.readouterr().err


def test_the_other_operations_need_pytorch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(["bench", "naive", "--others"]) == 1
    assert "needs PyTorch" in capsys.readouterr().err


def test_the_other_operations_have_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setattr(others.run, "__defaults__", ([others.CASES[0].small()], None))
    arguments = ["bench", "im2col_numpy", "--others", "--dtype", "float32", "--rounds", "1"]
    assert run(arguments) == 0
    assert "up_4x4s2" in capsys.readouterr().out
    assert run([*arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["subject"] for row in rows} == {"im2col_numpy", "torch"}


@pytest.mark.parametrize(
    ("report", "said"), [("page", "must be a .md file"), ("page.md", "it is a folder")]
)
def test_a_report_that_cannot_be_written_is_refused_before_the_measurements(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], report: str, said: str
) -> None:
    (tmp_path / "page.md").mkdir()
    assert run(["bench", "--report", str(tmp_path / report)]) == 2
    assert said in capsys.readouterr().err


def test_networks_are_timed_without_pytorch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_runs, "find_spec", lambda name: None)
    page = tmp_path / "page.md"
    arguments = ["bench", "cython", "im2col_numpy", "--networks", "--set", "autoencoder"]
    arguments += ["--dtype", "float32", "--rounds", "1", "--json", "--report", str(page)]
    pytest.importorskip("convkit_cython._kernels", reason="the extension is not built")
    assert run(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert {(row["subject"], row["direction"]) for row in found["rows"]} == {
        (name, direction)
        for name in ("cython", "im2col_numpy")
        for direction in ("step", "inference", "fused")
    }
    assert found["machine"]["cpu"] == cpu_name()
    assert found["left_out"] == []
    assert "| autoencoder | float32 | step | cython |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--networks", "--others"], "--networks and --others are two runs: choose one"),
        (["--variants"], "--variants goes with --networks"),
        (["--networks", "--set", "quick"], "--set (='quick') must be one of the networks conv2"),
        (["--networks", "--vs", "torch"], "--vs (='torch') needs PyTorch"),
        (["--networks", "no_such"], "no_such"),
    ],
)
def test_what_does_not_fit_networks_is_said_before_the_measurements(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(network_runs, "find_spec", lambda name: None)
    assert run(["bench", *arguments]) == 2
    assert said in capsys.readouterr().err
