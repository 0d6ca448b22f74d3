"""Sequences of calls find state that a backend keeps where it should keep none."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance
from convkit.conformance import sequences
from convkit.conformance.report import Report

pytestmark = pytest.mark.long


class Ring(Im2colNumpy):
    """Results lie in a ring of eight buffers; the ninth call overwrites the first one's."""

    name = "ring"

    def __init__(self) -> None:
        super().__init__()
        self.ring: dict[object, list[np.ndarray]] = {}

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        ring = self.ring.setdefault((out.shape, out.dtype), [])
        if len(ring) < 8:
            ring.append(out)
            return out, saved
        ring.append(ring.pop(0))
        ring[-1][...] = out
        return ring[-1], saved


class RemembersBackward(Im2colNumpy):
    """The first answer of backward stays in what forward saved."""

    name = "remembers_backward"

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        return out, [saved, None]

    def pool_backward(self, spec, dout, saved):  # type: ignore[no-untyped-def]
        if saved[1] is None:
            saved[1] = super().pool_backward(spec, dout, saved[0])
        return saved[1].copy()


class ThreadLocal(Im2colNumpy):
    """What forward saves is in a table of its thread."""

    name = "thread_local"

    def __init__(self) -> None:
        super().__init__()
        self.table = threading.local()

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        kept = self.table.__dict__
        kept[str(len(kept))] = saved
        return out, str(len(kept) - 1)

    def pool_backward(self, spec, dout, saved):  # type: ignore[no-untyped-def]
        found = self.table.__dict__.get(saved)
        if found is None:
            return np.zeros(spec.x_shape, spec.dtype)
        return super().pool_backward(spec, dout, found)


class ProcessTable(Im2colNumpy):
    """What forward saves is in a table of its process."""

    name = "process_table"

    def __init__(self) -> None:
        super().__init__()
        self.table: list[object] = []

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        self.table.append(saved)
        return out, len(self.table) - 1

    def pool_backward(self, spec, dout, saved):  # type: ignore[no-untyped-def]
        if saved >= len(self.table):
            return np.zeros(spec.x_shape, spec.dtype)
        return super().pool_backward(spec, dout, self.table[saved])


class GlobalGeometry(Im2colNumpy):
    """The geometry of a call is in a global that concurrent calls share."""

    name = "global_geometry"
    spec: object = None

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        GlobalGeometry.spec = spec
        time.sleep(0.0005)
        out, saved = super().pool_forward(spec, x)
        return out + (GlobalGeometry.spec is not spec), saved


class Last(Im2colNumpy):
    """Backward uses what the last forward of the same shape saved."""

    name = "last"

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[object, object] = {}

    def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
        out, saved = super().pool_forward(spec, x)
        self.last[spec] = saved
        return out, saved

    def pool_backward(self, spec, dout, saved):  # type: ignore[no-untyped-def]
        return super().pool_backward(spec, dout, self.last.get(spec, saved))


def _run(backend: object, op: str = "max_pool") -> Report:
    return conformance.run(backend, "default", checks=["sequences"], ops=[op])


@pytest.mark.sampled(usual=3)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Ring, "; after: "),
        (RemembersBackward, "-1 x dout"),
        (ThreadLocal, "in another thread"),
        (ProcessTable, "in a process that saw no forward"),
        (GlobalGeometry, "at once: "),
        (Last, "backward "),
    ],
)
def test_state_is_found_and_the_sequence_is_short(kind: type[Im2colNumpy], said: str) -> None:
    failures = _run(kind()).failures
    assert len(failures) == 1
    assert said in failures[0].message
    steps = failures[0].message.partition("; after: ")[2].split("; ")
    assert len(steps) <= (12 if kind is Ring else 6), steps


@pytest.mark.parametrize("op", ["conv", "max_pool", "avg_pool", "conv_relu_pool"])
@pytest.mark.parametrize("name", ["cython", "im2col_numpy", "naive"])
def test_the_bundled_backends_keep_nothing(
    name: str, op: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sequences.EXAMPLES, "default", 4)
    report = _run(name, op)
    assert report.ok, report.text(name)


def test_a_sequence_that_hangs_is_not_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hangs(Im2colNumpy):
        name = "hangs"

        def pool_backward(self, spec, dout, saved):  # type: ignore[no-untyped-def]
            if os.getpid() != main:
                time.sleep(3600)
            return super().pool_backward(spec, dout, saved)

    main = os.getpid()
    monkeypatch.setattr(sequences, "PLACES", ("here", "in a forked child", "in a forked child"))
    monkeypatch.setattr("convkit.conformance.guard.FORK_SECONDS", 0.5)
    failures = _run(Hangs()).failures
    assert "(a hang)" in failures[0].message


def test_whoever_declines_all_problems_is_unsupported() -> None:
    class Declines(Im2colNumpy):
        name = "declines_all"

        def supports(self, spec):  # type: ignore[no-untyped-def]
            return "not today"

    assert _run(Declines()).counts == {"unsupported": 1}
