"""The suite's command line: what narrows a run, what it writes, and what becomes of slow cases."""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy
from drawn_page import Page

from convkit import conformance
from convkit.bench import machine
from convkit.cli import run as cli
from convkit.conformance import guard
from convkit.conformance.costs import LEAST_SAMPLES, Costs
from convkit.conformance.execute import execute
from convkit.conformance.runner import Request
from convkit.conformance.subject import Subject

pytestmark = pytest.mark.long

HERE = Path(__file__)


class OffByOne(Im2colNumpy):
    """Every pooled value is one too large."""

    name = "off_by_one"

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        return out + 1, saved


class Waits(Im2colNumpy):
    """Never returns from an average."""

    name = "waits"

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        import threading

        if spec.kind == "avg":
            threading.Event().wait()
        return super().pool_forward(spec, x)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a child process import this module; return its name."""
    monkeypatch.syspath_prepend(str(HERE.parent))
    return HERE.stem


def test_options_narrow_the_run_and_its_reports_say_what_ran(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narrowed = ["--check", "forward-exact", "--op", "max_pool", "--dtype", "float32", "--seed", "3"]
    files = ["--json", str(tmp_path / "a.json"), "--junit", str(tmp_path / "a.xml")]
    assert cli(["conformance", "im2col_numpy", "--quick", *narrowed, *files]) == 0
    assert "im2col_numpy, quick, seed 3: clean" in capsys.readouterr().out
    said = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    ran = {(r["check"], r["op"], r["dtype"]) for r in said["results"]}
    assert ran == {("forward-exact", "max_pool", "float32")}
    assert (said["level"], said["seed"]) == ("quick", 3)
    wanted = Request("quick", 3, ("max_pool",), ("float32",), ("forward-exact",)).jobs()
    assert [r["case"] for r in said["results"]] == [str(j.case) for j in wanted]
    root = ET.parse(tmp_path / "a.xml").getroot()
    assert [(s.get("name"), s.get("failures")) for s in root] == [("max_pool", "0")]


def test_the_page_names_the_backend_and_its_machine(
    tmp_path: Path, importable: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2", reason="pages need jinja2 (extra 'train')")
    path, name = tmp_path / "a.html", f"{importable}:OffByOne"
    narrowed = ["--check", "forward-exact", "--op", "max_pool", "--maxfail", "1", "--jobs", "2"]
    path.write_text("an earlier page", encoding="utf-8")
    assert cli(["conformance", name, "--quick", *narrowed, "--html", str(path)]) == 1
    (line,) = (x.strip() for x in capsys.readouterr().out.splitlines() if "--case" in x)
    found = Page(path.read_text(encoding="utf-8"))
    assert found.words["repro"] == [line]
    assert found.words["h1"] == ["off_by_one"]
    assert len(found.panels) == 3
    facts = dict(zip(found.words["dt"], found.words["dd"], strict=True))
    assert facts["cpu"] == machine.cpu_name()
    assert facts["numpy"] == np.__version__
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_without_jinja2_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conformance, "run", lambda *_, **__: pytest.fail("it ran"))
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert cli(["conformance", "im2col_numpy", "--html", str(tmp_path / "a.html")]) == 1
    assert "needs the module 'jinja2'" in capsys.readouterr().err


def test_a_search_has_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["conformance", "im2col_numpy", "--for", "1s", "--html", str(tmp_path / "a.html")]
    assert cli(line) == 2
    assert "--html is of a run" in capsys.readouterr().err


def test_another_seed_draws_other_problems() -> None:
    drawn = [
        {str(j.case) for j in Request("quick", seed, ("max_pool",)).jobs()} for seed in (0, 1, 1)
    ]
    assert drawn[1] == drawn[2]
    assert len(drawn[0] - drawn[1]) > 100


@pytest.mark.parametrize("limit", [1, 3])
def test_maxfail_ends_the_run(
    limit: int, importable: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["conformance", f"{importable}:OffByOne", "--quick", "--op", "max_pool"]
    assert cli([*line, "--maxfail", str(limit)]) == 1
    assert capsys.readouterr().out.count("FAIL ") == limit + 1  # and one in the table's heading


def test_costly_cases_are_skipped_and_counted_apart() -> None:
    subject, costs = Subject(Im2colNumpy()), Costs(limit=1e-9)
    jobs = list(Request("quick", 0, ("max_pool",), (), ("forward-exact",)).jobs())[:7]
    found = [execute(subject, job, costs) for job in jobs]
    assert [o.status for o in found] == ["pass"] * LEAST_SAMPLES + ["skipped"] * 3
    assert found[-1].message.endswith("s at this backend's speed")
    costs.limit = None
    assert execute(subject, jobs[-1], costs).status == "pass"
    report = conformance.Report("x", "quick", 0)
    report.results += [
        conformance.Result(j.check, j.case.op, "plain", j.case.dtype, "", o.status)
        for j, o in zip(jobs, found, strict=True)
    ]
    heading, *_, total = report.table().splitlines()
    assert "skipped (cost)" in heading
    assert total.split() == ["total", "results", "4", "0", "0", "0", "3", "0"]


def test_a_hang_is_a_failure_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert guard.HANG_SECONDS == 20
    monkeypatch.setattr(guard, "HANG_SECONDS", 0.5)
    report = conformance.run(
        Waits(), "quick", checks=("poisoned-memory",), ops=("avg_pool", "max_pool")
    )
    hangs = [r for r in report.failures if "no answer within 0.5 s (a hang)" in r.message]
    assert {r.op for r in hangs} == {"avg_pool"}
    assert report.counts["pass"] > 20


@pytest.mark.parametrize("option", ["--json", "--junit", "--html"])
def test_a_destination_without_a_folder_is_refused_before_the_suite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert cli(["conformance", "naive", option, str(tmp_path / "no" / "f")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"{option} (='{tmp_path}/no/f') must be in a folder that exists" in printed.err
