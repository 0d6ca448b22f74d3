"""What a call must leave as it found it: the rest of the program runs in the same process.

Floating-point mode, signal masks, locale, environment, current directory, affinity. A snapshot
costs some microseconds, so one is taken around every case of every check.
"""

from __future__ import annotations

import locale
import os
import signal
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


def snapshot() -> dict[str, Any]:
    """Return what a call must not change, by its name in words."""
    found: dict[str, Any] = {
        "the floating-point mode": rounding(),
        "NumPy's error state": np.geterr(),
        "the environment": dict(_ENVIRONMENT),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the current directory": os.getcwd(),
    }
    if hasattr(signal, "pthread_sigmask"):
        found["the signal mask"] = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    if hasattr(os, "sched_getaffinity"):
        found["the thread's affinity"] = os.sched_getaffinity(0)
    return found


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
            return f"{name} was changed to {now} and left so"
    return ""
