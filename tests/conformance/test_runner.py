"""The suite itself: it says clean of right backends, finds planted bugs, and proves who computed.

The large catalogue of planted bugs has its own folder; here stands one of each kind of verdict.
"""

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import api, conformance
from convkit.cli import run as cli
from convkit.conformance import catalogue, costs, data
from convkit.conformance.subject import Impostor, Subject
from convkit.errors import BackendNotFoundError, ParameterError

pytestmark = pytest.mark.long

FEW = ("declarations", "forward-exact", "backward-exact", "pairs")


class DilationSwapped(Im2colNumpy):
    """Uses dilation[0] for both axes of dw's sum: wrong where the axes differ."""

    name = "dilation_swapped"

    def conv_backward(self, spec, dout, x, w, saved, needs):  # type: ignore[no-untyped-def]
        dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
        if dw is not None and len(set(spec.dilation)) > 1:
            dw = dw[..., ::-1].copy()
        return dx, dw, db


class Crashes(Im2colNumpy):
    """Ends the process on one problem, and speaks on others."""

    name = "crashes"

    def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
        if spec.groups == 2:
            os.write(2, b"two groups\n")
        if spec.groups == 3:
            os.write(2, b"now it ends\n")
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().conv_forward(spec, x, w, b)


class Raises(Im2colNumpy):
    """Raises on every pooling."""

    name = "raises"

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        raise RuntimeError("no pooling today")


class Declines(Im2colNumpy):
    """Supports no dilation, and says so."""

    name = "declines"

    def supports(self, spec):  # type: ignore[no-untyped-def]
        return "dilation is not implemented" if max(spec.dilation) > 1 else None


class SupportsNothing(Im2colNumpy):
    """Declines everything."""

    name = "supports_nothing"

    def supports(self, spec):  # type: ignore[no-untyped-def]
        return "not today"


class KnownBug(DilationSwapped):
    """Declares its bug."""

    name = "known_bug"
    expected_failures = {"backward-exact": "dw is wrong with two dilations"}  # noqa: RUF012


class KnownNoMore(Im2colNumpy):
    """Declares a bug it does not have."""

    name = "known_no_more"
    expected_failures = {"pairs": "was wrong once"}  # noqa: RUF012


class ReadsBeyond(Im2colNumpy):
    """Reads one element past x."""

    name = "reads_beyond"

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        np.lib.stride_tricks.as_strided(x.reshape(-1), (x.size + 1,), (x.itemsize,)).sum()
        return super().pool_forward(spec, x)


HERE = f"{Path(__file__).stem}"


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a child process import this module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.mark.parametrize("name", ["im2col_numpy", "naive"])
def test_a_right_backend_is_clean(name: str) -> None:
    report = conformance.run(name, "quick", checks=FEW, ops=("max_pool", "avg_pool"))
    assert report.ok, report.text(name)
    assert report.counts["pass"] > 100
    assert report.backend == name


def test_a_planted_bug_fails_where_it_is_and_nowhere_else() -> None:
    report = conformance.run(DilationSwapped(), "quick", checks=FEW)
    assert not report.ok
    assert {(r.op, r.check) for r in report.failures} <= {
        ("conv", "backward-exact"),
        ("conv", "pairs"),
        ("conv_relu_pool", "backward-exact"),
        ("conv_transpose", "backward-exact"),  # composed of the convolution's dw
        ("conv_relu", "backward-exact"),
        ("conv_relu", "pairs"),
        ("conv_bn_relu", "backward-exact"),
        ("conv_bn_relu", "pairs"),
    }
    text = report.failure_text("NAME")
    assert "FAIL backward-exact: dw[" in text
    assert "expected" in text
    assert "differ" in text
    assert "convkit conformance NAME --case 'backward-exact conv x=" in text


def test_the_line_a_failure_prints_reproduces_it_alone(importable: None) -> None:
    report = conformance.run(DilationSwapped(), "quick", checks=FEW, maxfail=1)
    failure = report.failures[0]
    line = failure.reproduce(f"{HERE}:DilationSwapped")
    case = line.split("--case ")[1].strip("'")
    again = conformance.run(f"{HERE}:DilationSwapped", case=case)
    assert [r.message for r in again.failures] == [failure.message]
    assert conformance.run("im2col_numpy", case=case).ok


def test_a_search_shrinks_to_a_case_that_reproduces_alone(importable: None) -> None:
    class Shifted(Im2colNumpy):
        name = "shifted"

        def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
            out, saved = super().conv_forward(spec, x, w, b)
            return out + (spec.groups > 1), saved

    report = conformance.run(Shifted(), "quick", checks=["groups-are-blocks"])
    assert not report.ok
    case = report.failures[0].case
    assert "groups=2" in case
    again = conformance.run(Shifted(), case=f"groups-are-blocks {case}")
    assert again.failures[0].message == report.failures[0].message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals")
def test_a_crash_is_a_failure_and_the_run_goes_on(
    importable: None, capfd: pytest.CaptureFixture[str]
) -> None:
    report = conformance.run(f"{HERE}:Crashes", "quick", checks=("forward-exact",), ops=("conv",))
    crashed = [r.message for r in report.failures if "SIGSEGV" in r.message]
    assert 1 <= len(crashed) <= 3
    assert set(crashed) == {"crashed with SIGSEGV; it wrote: now it ends"}
    said = capfd.readouterr().err
    assert set(said.splitlines()) == {"two groups"}
    assert report.counts["pass"] > 20
    assert not report.ok


def test_an_exception_is_a_failure_with_its_text() -> None:
    report = conformance.run(Raises(), "quick", checks=("forward-exact",), ops=("max_pool",))
    assert report.counts["pass"] == 0
    assert "RuntimeError in pool_forward" in report.failures[0].message
    assert "no pooling today" in report.failures[0].message


def test_unsupported_cases_are_counted_with_their_reason_and_never_as_passed() -> None:
    report = conformance.run(Declines(), "quick", checks=("forward-exact",), ops=("max_pool",))
    assert report.ok
    assert report.counts["unsupported"] > 3
    assert "dilation is not implemented" in report.reasons()


def test_a_backend_that_supports_nothing_does_not_pass() -> None:
    report = conformance.run(SupportsNothing(), "quick", ops=("max_pool",), isolated=False)
    assert not report.failures
    assert not report.ok
    assert report.verdict().count("nothing passed") == 1


def test_a_known_failure_is_expected_and_strict() -> None:
    report = conformance.run(KnownBug(), "quick", checks=("backward-exact", "forward-exact"))
    assert report.ok, report.failure_text("known_bug")
    assert report.counts["expected"] > 0
    report = conformance.run(KnownNoMore(), "quick", checks=("pairs",))
    assert [r.message for r in report.failures] == [
        "expected to fail (was wrong once), but every case passed; it is no known failure"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
def test_a_read_past_an_input_is_found(capfd: pytest.CaptureFixture[str]) -> None:
    report = conformance.run(ReadsBeyond(), "quick", checks=("guard-pages",), ops=("avg_pool",))
    crashed = [r for r in report.failures if "SIGSEGV" in r.message or "SIGBUS" in r.message]
    assert "it wrote: Fatal Python error" in crashed[0].message
    assert capfd.readouterr().err == ""


def test_a_call_that_the_backend_did_not_answer_is_never_a_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    honest = api.conv_forward

    def someone_else(*args, backend, **kwargs):  # type: ignore[no-untyped-def]
        return honest(*args, backend="naive", **kwargs)

    monkeypatch.setattr(api, "conv_forward", someone_else)
    case = catalogue.structured("conv", "quick")[0]
    with pytest.raises(Impostor, match="'im2col_numpy' was not asked"):
        Subject(Im2colNumpy()).forward(case, data.inputs(case))
    report = conformance.run(Im2colNumpy(), "quick", checks=("forward-exact",), ops=("conv",))
    assert report.counts["pass"] == 0


def test_unknown_names_are_errors_that_name_the_choices() -> None:
    with pytest.raises(ParameterError, match="check \\(='nope'\\) must be one of forward-exact"):
        conformance.run("naive", checks=("nope",))
    with pytest.raises(ParameterError, match="op \\(='nope'\\) must be one of conv, max_pool"):
        conformance.run("naive", ops=("nope",))
    with pytest.raises(BackendNotFoundError):
        conformance.run("no_such_backend", "quick")


def test_the_command_exits_0_1_or_2(capsys: pytest.CaptureFixture[str], importable: None) -> None:
    line = "forward-exact max_pool x=1,1,4,4 kernel=2,2"
    assert cli(["conformance", "naive", "--case", line]) == 0
    assert "naive, default, seed 0: clean" in capsys.readouterr().out
    assert cli(["conformance", f"{HERE}:Raises", "--case", line]) == 1
    assert "no pooling today" in capsys.readouterr().out
    assert cli(["conformance", f"{HERE}:NoSuchThing", "--case", line]) == 1
    assert cli(["conformance", "no_such_backend"]) == 2
    assert cli(["conformance", "naive", "--case", "forward-exact conv pad=1"]) == 2
    assert cli(["conformance"]) == 2


def test_a_missing_package_is_an_error_and_no_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli(["conformance", "naive", "--quick"]) == 2
    assert "needs the package hypothesis" in capsys.readouterr().err


def test_what_a_backend_declares_is_counted_apart_from_its_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(costs.BUDGETS, "quick", 600.0)  # nothing is left out on a busy machine
    monkeypatch.setitem(costs.LIMITS, "quick", 600.0)
    report = conformance.run(Declines(), "quick", checks=["supports", "twins"], ops=("conv",))
    declared, results = report.table().splitlines()[-2:]
    assert declared.split()[:2] == ["total", "declarations"]
    assert int(declared.split()[2]) == sum(r.check == "supports" for r in report.results)
    passed = sum(r.check == "twins" and r.status == "pass" for r in report.results)
    assert results.split()[:3] == ["total", "results", str(passed)]
    report = conformance.run(Declines(), "quick", checks=["space"], ops=("avg_pool",), maxfail=1)
    assert "of the space" not in report.verdict()


def test_the_line_in_junit_reproduces_a_backend_given_as_module_and_object(
    importable: None,
) -> None:
    origin = f"{HERE}:Raises"
    report = conformance.run(origin, "quick", checks=["twins"], ops=("avg_pool",))
    assert f"convkit conformance {origin} --case 'twins avg_pool" in report.to_junit()


def test_json_and_junit_say_the_same_as_the_table(tmp_path: Path) -> None:
    report = conformance.run(DilationSwapped(), "quick", checks=FEW, ops=("conv", "avg_pool"))
    said = json.loads(report.to_json())
    assert said["ok"] is False
    assert said["counts"]["fail"] == len(report.failures)
    root = ET.fromstring(report.to_junit())
    failed = {t.get("name") for t in root.iter("testcase") if t.find("failure") is not None}
    assert failed == set(report.failed_checks())
    assert f"{len(report.failures)}" in report.table().splitlines()[-1]


def test_pytest_runs_the_suite_from_another_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs"]
    command += ["convkit.conformance", "--convkit-level", "quick", "--convkit-backend"]
    chosen = ["-k", "ties and max_pool or something"]
    asked = {"capture_output": True, "text": True, "check": False, "cwd": tmp_path}
    done = subprocess.run([*command, "naive", *chosen], **asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    done = subprocess.run([*command, "nope", *chosen], **asked)
    assert done.returncode != 0


def test_the_guide_lists_every_check() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
    for check in conformance.CHECKS.values():
        assert f"| `{check.name}` |" in guide
        assert check.summary in guide
