"""A record is read as it was written; damaged ones are rejected."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from run_records import run_record

from convkit.errors import DataError
from convkit.report.record import (
    HISTORY_FILE,
    MISTAKES_FILE,
    RUN_FILE,
    WEIGHTS_FILE,
    load_record,
    save_record,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_record(run_record(), tmp_path)
    return tmp_path


def test_the_history_has_the_columns_that_tools_look_for(run: Path) -> None:
    header, *rows = (run / HISTORY_FILE).read_text().splitlines()
    assert {"iteration", "loss", "train_acc", "val_acc"} <= set(header.split(","))
    assert len(rows) == 40


def test_a_record_comes_back_as_it_was(run: Path) -> None:
    saved, loaded = run_record(), load_record(run)
    for name in ("settings", "data", "results", "confusion", "backends", "speedups", "classes"):
        assert getattr(loaded, name) == getattr(saved, name), name
    assert loaded.history.losses == saved.history.losses
    assert np.array_equal(loaded.weights["W1"], saved.weights["W1"])
    assert np.array_equal(loaded.mistakes.images, saved.mistakes.images)


def test_metadata_of_the_weights_come_back_and_are_in_no_other_file(tmp_path: Path) -> None:
    record = run_record()
    record.metadata = {"convkit.model": "an architecture"}
    save_record(record, tmp_path)
    assert load_record(tmp_path).metadata == record.metadata
    assert "architecture" not in (tmp_path / "run.json").read_text()


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_record(tmp_path)
    assert str(caught.value) == (
        f"RUN (={str(tmp_path)!r}) must be a run's folder, with a run.json in it"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"name": "x"})])
def test_a_damaged_run_file_is_refused(run: Path, text: str) -> None:
    (run / RUN_FILE).write_text(text)
    with pytest.raises(DataError, match=RUN_FILE):
        load_record(run)


@pytest.mark.parametrize("name", [HISTORY_FILE, WEIGHTS_FILE, MISTAKES_FILE])
@pytest.mark.parametrize("damage", ["missing", "empty", "foreign"])
def test_a_damaged_file_of_a_run_is_refused(run: Path, name: str, damage: str) -> None:
    if damage == "missing":
        (run / name).unlink()
    else:
        (run / name).write_bytes(b"" if damage == "empty" else b"GIF89a not this")
    with pytest.raises(DataError, match=name):
        load_record(run)
