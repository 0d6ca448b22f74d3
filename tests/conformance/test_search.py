"""The search: it finds what is wrong, shrinks it, counts crashes, and goes on from its state."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit.cli import run as cli
from convkit.conformance import cases, search
from convkit.conformance.entries import ENTRIES
from convkit.errors import ParameterError

pytestmark = pytest.mark.long

HERE = Path(__file__).stem


class ManyChannels(Im2colNumpy):
    """Loses the channels from the seventeenth on in dw."""

    name = "many_channels"

    def conv_backward(self, spec, dout, x, w, saved, needs):  # type: ignore[no-untyped-def]
        dx, dw, db = super().conv_backward(spec, dout, x, w, saved, needs)
        if dw is not None:
            dw[:, 16:] = 0
        return dx, dw, db


class Crashes(Im2colNumpy):
    """Ends its process where 33 channels are pooled or more."""

    name = "crashes"

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        if x.shape[1] > 32:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().pool_forward(spec, x)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(search, "BATCH", 60)


def test_a_failure_is_shrunk_to_its_trigger() -> None:
    found = search.search(f"{HERE}:ManyChannels", 20, ops=["conv"], maxfail=1)
    assert found.counts["fail"] > 0
    assert len(found.failures) == 1
    text = found.failures[0].case
    shapes, groups = cases.parse(text).shapes, cases.parse(text).sizes["groups"]
    assert shapes["x"][0] == 1
    assert shapes["w"][0] == groups, "one filter in each group"
    assert 17 <= shapes["w"][1] <= 25, text
    assert found.failures[0].reproduce("b") == f"convkit conformance b --case 'space {text}'"
    assert "dw" in found.failures[0].message


def test_a_crash_is_a_failure_and_the_batch_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "ROUNDS", 1)  # each crash costs a process
    found = search.search(f"{HERE}:Crashes", 15, ops=["max_pool"], maxfail=1)
    assert "SIGSEGV" in found.failures[0].message
    assert found.counts["pass"] > 0
    assert sum(found.counts.values()) == 60 * found.batches


def test_a_search_goes_on_from_its_state(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    options = {"ops": ["max_pool"], "state": state}
    first = search.search("im2col_numpy", 0.1, **options)  # type: ignore[arg-type]
    again = search.search("im2col_numpy", 0.1, **options)  # type: ignore[arg-type]
    assert (first.batches, again.batches) == (1, 2)
    assert again.asked == first.asked * 2 == 120
    lines = [json.loads(line) for line in state.read_text(encoding="utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["search", "batches", "batches"]
    with pytest.raises(ParameterError, match="is of another search; give another file"):
        search.search("im2col_numpy", 0.1, seed=1, **options)  # type: ignore[arg-type]


def test_every_operation_with_an_entry_is_searched_unless_told_otherwise() -> None:
    found = search.search("im2col_numpy", 0.1)
    assert {op for op, *_ in found.met()} == set(ENTRIES)
    assert not found.failures


def test_batches_do_not_repeat() -> None:
    found = search.Search("x", 0, ("conv",))
    one, two = search._batch(found), search._batch(found)
    assert {str(d.case) for d in one}.isdisjoint(str(d.case) for d in two)
    assert found.cover("conv", one[0].space).missing


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("10m", 600), ("2h", 7200)]
)
def test_a_time_is_read(text: str, seconds: float) -> None:
    assert search.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0m", "-3s", "3d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="must be a time above 0"):
        search.seconds_of(text)


def test_the_command_searches(capfd: pytest.CaptureFixture[str]) -> None:
    line = ["conformance", "im2col_numpy", "--for", "0.1s", "--op", "avg_pool", "--jobs", "1"]
    assert cli(line) == 0
    out = capfd.readouterr().out
    assert "60 problems asked (60 pass)" in out
    assert "nothing found" in out
    assert cli(["conformance", "im2col_numpy", "--state", "x.jsonl"]) == 2
