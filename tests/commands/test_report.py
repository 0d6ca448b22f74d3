"""``convkit report`` renders a finished run again."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_records import run_record

from convkit import cli
from convkit.report.record import save_record

pytestmark = pytest.mark.long


def test_it_writes_report_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_record(run_record(), tmp_path)
    assert cli.run(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"Report: {tmp_path / 'report.html'}\n"
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert (tmp_path / "loss.png").is_file()


def test_a_folder_that_is_no_run_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in (tmp_path, tmp_path / "missing"):
        assert cli.run(["report", str(wrong)]) == 1
        assert capsys.readouterr().err == (
            f"convkit: error: RUN (={str(wrong)!r}) must be a run's folder, with a run.json in it\n"
        )
    assert list(tmp_path.iterdir()) == []


def test_the_run_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report"]) == 2
    assert capsys.readouterr().err.startswith("convkit: error: Missing argument 'RUN...'")


def test_several_runs_are_compared_on_one_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, rate, best in (("a", 0.1, 0.5), ("b", 0.01, 0.75), ("c", 0.01, 0.6)):
        record = run_record()
        record.name = name
        record.settings |= {"learning_rate": rate, "augment": "flip" if name == "c" else None}
        record.results["best_val_acc"] = best
        (tmp_path / name).mkdir()
        save_record(record, tmp_path / name)
    runs = [str(tmp_path / name) for name in "abc"]
    page = tmp_path / "page.html"
    assert cli.run(["report", *runs, "--out", str(page)]) == 0
    assert capsys.readouterr().out == f"Comparison: {page}\n"
    text = page.read_text("utf-8")
    assert "Best: <b>b</b>" in text
    assert "<td>learning rate</td>" in text
    assert "<td>augment</td>" in text
    assert "<td>seed</td>" not in text  # which is the same in all
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c", "page.html"}
    assert cli.run(["report", runs[0], runs[0], "--out", str(page)]) == 2
    assert "each RUN must be given once" in capsys.readouterr().err
    assert cli.run(["report", *runs, "--out", str(tmp_path / "no" / "page.html")]) == 2
    assert "must be in a folder that exists" in capsys.readouterr().err
    assert cli.run(["report", runs[0], "--out", str(page)]) == 2
    assert "--out is for the page that compares several runs" in capsys.readouterr().err
