"""A run divided among processes reports what one process would, whatever crashes and hangs."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance
from convkit.conformance import child, pool
from convkit.conformance.board import Board, deal, dealt, slices
from convkit.conformance.child import Message, Share
from convkit.conformance.execute import Job, Outcome
from convkit.conformance.pool import Pool
from convkit.conformance.report import Report
from convkit.conformance.runner import Request

pytestmark = pytest.mark.long

HERE = Path(__file__).stem
FEW = {"checks": ("forward-exact", "backward-exact", "pairs"), "ops": ("conv", "max_pool")}


class Crashes(Im2colNumpy):
    """Ends the process on some convolutions, and gets others wrong."""

    name = "crashes"

    def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
        if spec.groups == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        out, saved = super().conv_forward(spec, x, w, b)
        return out + (spec.groups == 2), saved


class HangsInEverything(Im2colNumpy):
    """Never answers."""

    name = "hangs_in_everything"

    def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
        time.sleep(3600)

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        time.sleep(3600)


class HangsWhenLoaded(Im2colNumpy):
    """Is never there."""

    name = "hangs_when_loaded"

    def __init__(self) -> None:
        time.sleep(3600)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def _said(report: Report) -> list[tuple[str, str, str, str]]:
    return [(r.check, r.case, r.status, r.message) for r in report.results]


def test_any_number_of_processes_gives_the_same_report_in_the_same_order(importable: None) -> None:
    reports = [conformance.run(f"{HERE}:Crashes", "quick", jobs=n, **FEW) for n in (1, 3)]
    assert _said(reports[0]) == _said(reports[1])
    assert reports[0].counts == reports[1].counts
    messages = {r.message for r in reports[1].failures}
    assert "crashed with SIGKILL" in messages
    assert "not run: forward-exact crashed or hung 3 times" in messages
    wanted = [str(job.case) for job in Request("quick", 0, FEW["ops"], (), FEW["checks"]).jobs()]
    assert [r.case for r in reports[1].results] == wanted


def test_maxfail_ends_every_number_of_processes_at_the_same_failure(importable: None) -> None:
    reports = [
        conformance.run(f"{HERE}:Crashes", "quick", jobs=n, maxfail=4, **FEW) for n in (1, 2)
    ]
    assert len(reports[0].failures) == 4
    assert _said(reports[0]) == _said(reports[1])


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_backend_in_which_everything_hangs_ends_with_its_budget(
    jobs: int, importable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(child.SECONDS, "quick", 0.25)
    monkeypatch.setitem(pool.LOST, "quick", 1.0)
    checks = ("forward-exact", "backward-exact", "real")
    report = conformance.run(f"{HERE}:HangsInEverything", "quick", checks=checks, jobs=jobs)
    assert not report.ok
    # Three in the first check, and the fourth spends what the run may lose.
    assert len(report.hangs) == 4
    assert [r.check for r in report.hangs] == ["forward-exact"] * 3 + ["backward-exact"]
    asked = [r for r in report.results if r.check in checks]
    assert {r.status for r in asked} == {"fail"}
    reasons = {r.message for r in asked if r not in report.hangs}
    assert reasons == {
        "not run: forward-exact crashed or hung 3 times",
        "not run: the 1 s that a run may lose by crashes and hangs are spent",
    }
    assert ", 4 of them by a hang" in report.verdict()


def test_a_backend_that_hangs_when_it_is_loaded_ends_the_run(
    importable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "START_SECONDS", 3.0)
    report = conformance.run(f"{HERE}:HangsWhenLoaded", "quick", jobs=2, **FEW)
    assert not report.ok
    assert report.stopped == ("while the backend was being loaded: no answer within 3 s (a hang)")
    assert not report.results


def test_every_level_has_a_budget() -> None:
    assert set(pool.LOST) == set(child.SECONDS) == {"quick", "default", "full"}


# --- the parts ------------------------------------------------------------------------------


def _jobs() -> list[Job]:
    return list(Request("quick", 0, ("max_pool",), (), ("forward-exact", "real")).jobs())


def test_slices_hold_every_case_once_and_one_check_each() -> None:
    jobs = _jobs()
    found = slices(jobs)
    assert [i for piece in found for i in range(*piece)] == list(range(len(jobs)))
    assert all(len({jobs[i].check for i in range(*piece)}) == 1 for piece in found)
    assert len(found) > 4


def test_numbers_are_dealt_once_and_the_board_is_shared() -> None:
    descriptor = deal(7)
    takers = itertools.cycle([dealt(descriptor), dealt(descriptor)])
    assert [next(taker, None) for taker in itertools.islice(takers, 8)] == [*range(7), None]
    os.close(descriptor)
    jobs = _jobs()
    mine = Board(jobs, 2)
    other = Board(jobs, 2, mine.descriptor)
    key = ("real", "max_pool")
    for number, board in enumerate((mine, other)):
        spent = board.spent(number)
        spent[key] = spent.get(key, 0.0) + 1.5
    assert mine.spent(0)[key] == other.spent(1)[key] == 3.0
    mine.cut("real", len(jobs) - 3)
    mine.cut("real", len(jobs) - 2)  # a cut never moves back
    assert [other.wanted(job, i) for i, job in enumerate(jobs)][-4:] == [True, True, False, False]
    mine.close()


def _scripted(dies: set[int], order: Callable[[list[int]], list[int]]) -> Callable[..., object]:
    """Return a starter of processes that die in some cases and take their slices in any order."""

    def start(share: Share) -> Iterator[Message]:
        numbers = order(list(dealt(share.dealt)))
        mine = [*range(*share.first), *(i for n in numbers for i in range(*share.slices[n]))]
        yield Message("facts", facts={"name": "x"})
        for index in mine:
            yield Message("start", index)
            if index in dies:
                yield Message("died", index, Outcome("fail", "crashed"))
                return
            yield Message("done", index, Outcome("pass", str(index)))
        yield Message("end")

    return start


@pytest.mark.parametrize("order", [list, lambda found: found[::-1]])
def test_where_a_run_is_cut_does_not_depend_on_who_came_first(
    order: Callable[[list[int]], list[int]],
) -> None:
    jobs = _jobs()
    dies, got = {3, 60, 61, 70, 75}, list[Outcome]()
    Pool(jobs, 1, 1000.0, lambda job, outcome: bool(got.append(outcome))).run(
        _scripted(dies, order)  # type: ignore[arg-type]
    )
    last = max(i for i, job in enumerate(jobs) if job.check == "forward-exact")
    assert [i for i, outcome in enumerate(got) if outcome.message == "crashed"] == [3, 60, 61]
    assert [i for i, o in enumerate(got) if o.message.startswith("not run")] == [
        *range(62, last + 1)
    ]
    assert all(o.message == str(i) for i, o in enumerate(got) if o.status == "pass")
    assert len(got) == len(jobs)
