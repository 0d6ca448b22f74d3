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
    assert capsys.readouterr().err.startswith("convkit: error: Missing argument 'RUN'")
