"""The page of a conformance run: what it shows of a run that passed, failed, crashed or stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="pages need jinja2 (extra 'train')")

from convkit_im2col_numpy import Im2colNumpy
from drawn_page import Page

from convkit import conformance
from convkit.conformance.planes import DRAWN, Plane
from convkit.conformance.report import Report, Result
from convkit.report import conformance_page

HERE = Path(__file__)
ENVIRONMENT = {"cpu": "A CPU", "cores": 4, "versions": {"python": "3.11.1", "numpy": "2.0.0"}}
CASE = "forward-exact conv x=1,2,5,6 w=3,2,2,2 dtype=float32 data=exact seed=0"


class OneWrong(Im2colNumpy):
    """One element of out is wrong: [0, 1, 2, 3], by 5."""

    name = "one_wrong"

    def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
        out, saved = super().conv_forward(spec, x, w, b)
        if out.shape == (1, 3, 4, 5):
            out[0, 1, 2, 3] += 5
        return out, saved


class AllWrong(Im2colNumpy):
    """Every result of a pool is wrong by one; of the maximum, which comes first, it is declared."""

    name = "all_wrong"
    expected_failures: ClassVar = {"forward-exact/max_pool": "it adds one"}

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        return out + 1, saved


class Crashes(Im2colNumpy):
    """It ends the process in every maximum."""

    name = "crashes"

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        import os

        if spec.kind == "max":
            os.abort()
        return super().pool_forward(spec, x)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a child process import this module."""
    monkeypatch.syspath_prepend(str(HERE.parent))


def page(report: Report, name: str = "mine") -> Page:
    return Page(conformance_page.render(report, name, ENVIRONMENT))


def wrong(number: int, check: str = "real", message: str = "") -> Result:
    """A failure of a plane whose wrong element has the number as its value."""
    got = np.zeros((1, 1, 2, 2))
    got[0, 0, 1, 0] = number
    plane = Plane.around("out", (0, 0, 1, 0), got, got - 1.0 * (got != 0))
    text = message or f"out[0, 0, 1, 0] is {number}"
    return Result(check, "conv", "plain", "float32", f"conv n={number}", "fail", text, 0, plane)


@pytest.mark.parametrize("by_name", [False, True])
def test_the_drawing_shows_the_element_that_is_wrong(by_name: bool, importable: None) -> None:
    backend = f"{HERE.stem}:OneWrong" if by_name else OneWrong()
    found = page(conformance.run(backend, "quick", case=CASE), f"{HERE.stem}:OneWrong")
    assert found.words["verdict bad"] == ["✗ 1 failed in 1 check"]
    got, expected, difference = found.panels
    assert len(got.titles) == 4 * 5
    (said,) = got.first
    assert said.startswith("[0, 1, 2, 3] got ")
    assert got.wrong == difference.first == difference.wrong == [said]
    assert expected.wrong == []
    values = dict(part.strip().split(" ") for part in said.partition("]")[2].split(","))
    assert float(values["got"]) - float(values["expected"]) == 5
    ((x, y),) = difference.outlined
    columns, rows = (sorted({at[axis] for at in difference.titles}) for axis in (0, 1))
    assert (columns.index(x), rows.index(y)) == (3, 2)
    assert [t for t in difference.tones.values() if t] == ["plus"]
    assert difference.texts == [*"01234", *"0123", "5"]
    assert found.words["repro"] == [f"convkit conformance {HERE.stem}:OneWrong --case '{CASE}'"]


def test_no_failure_has_no_drawing_and_says_what_was_asked(importable: None) -> None:
    narrowed = {"ops": ("avg_pool",), "dtypes": ("float32",)}
    checks = ("supports", "forward-exact", "space")
    report = conformance.run("im2col_numpy", "quick", checks=checks, jobs=2, **narrowed)  # type: ignore[arg-type]
    found = page(report, "im2col_numpy")
    assert found.words["verdict"] == ["✓ Clean"]
    assert found.panels == []
    assert "Failures" not in found.words["h2"]
    counted = {row[0]: row[1:3] for row in found.tables["checks"][1:]}
    assert sorted(counted) == ["forward-exact", "space", "supports"]
    for check, numbers in counted.items():
        statuses = [r.status for r in report.results if r.check == check]
        assert numbers == [str(statuses.count("pass")), "·"]
    (_, *rows) = found.tables["coverage"]
    assert {row[0] for row in rows} == {"avg_pool"}
    assert any(float(row[-1].replace("\u202f%", "")) > 50 for row in rows)
    assert found.words["dd"][-4:] == ["A CPU", "4", "3.11.1", "2.0.0"]
    assert found.words["dt"][-4:] == ["cpu", "cores", "python", "numpy"]


def test_the_page_is_one_file_without_scripts(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    report = Report("<b>", "quick", 0, results=[wrong(1, message="<script>x</script> & \udcff")])
    conformance_page.write(report, "m:B", ENVIRONMENT, path)
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    found = Page(path.read_text(encoding="utf-8"))
    assert found.links == ["data:,", "#failures"]
    assert "script" not in found.tags
    assert found.words["message"] == [r"<script>x</script> & \xff"]
    assert found.words["h1"] == ["<b>"]


def test_hundreds_of_failures_are_drawn_up_to_a_number_and_the_rest_listed() -> None:
    many = DRAWN + conformance_page.LISTED + 7
    report = Report("b", "quick", 0, results=[wrong(i + 1) for i in range(many)])
    found = page(report)
    assert len(found.panels) == 3 * DRAWN
    assert found.panels[-1].texts[-1] == "1"  # the difference; the value is in got
    assert [p.first[0].split()[5] for p in found.panels[::3]] == [
        f"{i + 1}.0," for i in range(DRAWN)
    ]
    assert found.words["repro"] == [
        f"convkit conformance mine --case 'real conv n={i + 1}'"
        for i in range(DRAWN + conformance_page.LISTED)
    ]
    assert "and 7 more, which" in found.words["where"]


def test_the_first_failures_alone_keep_their_plane_whatever_the_jobs(importable: None) -> None:
    """Declared failures are no failures of the run, and take no drawing away."""
    for jobs in (1, 2):
        report = conformance.run(
            f"{HERE.stem}:AllWrong",
            "quick",
            checks=("forward-exact",),
            ops=("avg_pool", "max_pool"),
            jobs=jobs,
        )
        assert report.counts["expected"] > 2 * DRAWN
        assert len(report.failures) > 2 * DRAWN
        assert [r.plane is not None for r in report.failures[: DRAWN + 1]] == [True] * DRAWN + [
            False
        ]
        assert not any(r.plane for r in report.results if r.status == "expected")
        assert sum("plane" in r for r in json.loads(report.to_json())["results"]) == DRAWN
        found = page(report)
        assert len(found.panels) == 3 * DRAWN
        kinds = [row[:3] for row in found.tables["remarks"][1:]]
        assert ["expected", "forward-exact", "it adds one"] in kinds


def test_a_crash_is_counted_and_what_was_not_run_is_not_listed(importable: None) -> None:
    checks, ops = ("forward-exact",), ("avg_pool", "max_pool")
    name = f"{HERE.stem}:Crashes"
    report = conformance.run(name, "quick", checks=checks, ops=ops, jobs=2)
    found = page(report, name)
    counts = dict(conformance_page.numbers(report))
    assert (counts["crashed"], counts["hung"]) == (3, 0)
    assert counts["not run after crashes or hangs"] == len(report.failures) - 3 > 50
    assert len(found.words["message"]) == 3
    assert all("crashed with SIGABRT" in text for text in found.words["message"])
    assert found.panels == []
    reasons = {row[2]: row[3] for row in found.tables["remarks"][1:]}
    assert reasons["not run: forward-exact crashed or hung 3 times"] == str(
        len(report.failures) - 3
    )


def test_hangs_are_counted() -> None:
    hung = wrong(1, message="no answer within 20 s (a hang)")
    found = dict(conformance_page.numbers(Report("b", "quick", 0, results=[hung, wrong(2)])))
    assert (found["failed"], found["hung"], found["crashed"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (Report("b", "quick", 0, stopped="while it was loaded: crashed"), "Stopped early"),
        (Report("b", "quick", 0), "Nothing passed"),
        (Report("b", "quick", 0, results=[wrong(1), wrong(2, "ties")]), "2 failed in 2 checks"),
    ],
)
def test_a_run_that_ended_early_has_a_page(report: Report, words: str) -> None:
    found = page(report)
    assert found.words["verdict bad"] == [f"✗ {words}"]
    assert found.words.get("notice", []) == (
        [f"The run ended early: {report.stopped}"] if report.stopped else []
    )
    assert any("Nothing of the space was asked" in text for text in found.words["where"])


def test_maxfail_ends_the_run_with_its_drawings(importable: None) -> None:
    report = conformance.run(f"{HERE.stem}:AllWrong", "quick", ops=("avg_pool",), maxfail=2, jobs=2)
    assert len(report.failures) == 2
    assert len(page(report).panels) == 6
