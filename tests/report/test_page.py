"""The report's HTML and what a run's folder keeps."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image as matplotlib_image
import pytest
from run_records import run_record

from convkit.report.page import REPORT_FILE, write_report
from convkit.report.record import (
    HISTORY_FILE,
    MISTAKES_FILE,
    RUN_FILE,
    WEIGHTS_FILE,
    load_record,
    save_record,
)

pytestmark = pytest.mark.long

PICTURES = {
    "loss",
    "accuracy",
    "filters",
    "class_accuracy",
    "confusion",
    "misclassified",
    "speedups",
}


class Links(HTMLParser):
    """Everything a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "srcset", "href") and value is not None:
                self.found.append(value)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    record = run_record()
    save_record(record, tmp_path)
    write_report(record, tmp_path)
    return tmp_path


def page(run: Path) -> str:
    return (run / REPORT_FILE).read_text(encoding="utf-8")


def test_a_run_folder_holds_everything(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        REPORT_FILE,
        RUN_FILE,
        HISTORY_FILE,
        WEIGHTS_FILE,
        MISTAKES_FILE,
        *(f"{name}.png" for name in PICTURES),
    }


def test_the_report_fetches_nothing(run: Path) -> None:
    links = Links()
    links.feed(page(run))
    assert len(links.found) == 1 + 2 * len(PICTURES)
    assert all(link.startswith("data:") for link in links.found)
    assert "@import" not in page(run)
    assert "url(" not in page(run)
    assert "<script" not in page(run)


def test_every_embedded_picture_decodes_in_both_themes(run: Path) -> None:
    encoded = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page(run))
    assert len(encoded) == 2 * len(PICTURES)
    for text in encoded:
        pixels = matplotlib_image.imread(io.BytesIO(base64.b64decode(text)))
        assert min(pixels.shape[:2]) >= 100
    light, dark = encoded[1::2], encoded[0::2]
    assert not set(light) & set(dark)
    assert base64.b64decode(light[0]) == (run / "loss.png").read_bytes()


def test_the_report_tells_the_numbers_and_the_settings(run: Path) -> None:
    text = page(run)
    record = run_record()
    for expected in (
        f"{100 * record.results['test_acc']:.1f}&thinsp;%",
        "98.0&thinsp;%",
        "1,257 training",
        "471×",
        "learning rate",
        "0.001",
        "3.11.7",
        "im2col_numpy",
    ):
        assert expected in text, expected
    assert "Training was interrupted" not in text


def test_the_report_says_when_training_was_interrupted(tmp_path: Path) -> None:
    record = run_record()
    record.stopped = "interrupted"
    write_report(record, tmp_path)
    assert "Training was interrupted" in page(tmp_path)


def test_names_from_outside_cannot_become_markup(tmp_path: Path) -> None:
    record = run_record()
    record.name = "<script>alert(1)</script>"
    record.settings["data"] = "<b>bold</b>"
    write_report(record, tmp_path)
    assert "<script>" not in page(tmp_path)
    assert "<b>bold" not in page(tmp_path)


def test_a_run_without_test_mistakes_speeds_or_steps_has_a_report(tmp_path: Path) -> None:
    record = run_record(steps=0, wrong=0)
    record.speedups = []
    save_record(record, tmp_path)
    write_report(load_record(tmp_path), tmp_path)
    assert page(tmp_path).count("<img") == len(PICTURES) - 1
    assert not (tmp_path / "speedups.png").exists()


def test_a_network_without_convolutions_has_a_report_without_filters(tmp_path: Path) -> None:
    record = run_record()
    record.weights["W1"] = record.weights["W1"].reshape(len(record.weights["W1"]), -1)
    write_report(record, tmp_path)
    assert page(tmp_path).count("<img") == len(PICTURES) - 1
    assert not (tmp_path / "filters.png").exists()


def test_rendering_again_gives_the_same_bytes(run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    write_report(load_record(run), run)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
