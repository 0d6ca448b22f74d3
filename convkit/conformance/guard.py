"""Memory that tells: arrays fenced by pages nobody may touch, allocations full of garbage, forks.

A read past an input is not visible in a result; here it ends the process, so these are for child
processes. What a platform lacks is said by NotApplicable, never passed over in silence.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from convkit.conformance.cases import Case
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import NotApplicable

HANG_SECONDS = 20.0
FORK_SECONDS = 15.0
"""Less, so that the hang of a grandchild is noticed by its parent and not by its grandparent."""
A_HANG = "(a hang)"
"""Ends what is said of one, wherever it was noticed."""
CRASHES = ("crashed with ", "ended the process", "ended that process")
"""One of these is in what is said of a crash, wherever it was noticed."""
PERTURB = 0x80
"""glibc fills what malloc returns with the complement of this byte: floats around 3e38."""

_M_PERTURB = -6
_PROT_NONE = 0


def perturb_allocations() -> bool:
    """Have malloc fill what it returns, from now on; False where the C library cannot.

    Backends with memory of their own are asked for the same by ``CONVKIT_POISON``.
    """
    os.environ["CONVKIT_POISON"] = "1"
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_PERTURB, PERTURB))
    except (OSError, AttributeError, TypeError):
        return False


def poison(case: Case) -> None:
    """Fill with NaN and free memory of the sizes that the case's results will ask for."""
    shapes = [case.out_shape, *(s for s in case.shapes.values() if s is not None)]
    held = [np.full(s, np.nan, case.dtype) for s in shapes for _ in range(4)]
    del held


def fence(a: FloatArray, end: str) -> FloatArray:
    """Return a copy of ``a`` whose ``end`` ("first" or "last") byte borders a forbidden page."""
    page = mmap.PAGESIZE
    room = max(1, -(-a.nbytes // page)) * page
    region = mmap.mmap(-1, room + 2 * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(region))
    offset = page if end == "first" else page + room - a.nbytes
    fenced: FloatArray = np.frombuffer(region, a.dtype, a.size, offset).reshape(a.shape)
    fenced[...] = a
    try:
        protect = ctypes.CDLL(None, use_errno=True).mprotect
    except (OSError, AttributeError, TypeError) as error:
        raise NotApplicable(f"this platform has no mprotect ({error})") from error
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for fence_at in (base, base + page + room):
        if protect(fence_at, page, _PROT_NONE):
            raise NotApplicable(f"mprotect failed: {os.strerror(ctypes.get_errno())}")
    return fenced


def in_fork(work: Callable[[], Any], seconds: float = FORK_SECONDS) -> str:
    """Run ``work`` in the child of a fork; return what went wrong there, empty where nothing."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _child(work, write)
    os.close(write)
    said, done = _listen(read, child, seconds)
    os.close(read)
    if said is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return f"no answer within {seconds:g} s {A_HANG}"
    status = done if done is not None else os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return f"crashed with {signal.Signals(os.WTERMSIG(status)).name}"
    return said


def _child(work: Callable[[], Any], write: int) -> None:
    faulthandler.disable()
    text = ""
    try:
        work()
    except BaseException as error:
        text = f"{type(error).__name__}: {error}"
    try:
        os.write(write, text.encode()[:60_000])
        sys.stdout.flush()
    finally:
        os._exit(0)


def _listen(read: int, child: int, seconds: float) -> tuple[str | None, int | None]:
    """Return what the child wrote before it closed its pipe; None where it did not in time."""
    chunks: list[bytes] = []
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([read], [], [], left)[0]:
            chunk = os.read(read, 65_536)
            if not chunk:
                return b"".join(chunks).decode(errors="replace"), None
            chunks.append(chunk)
    return None, None
