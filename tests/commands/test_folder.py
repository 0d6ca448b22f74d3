"""The options of a folder of images, from the command line to the network's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from data_cases import images

from convkit import cli
from convkit.commands._options import training_options
from convkit.models import load
from convkit.training.data import FolderOptions

Image = pytest.importorskip("PIL.Image")


@click.command()
@training_options
def command(options: Any) -> None:
    click.echo(repr((options.folder, options.folder_settings)))


def given(*line: str) -> str:
    return CliRunner().invoke(command, line).output.splitlines()[-1]


def test_what_is_not_given_is_left_to_the_images() -> None:
    assert given() == repr((FolderOptions(), {}))


def test_what_is_given_is_how_a_folder_is_read() -> None:
    line = [
        "--size",
        "64x48",
        "--fit",
        "pad",
        "--mode",
        "gray",
        "--skip-bad",
        "--cache-dir",
        "here",
    ]
    options = FolderOptions((48, 64), "gray", "pad", True, Path("here"))
    settings = {"size": "64x48", "fit": "pad", "mode": "gray", "skip_bad": True}
    assert given(*line) == repr((options, settings))
    assert "size=(32, 32)" in given("--size", "32")


@pytest.mark.parametrize("size", ["0", "-3", "x", "3x", "3x0", "1.5", "3x4x5", "999999"])
def test_what_is_no_size(size: str) -> None:
    assert f"{size!r} must be a number of pixels, or WIDTHxHEIGHT" in given("--size", size)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i, pixels in enumerate(images(10, 12, 10, 3, seed=number)):
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    Image.fromarray(images(1, 30, 20)[0]).save(tmp_path / "pictures" / "cat" / "odd.png")
    (tmp_path / "pictures" / "README.txt").touch()
    return tmp_path / "pictures"


SHORT = ["train", "--iterations", "2", "--batch-size", "4", "--no-speedups"]


@pytest.mark.long
@pytest.mark.parametrize("model", ["three_layer", "fc"])
def test_a_network_keeps_how_its_pictures_were_read(
    pictures: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = pictures.parent / "runs"
    (pictures / "cat" / "bad.png").write_bytes(b"")
    line = [*SHORT, "--data", str(pictures), "--out", str(out), "--name", "a", "--model", model]
    assert cli.run([*line, "--num-train", "12"]) == 1
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == (
        f"convkit: {pictures}: skipped what is no image, and empty folders: README.txt"
    )
    assert "bad.png: expected an image, found an empty file; skip_bad" in printed[1]
    cached = ["--cache-dir", str(pictures.parent / "cache")]
    assert cli.run([*line, "--skip-bad", "--fit", "pad", "--num-train", "12", *cached]) == 0
    printed = capsys.readouterr().err.splitlines()
    assert all(line.startswith(f"convkit: {pictures}: ") for line in printed)
    assert "most images are 10x12 rgb; the 1 of 21 that differ" in printed[1]
    assert len(printed) == 4  # also: what is kept, and what was left out
    preprocessing = load(out / "a").preprocessing
    assert preprocessing is not None
    assert (preprocessing.shape, preprocessing.fit) == ((3, 12, 10), "pad")
    settings = json.loads((out / "a" / "run.json").read_text())["settings"]
    assert (settings["fit"], settings["skip_bad"]) == ("pad", True)
    assert "size" not in settings
    odd = str(pictures / "cat" / "odd.png")
    assert cli.run(["predict", str(out / "a"), odd, "--json"]) == 0
    network = load(out / "a")
    probabilities = network.predict_proba(odd)
    np.testing.assert_allclose(
        probabilities, network.predict_proba(preprocessing.read(odd)), rtol=1e-5
    )


@pytest.mark.long
def test_options_of_a_folder_go_with_no_other_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*SHORT, "--out", str(tmp_path), "--size", "8"]) == 1
    assert "size (=(8, 8)) goes with a folder of images" in capsys.readouterr().err
