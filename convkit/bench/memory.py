"""Extra memory of one call: how far it raises the process's peak above its results.

Python's own tracing does not see what compiled code allocates, so the peak is the system's
(Linux; elsewhere nothing is measured). Freed memory is handed back first, or its reuse would hide
what a call needs. Pages come in groups, so small figures are coarse.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

from convkit.bench.problems import Arrays

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def _kilobytes(key: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    raise OSError(f"no {key} in {_STATUS}")


def _give_back_freed_memory() -> None:
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return  # not the GNU C library


def extra_bytes(call: Callable[[], Arrays]) -> int | None:
    """Bytes above inputs and results at the call's highest point; None where unknown."""
    try:
        _give_back_freed_memory()
        before = _kilobytes("VmRSS")
        _RESET.write_text("5", encoding="ascii")  # the peak becomes the present size
        results = call()
        peak = _kilobytes("VmHWM")
    except OSError:
        return None
    return max(0, (peak - before) * 1024 - sum(array.nbytes for array in results.values()))
