"""The report counts, and calls clean only what was asked and right."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from convkit.conformance.report import Report, Result, settle


def result(status: str, check: str = "real", message: str = "") -> Result:
    return Result(check, "conv", "plain", "float32", "conv x=1", status, message)


@pytest.mark.parametrize(
    ("results", "ok"),
    [
        ([result("pass")], True),
        ([result("pass"), result("fail")], False),
        ([result("unsupported")], False),
        ([result("pass", "supports"), result("unsupported")], False),
        ([result("pass"), result("expected"), result("skipped")], True),
        ([], False),
    ],
)
def test_clean_is_no_failure_and_a_result_that_was_right(results: list[Result], ok: bool) -> None:
    assert Report("b", "quick", 0, results=results).ok is ok


def test_a_run_that_stopped_is_not_clean() -> None:
    report = Report("b", "quick", 0, results=[result("pass")], stopped="no compiler")
    assert not report.ok
    assert "no compiler" in report.verdict()


def test_json_and_junit_hold_every_result() -> None:
    report = Report("b", "quick", 0, origin="m:B")
    report.results = [result("pass"), result("fail", "twins", "dx is 1"), result("n/a", "fork")]
    said = json.loads(report.to_json())
    assert [r["status"] for r in said["results"]] == ["pass", "fail", "n/a"]
    suite = ET.fromstring(report.to_junit())[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    by_name = {test.get("name"): test for test in suite}
    failure = by_name["twins"].find("failure")
    assert failure is not None
    assert failure.text == "convkit conformance m:B --case 'twins conv x=1'"
    assert by_name["fork"].find("skipped") is not None
    assert by_name["real"].find("skipped") is None


def test_a_known_failure_must_happen_unless_its_check_is_lenient() -> None:
    passed = [result("pass")]
    found = settle(passed, {"real": "rounds"})
    assert found[-1].status == "fail"
    assert "expected to fail (rounds)" in found[-1].message
    assert settle(passed, {"real": "rounds"}, ["real"]) == passed
    assert settle([result("expected")], {"real": "rounds"}) == [result("expected")]
