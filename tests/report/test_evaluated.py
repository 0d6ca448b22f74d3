"""The evaluation of predictions: its numbers, its pictures, its page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from convkit.report.evaluated import Evaluation, evaluation_of, write_evaluation

TRUE = np.array([0, 0, 1, 1, 1, 1])
FOUND = np.array([0, 1, 1, 2, 2, 0])
SETTINGS = {"model": "net", "data": "digits", "part": "test", "seed": 0}


def evaluation() -> Evaluation:
    images = np.arange(6 * 4, dtype=np.float64).reshape(6, 1, 2, 2)
    return evaluation_of(
        TRUE, FOUND, images, white=16, classes=["a", "b", "<c>"], settings=SETTINGS
    )


def test_its_numbers_follow_from_the_confusion() -> None:
    found = evaluation()
    assert found.confusion.tolist() == [[1, 1, 0], [1, 1, 2], [0, 0, 0]]
    assert (found.images, found.accuracy) == (6, 2 / 6)
    assert found.per_class == [("a", 2, 1), ("b", 4, 1), ("<c>", 0, 0)]
    assert found.confused == [(2, "b", "<c>"), (1, "a", "b"), (1, "b", "a")]


def test_what_was_mistaken_is_kept_as_pixels() -> None:
    mistakes = evaluation().mistakes
    assert mistakes.true.tolist() == [0, 1, 1, 1]
    assert mistakes.predicted.tolist() == [1, 2, 2, 0]
    assert mistakes.images.dtype == np.uint8
    np.testing.assert_array_equal(
        mistakes.images[0, 0], np.rint([[63.75, 79.6875], [95.625, 111.56]])
    )
    assert mistakes.images.max() == 255  # what is above white is white


def test_plain_is_json() -> None:
    plain = json.loads(json.dumps(evaluation().plain()))
    assert plain["settings"] == SETTINGS
    assert plain["classes"][2] == {"class": "<c>", "images": 0, "right": 0, "accuracy": None}


@pytest.mark.long
def test_its_folder_has_page_pictures_and_numbers(tmp_path: Path) -> None:
    found = evaluation()
    found.name = "first"
    assert write_evaluation(found, tmp_path) == []
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;c&gt;" in page
    assert "<c>" not in page
    assert "33.3" in page
    assert page.count("data:image/png;base64,") == 6
    assert json.loads((tmp_path / "evaluation.json").read_text()) == found.plain()
