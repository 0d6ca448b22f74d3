"""``convkit summary``: what is in a network's file."""

from __future__ import annotations

from pathlib import Path

import pytest
from trained_models import network

from convkit import cli


def test_it_prints_layers_preprocessing_and_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = network()
    net.save(tmp_path / "a")
    assert cli.run(["summary", str(tmp_path / "a")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("ThreeLayerConvNet, float32\n\n" + net.summary())
    assert f"\npreprocessing: {net.preprocessing}\nclasses: dark, grey, light\n" in out
    net.preprocessing = net.class_names = None
    net.save(tmp_path / "a")
    assert cli.run(["summary", str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out.endswith(
        "\npreprocessing: none in the file\nclasses: no names in the file\n"
    )
