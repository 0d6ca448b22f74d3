"""A backend leaves the process as it found it."""

from __future__ import annotations

import ctypes
import gc
import locale
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance
from convkit.conformance import surroundings

pytestmark = pytest.mark.long

UPWARD, NEAREST = 0x800, 0


def _round_upward() -> None:
    ctypes.CDLL("libm.so.6").fesetround(UPWARD)


CHANGES: dict[str, Callable[[], object]] = {
    "NumPy's error state": lambda: np.seterr(all="ignore"),
    "NumPy's print options": lambda: np.set_printoptions(precision=3),
    "the state of NumPy's global random numbers was changed and left so": lambda: np.random.seed(1),
    "the state of Python's random numbers was changed and left so": random.random,
    "the garbage collector": gc.disable,
    "the interpreter's switch interval": lambda: sys.setswitchinterval(0.01),
    "the interpreter's recursion limit": lambda: sys.setrecursionlimit(2000),
    "the trace or profile function": lambda: sys.setprofile(lambda *_: None),
    "a standard stream": lambda: setattr(sys, "stdin", None),
    "a signal's handler was changed, of SIGUSR1, and left so": (
        lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    ),
    "the environment was changed in LEFT_BEHIND": lambda: os.environ.update(LEFT_BEHIND="1"),
    "the current directory": lambda: os.chdir("/"),
    "the signal mask": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}),
    "the floating-point mode was changed to not to nearest": _round_upward,
}


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    folder, mask = Path.cwd(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    precision, limit = np.get_printoptions()["precision"], sys.getrecursionlimit()
    interval, stdin = sys.getswitchinterval(), sys.stdin
    profile, handler = sys.getprofile(), signal.getsignal(signal.SIGUSR1)
    yield
    sys.setprofile(profile)
    gc.enable()
    sys.setswitchinterval(interval)
    sys.setrecursionlimit(limit)
    sys.stdin = stdin
    signal.signal(signal.SIGUSR1, handler)
    np.set_printoptions(precision=precision)
    os.chdir(folder)
    os.environ.pop("LEFT_BEHIND", None)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    np.seterr(divide="warn", over="warn", invalid="warn", under="ignore")
    ctypes.CDLL("libm.so.6").fesetround(NEAREST)


@pytest.mark.parametrize("said", CHANGES)
def test_what_a_call_changes_is_a_failure(said: str) -> None:
    class Changes(Im2colNumpy):
        name = "changes"

        def pool_forward(self, spec, x):  # type: ignore[no-untyped-def]
            found = super().pool_forward(spec, x)
            CHANGES[said]()
            return found

    report = conformance.run(
        Changes(), "quick", checks=["forward-exact"], ops=["max_pool"], maxfail=1
    )
    assert said in report.failures[0].message


def test_nothing_changes_where_nothing_is_done() -> None:
    before = surroundings.snapshot()
    assert surroundings.rounding() == "to nearest"
    assert not surroundings.changed(before)
    assert before["the locale"] == locale.setlocale(locale.LC_ALL)
