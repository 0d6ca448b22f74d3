"""Extra memory of one call: how far it raises the peak of the process above its results.

Python's own tracing does not see what compiled code allocates, so the peak is the operating
system's (Linux; elsewhere nothing is measured). Freed memory is returned to the system first, or
its reuse would hide what a call needs. Small figures are coarse, as memory comes in pages.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

from convkit import registry
from convkit.bench.problems import Arrays

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def _kilobytes(key: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    raise OSError(f"no {key} in {_STATUS}")


def _return_freed_memory() -> None:
    gc.collect()
    for record in registry.backends():
        release = record.method("release_memory")
        if release is not None:
            release()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return  # not the GNU C library


def extra_bytes(call: Callable[[], Arrays]) -> int | None:
    """Peak memory of the call in bytes, without inputs and results; None where unknown."""
    try:
        _return_freed_memory()
        before = _kilobytes("VmRSS")
        _RESET.write_text("5", encoding="ascii")  # the peak becomes the present size
        results = call()
        peak = _kilobytes("VmHWM")
    except OSError:
        return None
    return max(0, (peak - before) * 1024 - sum(array.nbytes for array in results.values()))
