"""Fenced arrays and forks: what touches a forbidden page, hangs or raises is reported."""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import pytest

from convkit.conformance import guard

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork and mprotect")


@pytest.mark.parametrize(("end", "offset"), [("first", -1), ("last", 6)])
def test_a_fenced_array_has_a_forbidden_page_beside_it(end: str, offset: int) -> None:
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    fenced = guard.fence(a, end)
    assert np.array_equal(fenced, a)
    address = fenced.ctypes.data + offset * a.itemsize

    def read_beyond() -> None:
        import ctypes

        ctypes.string_at(address, a.itemsize)

    assert guard.in_fork(fenced.sum) == ""
    assert guard.in_fork(read_beyond) == "crashed with SIGSEGV"


def test_what_is_raised_in_a_fork_is_returned() -> None:
    def raises() -> None:
        raise ValueError("not today")

    assert guard.in_fork(raises) == "ValueError: not today"


def test_a_hang_in_a_fork_is_ended() -> None:
    assert guard.in_fork(lambda: time.sleep(60), 0.2) == "no answer within 0.2 s (a hang)"


def test_a_fork_does_not_change_its_parent() -> None:
    changed: list[int] = []
    assert guard.in_fork(lambda: changed.append(os.getpid())) == ""
    assert changed == []


def test_backends_are_told_that_memory_is_to_be_full_of_garbage(monkeypatch) -> None:
    monkeypatch.setenv("CONVKIT_POISON", "")

    def perturb() -> None:
        guard.perturb_allocations()
        assert os.environ["CONVKIT_POISON"] == "1"

    assert guard.in_fork(perturb) == ""
