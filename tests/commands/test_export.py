"""``convkit export``: an ONNX file beside the network's, or where it is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest
from trained_models import network

from convkit import cli
from convkit.tensors import WEIGHTS_FILE

pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")


def test_it_says_what_the_file_takes_and_who_checked_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network().save(tmp_path / WEIGHTS_FILE)
    assert cli.run(["export", str(tmp_path), "--to", "onnx"]) == 0
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert first == (
        "input images (N, 3, 6, 8): raw images on the scale of the training data, channels first"
    )
    assert second == "outputs scores, probabilities"
    assert third.startswith("checked with onnxruntime: largest relative difference ")
    assert last == f"Written: {tmp_path / 'model.onnx'}"
    assert (tmp_path / "model.onnx").is_file()


def test_a_file_s_lies_beside_it_and_prepared_leaves_the_preprocessing_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network().save(tmp_path / "net.safetensors")
    assert cli.run(["export", str(tmp_path / "net.safetensors"), "--to", "onnx", "--prepared"]) == 0
    assert capsys.readouterr().out.startswith("input x (N, 3, 6, 8): prepared, channels first\n")
    assert (tmp_path / "net.onnx").is_file()
    out = tmp_path / "other.bin"
    network().save(tmp_path / "net.safetensors")
    argv = ["export", str(tmp_path / "net.safetensors"), "--to", "onnx", "--out", str(out)]
    assert cli.run(argv) == 0
    assert out.is_file()


def test_wrong_destinations_and_formats_are_said_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none" / "a.onnx")
    assert cli.run(["export", "net", "--to", "onnx", "--out", missing]) == 2
    assert "must be in a folder that exists" in capsys.readouterr().err
    assert cli.run(["export", "net", "--to", "tflite"]) == 2
    assert "'tflite' is not 'onnx'" in capsys.readouterr().err
    assert cli.run(["export", "net"]) == 2
    assert "Missing option '--to'" in capsys.readouterr().err
