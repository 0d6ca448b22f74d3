"""``convkit predict``: classes of pictures as a table, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from trained_models import CLASSES, network, write_pictures

from convkit import cli

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    network().save(tmp_path / "net")
    return tmp_path / "net"


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert cli.run(["predict", *map(str, arguments)]) == 0
    found = capsys.readouterr()
    assert found.err == ""
    return found.out


def failure(capsys: pytest.CaptureFixture[str], status: int, *arguments: object) -> str:
    assert cli.run(["predict", *map(str, arguments)]) == status
    found = capsys.readouterr()
    assert found.out == ""
    (line,) = found.err.splitlines()
    return line.removeprefix("convkit: error: ")


def test_a_line_for_each_picture(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_pictures(tmp_path / "pictures", 1)
    header, *lines = printed(capsys, model, *files).splitlines()
    assert header.split() == ["image", "class", "probability"]
    assert [line.split()[:2] for line in lines] == [
        [str(file), name] for file, name in zip(files, CLASSES, strict=True)
    ]
    probabilities = network().predict_proba(files).max(axis=1)
    assert [line.split()[2] for line in lines] == [f"{p:.4f}" for p in probabilities]


def test_more_classes_are_below_each_other(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dark, *_) = write_pictures(tmp_path / "pictures", 1)
    for top, names in ((2, ["dark", "grey"]), (9, ["dark", "grey", "light"])):
        lines = printed(capsys, model, dark, "--top", top).splitlines()[1:]
        assert [line.split()[-2] for line in lines] == names
        assert [line.startswith(" ") for line in lines] == [False, *[True] * (len(names) - 1)]


def test_csv_and_json_say_the_same(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_pictures(tmp_path / "pictures", 1)
    rows = list(csv.DictReader(io.StringIO(printed(capsys, model, *files, "--top", 2, "--csv"))))
    found = json.loads(printed(capsys, model, *files, "--top", 2, "--json"))
    assert [entry["image"] for entry in found] == [str(file) for file in files]
    assert [len(entry["classes"]) for entry in found] == [2, 2, 2]
    flat = [(e["image"], rank, c) for e in found for rank, c in enumerate(e["classes"], 1)]
    assert [(row["image"], int(row["rank"]), row["class"], int(row["label"])) for row in rows] == [
        (image, rank, c["class"], c["label"]) for image, rank, c in flat
    ]
    probabilities = [c["probability"] for _, _, c in flat]
    np.testing.assert_allclose([float(r["probability"]) for r in rows], probabilities, rtol=1e-5)
    assert {row["rank"] for row in rows} == {"1", "2"}


def test_pictures_of_another_size_mode_and_name(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = os.fsencode(tmp_path) + b"/\xff\xe9.png"
    with open(file, "wb") as opened:
        Image.new("LA", (300, 200), (10, 255)).save(opened, "png")
    for form in ((), ("--csv",), ("--json",)):
        out = printed(capsys, model, os.fsdecode(file), *form)
        assert "dark" in out
        assert "xff" in out


def test_what_goes_wrong_is_one_line_and_nothing_is_printed(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (good, *_) = write_pictures(tmp_path / "pictures", 1)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    assert failure(capsys, 1, model, good, bad).startswith(f"{bad}: expected an image, found ")
    assert failure(capsys, 1, model, tmp_path / "pictures").startswith(
        f"{tmp_path / 'pictures'}: expected an image, found a folder"
    )
    assert failure(capsys, 1, tmp_path / "none", good).startswith(f"{tmp_path / 'none'}: there is")
    assert failure(capsys, 2, model).startswith("Missing argument 'IMAGES...'")
    assert "do not go together" in failure(capsys, 2, model, good, "--csv", "--json")
    assert failure(capsys, 2, model, good, "--backend", "cyhton").startswith("backend (='cyhton')")
    net = network()
    net.preprocessing = None
    net.save(model)
    assert "expected the preprocessing" in failure(capsys, 1, model, good)
