"""Very many calls: what goes wrong, grows or slows down is noticed, and a slow backend is told."""

from __future__ import annotations

import threading
import time

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance
from convkit.conformance import endurance
from convkit.conformance.endurance import _Watch
from convkit.conformance.report import Report
from convkit.conformance.subject import Failed

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endurance, "CALLS", 2_000)
    monkeypatch.setattr(endurance, "PART", 100)
    monkeypatch.setitem(endurance.SECONDS, "quick", 60)


class Counting(Im2colNumpy):
    """Counts the forward passes of pooling."""

    name = "counting"

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.kept: list[object] = []

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        self.calls += 1
        return self.after(out), saved

    def after(self, out):  # type: ignore[no-untyped-def]
        return out


class LateError(Counting):
    """Is wrong once, in call 1,500."""

    def after(self, out):  # type: ignore[no-untyped-def]
        return out + (self.calls == 1_500)


class Leak(Counting):
    """Keeps a kilobyte of every call."""

    def after(self, out):  # type: ignore[no-untyped-def]
        self.kept.append(b"x" * (1000 + self.calls % 7))
        return out


class LeavesThreads(Counting):
    """Begins a thread in every tenth call that waits for a word that never comes."""

    never: threading.Event

    def after(self, out):  # type: ignore[no-untyped-def]
        if self.calls % 10 == 0:
            threading.Thread(target=self.never.wait, daemon=True).start()
        return out


class LeavesFilesOpen(Counting):
    """Opens a file in every tenth call and does not close it."""

    def after(self, out):  # type: ignore[no-untyped-def]
        if self.calls % 10 == 0:
            self.kept.append(open(__file__, "rb"))  # noqa: SIM115
        return out


class SlowsDown(Counting):
    """Works through all earlier calls again."""

    def after(self, out):  # type: ignore[no-untyped-def]
        sum(range(self.calls * 30))
        return out


def _run(backend: Im2colNumpy) -> Report:
    return conformance.run(backend, "quick", checks=["many-calls"], ops=["max_pool"])


def test_a_right_backend_is_clean() -> None:
    report = _run(Im2colNumpy())
    assert report.ok
    assert report.counts == {"pass": 1}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (LateError, "out differs from the first call's"),
        (Leak, "memory grows by about "),
        (LeavesThreads, " more threads run after "),
        (LeavesFilesOpen, " more files are open after "),
    ],
)
def test_what_goes_wrong_with_many_calls_is_a_failure(kind: type[Counting], said: str) -> None:
    LeavesThreads.never = threading.Event()
    try:
        failures = _run(kind()).failures
    finally:
        LeavesThreads.never.set()
    assert [said in r.message for r in failures] == [True]


def test_growing_slower_is_a_remark_and_no_failure() -> None:
    report = _run(SlowsDown())
    assert report.ok
    assert "times as long at the end as in the beginning" in report.reasons()


def test_how_far_a_slow_backend_came_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Counting):
        def after(self, out):  # type: ignore[no-untyped-def]
            until = time.process_time() + 0.01
            while time.process_time() < until:
                pass
            return out

    monkeypatch.setitem(endurance.SECONDS, "quick", 1)
    report = _run(Slow())
    assert report.ok
    assert "remark: many-calls: " in report.reasons()
    assert " of 2000 calls of each function in the 1 s (1)" in report.reasons()


@pytest.mark.parametrize("measure", ["resident", "allocated"])
def test_memory_that_grows_and_stops_is_no_leak(measure: str) -> None:
    watch = _Watch(threads=[1] * 9, files=[3] * 9, calls=[1000] * 9)
    watch.resident = watch.allocated = [0] * 9
    step = endurance.LEAST_GROWTH
    setattr(watch, measure, [0, step, 2 * step, *[3 * step] * 6])
    watch.check_growth()
    setattr(watch, measure, [step * i for i in range(9)])
    with pytest.raises(Failed, match=r"262 bytes per call, 1\.5 MiB in 6000 calls"):
        watch.check_growth()


@pytest.mark.skipif(
    endurance._mallinfo() is endurance._MallInfo, reason="needs mallinfo2, of glibc 2.33"
)
def test_memory_from_room_on_the_heap_is_seen() -> None:
    room = [bytearray(10_000) for _ in range(2_000)]
    last = bytearray(10_000)  # keeps the room in the middle of the heap, which is never given back
    del room
    before = endurance._allocated()
    kept = [bytearray(10_000) for _ in range(500)]
    assert endurance._allocated() - before >= sum(map(len, kept))
    assert last
