"""What a call must leave as it found it: the rest of the program runs in the same process.

Floating-point mode, signals, locale, environment, current directory, affinity, random numbers and
the interpreter's settings. A snapshot costs some 50 microseconds, so one is taken around every case
of every check. What grows from call to call is looked for elsewhere.
"""

from __future__ import annotations

import ctypes
import gc
import locale
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_TINY, _ONE, _SMALL = 5e-324, 1.0, 1e-17
_MORE_THAN_HALF = 1.2e-16
"""Above half the distance from 1 to the next number, so that only rounding to nearest adds it."""

_ENVIRONMENT: Any = getattr(os.environ, "_data", os.environ)
"""What os.environ keeps its variables in, encoded: copying that is thirty times faster."""


def rounding() -> str:
    """Say what floating-point arithmetic does in this thread, as its results show."""
    if _TINY * _ONE == 0:
        return "subnormal numbers count as 0"
    nearest = (_ONE + _SMALL, _ONE - _SMALL, _ONE + _MORE_THAN_HALF)
    return "to nearest" if nearest == (1.0, 1.0, 1.0000000000000002) else "not to nearest"


def _no_news(kind: str, flag: int) -> None:
    """Take notice of a floating-point exception that NumPy reports, and do nothing."""


@contextmanager
def told() -> Iterator[None]:
    """Let NumPy be silent about infinities, in a state that no other code asks for.

    A backend that leaves warnings ignored behind would change nothing where they are ignored
    already.
    """
    with np.errstate(all="call", call=_no_news):
        yield


def snapshot() -> dict[str, Any]:
    """Return what a call must not change, by its name in words."""
    found: dict[str, Any] = {
        "the floating-point mode": rounding(),
        "NumPy's error state": (np.geterr(), np.geterrcall()),
        "NumPy's print options": np.get_printoptions(),
        "the environment": dict(_ENVIRONMENT),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the current directory": os.getcwd(),
        "the state of NumPy's global random numbers": _drawn(),
        "the state of Python's random numbers": random.getstate(),
        "the garbage collector": (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        "the interpreter's switch interval": sys.getswitchinterval(),
        "the interpreter's recursion limit": sys.getrecursionlimit(),
        "the trace or profile function": (sys.gettrace(), sys.getprofile()),
        "a standard stream": (sys.stdin, sys.stdout, sys.stderr),
        "a signal's handler": {number: _handler(number) for number in _SIGNALS},
    }
    if hasattr(signal, "pthread_sigmask"):
        found["the signal mask"] = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    if hasattr(os, "sched_getaffinity"):
        found["the thread's affinity"] = os.sched_getaffinity(0)
    return found


_SIGNALS = sorted(int(n) for n in signal.valid_signals() if n < 32)
"""All but those of POSIX's real-time extension, which nobody's handlers use and which cost time.

`signal.getsignal` makes an enumeration's member of each handler; what it wraps does not.
"""


_handler: Any = getattr(signal, "_signal", signal).getsignal


def _drawn() -> Any:
    """Return the state of NumPy's global generator, comparable with ``==``.

    Of the usual one the memory is read: its properties make a list of 624 numbers first.
    """
    generator: Any = np.random.get_bit_generator()  # type: ignore[attr-defined]
    if type(generator) is np.random.MT19937:
        return id(generator), ctypes.string_at(generator.ctypes.state_address, _MT19937_BYTES)
    return id(generator), repr(generator.state)


_MT19937_BYTES = 624 * 4 + 4
"""The key, and the place in it."""


def changed(before: dict[str, Any]) -> str:
    """Say what differs from an earlier snapshot; empty where nothing does."""
    for name, now in snapshot().items():
        if now != before[name]:
            if name == "the environment":
                names = {k for k in {*now, *before[name]} if now.get(k) != before[name].get(k)}
                said = sorted(
                    n.decode(errors="replace") if isinstance(n, bytes) else n for n in names
                )
                return f"{name} was changed in {', '.join(said)} and left so"
            if name == "a signal's handler":
                said = [signal.Signals(n).name for n in now if now[n] is not before[name][n]]
                return f"{name} was changed, of {', '.join(said)}, and left so"
            value = "" if "random" in name else f" to {now}"
            return f"{name} was changed{value} and left so"
    return ""
