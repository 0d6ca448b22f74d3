"""``convkit evaluate``: accuracy, confusions and a report, for data whose classes have names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trained_models import CLASSES, network, write_pictures

from convkit import cli
from convkit.models import load
from convkit.training.data import load_data, read_data

pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    network().save(tmp_path / "net")
    return tmp_path / "net"


def result(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert cli.run(["evaluate", *map(str, arguments), "--json", "--no-report"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert cli.run(["evaluate", *map(str, arguments), "--no-report"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("convkit: error: ")


def test_it_prints_accuracy_per_class_and_confusion(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "pictures"
    write_pictures(data, 4, (60, 80))  # of another size
    (data / "light" / "3.png").unlink()
    (data / "dark" / "3.png").rename(data / "light" / "dark.png")
    assert (
        cli.run(["evaluate", str(model), "--data", str(data), "--part", "all", "--no-report"]) == 0
    )
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()] == [
        ["class", "images", "right", "accuracy"],
        ["dark", "3", "3", "1.0000"],
        ["grey", "4", "4", "1.0000"],
        ["light", "4", "3", "0.7500"],
        [],
        ["is", "\\", "taken", "for", "dark", "grey", "light"],
        ["dark", "3", "0", "0"],
        ["grey", "0", "4", "0"],
        ["light", "1", "0", "3"],
        [],
        f"Accuracy: 0.9091 ({data}, all 11 images)".split(),
    ]


def test_json_is_the_same_and_classes_are_matched_by_name(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "pictures"
    write_pictures(data, 5)
    (data / "dark").rename(tmp_path / "away")  # two classes, numbered otherwise
    found = result(capsys, model, "--data", data, "--part", "all")
    assert found["accuracy"] == 1
    assert found["images"] == 10
    assert found["confusion"] == [[0, 0, 0], [0, 5, 0], [0, 0, 5]]
    assert [entry["accuracy"] for entry in found["classes"]] == [None, 1, 1]
    assert found["settings"] == {"model": str(model), "data": str(data), "part": "all"}
    (data / "grey").rename(data / "gray")
    assert failure(capsys, model, "--data", data, "--part", "all") == (
        "expected images of the network's classes (dark, grey, light), found the class 'gray'"
    )


def test_parts_are_those_of_training(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "pictures", 10)
    sizes = {
        part: result(capsys, model, "--data", tmp_path / "pictures", "--part", part)["images"]
        for part in ("train", "val", "test", "all")
    }
    assert sizes == {"train": 21, "val": 3, "test": 6, "all": 30}
    found = result(capsys, model, "--data", tmp_path / "pictures", "--seed", 5)
    assert found["settings"]["seed"] == 5
    assert found["images"] == 6


def test_numbers_stand_for_classes_where_the_data_have_no_names(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.zeros((6, 3, 6, 8), np.uint8) + np.uint8(240)
    np.savez(tmp_path / "a.npz", X=x, y=[2, 2, 2, 2, 1, 0])
    found = result(capsys, model, "--data", tmp_path / "a.npz", "--part", "all")
    assert [row[2] for row in found["confusion"]] == [1, 1, 4]
    np.savez(tmp_path / "a.npz", X=x, y=[2, 2, 2, 2, 1, 5])
    assert "found the class '5'" in failure(
        capsys, model, "--data", tmp_path / "a.npz", "--part", "all"
    )


def test_another_scale_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "a.npz", X=np.zeros((6, 3, 6, 8)), y=[2, 2, 2, 2, 1, 0])
    assert failure(capsys, model, "--data", tmp_path / "a.npz") == (
        f"data {str(tmp_path / 'a.npz')!r}: expected values on the scale of the training data, "
        "where white is 255, found white at 1"
    )


def test_many_classes_show_their_most_frequent_confusions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = network()
    wide = np.zeros((2, 20), np.float32)
    wide[:, 1] = 1  # always "grey"
    net = type(net)((3, 6, 8), 2, 3, 2, 20, rng=0)
    net.preprocessing, net.class_names = network().preprocessing, (*CLASSES, *"abcdefghijklmnopq")
    net.params |= {"b3": np.eye(20, dtype=np.float32)[1]}
    net.save(tmp_path / "net")
    write_pictures(tmp_path / "pictures", 3)
    (tmp_path / "pictures" / "dark" / "2.png").unlink()
    argv = ["evaluate", tmp_path / "net", "--data", tmp_path / "pictures", "--part", "all"]
    assert cli.run([*map(str, argv), "--no-report"]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()[-5:]]
    assert lines[:3] == [
        ["is", "taken", "for", "images"],
        ["light", "grey", "3"],
        ["dark", "grey", "2"],
    ]


@pytest.mark.long
def test_the_report_is_a_page_with_pictures(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "pictures", 3)
    argv = ["evaluate", model, "--data", tmp_path / "pictures", "--part", "all"]
    argv += ["--out", tmp_path / "runs", "--name", "first"]
    assert cli.run([*map(str, argv)]) == 0
    folder = tmp_path / "runs" / "first"
    assert capsys.readouterr().out.endswith(f"\nReport: {folder / 'report.html'}\n")
    page = (folder / "report.html").read_text(encoding="utf-8")
    for text in ("first", "100.0", "dark", "Confusion matrix", str(model), "convkit evaluation"):
        assert text in page
    assert json.loads((folder / "evaluation.json").read_text())["accuracy"] == 1
    assert sorted(path.name for path in folder.iterdir()) == [
        "class_accuracy.png",
        "confusion.png",
        "evaluation.json",
        "misclassified.png",
        "report.html",
    ]
    assert cli.run([*map(str, argv)]) == 1
    assert "--name (='first') must be new" in capsys.readouterr().err


@pytest.mark.long
def test_a_network_with_batch_norm_has_exactly_the_accuracy_it_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "--model", "resnet", "--num-filters", "4", "--iterations", "30", "--seed", "3"]
    argv += ["--no-speedups", "--out", str(tmp_path), "--name", "first"]
    assert cli.run(argv) == 0
    run = tmp_path / "first"
    measured = json.loads((run / "run.json").read_text())["results"]["test_acc"]
    capsys.readouterr()
    found = result(capsys, run, "--data", "digits")  # divided by the run's seed
    assert found["accuracy"] == measured
    assert found["settings"]["seed"] == 3
    network = load(run)
    images, labels = read_data("digits").divided(3).parts["test"]
    assert network.score(images, labels) == measured
    prepared = load_data("digits", rng=3, preparation="standardise")["X_test"]
    np.testing.assert_array_equal(
        network.predict_proba(images), network.predict_proba(prepared, prepared=True), strict=True
    )
    assert measured > 0.3
