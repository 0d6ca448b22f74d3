"""The page of several trainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from run_records import run_record

from convkit.report.comparison import Words, best_of, differing, trainings_of, write_comparison
from convkit.report.record import RunRecord

pytestmark = pytest.mark.long


def record(name: str, best: float | None, **settings: object) -> RunRecord:
    found = run_record()
    found.name = name
    found.settings |= settings
    del found.results["best_val_acc"]
    if best is not None:
        found.results["best_val_acc"] = best
    return found


def test_the_best_is_the_first_of_the_highest_validation() -> None:
    records = [record("a", 0.5), record("b", 0.7), record("c", 0.7), record("d", None)]
    trainings = trainings_of(records, "abcd")
    best = best_of(trainings)
    assert best is trainings[1]
    assert trainings[3].numbers["best validation"] == "–"
    assert best_of(trainings[3:]) is None


def test_runs_on_different_data_have_no_best() -> None:
    records = [record("a", 0.5), record("b", 0.7)]
    records[1].data = {**records[1].data, "name": "cifar10"}
    assert best_of(trainings_of(records, "ab")) is None


def test_only_settings_that_differ_are_shown() -> None:
    records = [record("a", 0.5, reg=0.1), record("b", 0.6, reg=0.2, augment="flip")]
    assert differing(records) == ["reg", "augment"]
    assert [t.settings for t in trainings_of(records, "ab")] == [
        {"reg": "0.1", "augment": "–"},
        {"reg": "0.2", "augment": "flip"},
    ]


def test_the_page_escapes_names_and_says_what_ended_early(tmp_path: Path) -> None:
    records = [record("<b>", 0.5), replace(record("b", 0.25), stopped="diverged")]
    words = Words("kind", "title", "run")
    pictures = write_comparison(tmp_path / "page.html", words, trainings_of(records, ["<b>", "b"]))
    assert [picture.problem for picture in pictures] == ["", ""]
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "&lt;b&gt;" in page
    assert "diverged" in page
    assert "Settings that differ" not in page
