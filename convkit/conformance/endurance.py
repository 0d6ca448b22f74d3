"""The check of very many calls: what a long program meets and a short test does not.

One tiny problem per operation, called again and again in one process, with every result compared:
a counter that overflows, memory that is never given back, threads that are never ended. How the
time of a call develops is a remark and never a failure.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convkit.conformance.cases import Case, case
from convkit.conformance.checks import check, check_results
from convkit.conformance.data import inputs
from convkit.conformance.entries import ENTRIES
from convkit.conformance.recorder import Recorded
from convkit.conformance.subject import Failed, NotApplicable, Subject

CALLS = 40_000
"""More than 2**15, where a counter of 16 bits overflows."""
SECONDS = {"quick": 2, "default": 15, "full": 120}
"""What one operation may take at each level; a slow backend is asked fewer calls, and told so."""
PART = 3_000
"""Calls between two looks at the clock, at memory and at threads."""
LEAST_PART = 10
LOOKS = 14
"""How many looks a slow backend's seconds have to be enough for."""
GROWING = 6
"""In so many parts in a row memory has to grow, so that a pool that fills once does not count."""
BYTES_PER_CALL = 24
"""Less than the smallest object or allocation that a call may leave behind."""
LEAST_GROWTH = 1 << 18
MORE_THREADS = 32
"""Beyond one for each core: a pool of threads may still be filling when the calls begin."""
MORE_FILES = 50
"""A backend may open some files once and keep them."""
SLOWER = 2.0


def _tiny(op: str, level: str, seed: int) -> Iterator[Case]:
    limits = {"calls": CALLS, "seconds": SECONDS[level]}
    found = [case(op, "many calls", extra=limits, **g) for _, g in ENTRIES[op].structured]
    yield min(found, key=lambda c: c.work)


@dataclass
class _Watch:
    """What is noted every so many calls."""

    resident: list[int] = field(default_factory=list)
    allocated: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Per call, by the process's own time."""
    calls: list[int] = field(default_factory=list)

    def note(self, calls: int, seconds: float) -> None:
        """Look at memory, threads and files."""
        gc.collect()
        self.calls.append(calls)
        self.seconds.append(seconds / calls)
        self.resident.append(_resident())
        self.allocated.append(_allocated())
        self.threads.append(_threads())
        self.files.append(_files())

    def check_growth(self) -> None:
        """Raise Failed where memory, threads or open files grow with the calls."""
        more = self.threads[-1] - self.threads[0]
        if more > MORE_THREADS + (os.cpu_count() or 1):
            raise Failed(f"{more} more threads run after {sum(self.calls[1:])} more calls")
        more = self.files[-1] - self.files[0]
        if more > MORE_FILES:
            raise Failed(f"{more} more files are open after {sum(self.calls[1:])} more calls")
        if len(self.calls) > GROWING:
            self._check_memory(self.allocated)
            self._check_memory(self.resident)

    def _check_memory(self, noted: list[int]) -> None:
        grown = [b - a for a, b in itertools.pairwise(noted[-GROWING - 1 :])]
        calls = self.calls[-GROWING:]
        steady = all(g > BYTES_PER_CALL * n for g, n in zip(grown, calls, strict=True))
        if steady and sum(grown) > LEAST_GROWTH:
            raise Failed(
                f"memory grows by about {sum(grown) // sum(calls)} bytes per call, "
                f"{sum(grown) / 2**20:.1f} MiB in {sum(calls)} calls"
            )

    def remark(self) -> str:
        """Say whether calls became slower; empty where they did not, or were too few to tell."""
        if len(self.seconds) < 2 * GROWING:
            return ""
        early, late = min(self.seconds[:GROWING]), min(self.seconds[-GROWING:])
        if late < SLOWER * early:
            return ""
        return f"a call takes {late / early:.1f} times as long at the end as in the beginning"


@check("many-calls", _tiny, seconds=180.0)
def many_calls(subject: Subject, case: Case) -> str:
    """The 40,000th call is right; memory, threads and open files do not grow with the calls.

    What convkit calls for one problem is called again, without convkit in between. Returns what is
    no failure: that there was no time for so many calls, or that they get slower.
    """
    if not subject.has(case.operation.method("forward")):
        raise NotApplicable("convkit composes it of methods that are called for other operations")
    plain = Case(case.op, case.geometry, case.dtype, case.data, case.seed)
    first, calls = subject.recorded(plain, inputs(plain).copies())
    check_results(subject, plain, first)
    with _few_to_collect():
        return _repeat(_Again(calls), case.get("calls"), case.get("seconds"))


def _repeat(again: _Again, most: int, seconds: float) -> str:
    """Make calls until there were enough, or the seconds are spent; return the remarks."""
    until = time.process_time() + seconds
    watch, done, part = _Watch(), 1, LEAST_PART
    while done < most and time.process_time() < until:
        began = time.process_time()
        for number in range(part):
            again.call(done + number + 1)
        watch.note(part, time.process_time() - began)
        watch.check_growth()
        done += part
        part = _part(watch.seconds[-1], seconds)
    short = f"{done} of {most} calls of each function in the {seconds} s" if done < most else ""
    return "; ".join(remark for remark in (short, watch.remark()) if remark)


@contextmanager
def _few_to_collect() -> Iterator[None]:
    """Spare the garbage collector, which every look asks, all that was there before."""
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Again:
    """Calls that were recorded, made again with the same arguments.

    A backward gets what its forward saved this time.
    """

    def __init__(self, calls: Sequence[Recorded]) -> None:
        self._calls: list[tuple[Recorded, int | None, int, dict[str, bytes]]] = []
        for number, one in enumerate(calls):
            place, source = one.saved, -1
            if place is not None:
                source = next(
                    i for i in reversed(range(number))
                    if calls[i].name == one.operation.method("forward")
                    and calls[i].result[1] is one.args[place]
                )  # fmt: skip
            wanted = {name: value.tobytes() for name, value in one.arrays(one.result).items()}
            self._calls.append((one, place, source, wanted))

    def call(self, number: int) -> None:
        """Make the calls once more. Raises Failed where a result differs from the first one."""
        results: list[Any] = []
        for one, place, source, wanted in self._calls:
            args = one.args
            if place is not None:
                args = (*args[:place], results[source][1], *args[place + 1 :])
            result = one.method(*args)
            results.append(result)
            for name, value in one.arrays(result).items():
                if value.tobytes() != wanted[name]:
                    raise Failed(f"call {number}: {name} differs from the first call's")


def _part(per_call: float, budget: float) -> int:
    """Return how many calls to make until the next look: fewer where a call takes long."""
    return max(LEAST_PART, min(PART, int(budget / LOOKS / max(per_call, 1e-9))))


def _resident() -> int:
    """Return the bytes of memory that the process occupies; 0 where that is not to be known.

    Sees what `_allocated` cannot: memory that a library maps for itself.
    """
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of <malloc.h>: hblkhd is what is mapped, uordblks what is in use."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


PYTHON_BLOCK = 32
"""Bytes that a small object of Python takes at least, its header included."""


def _allocated() -> int:
    """Return the bytes that C's and Python's allocators have given out; less where unknown.

    A program that has run for a while has room on its heap, where a leak can go on for long
    before the process occupies more: so what is in use is asked as well.
    """
    info = _mallinfo()()
    blocks = sys.getallocatedblocks() if hasattr(sys, "getallocatedblocks") else 0
    return int(info.uordblks + info.hblkhd) + PYTHON_BLOCK * blocks


@functools.cache
def _mallinfo() -> Callable[[], _MallInfo]:
    try:
        function = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError, TypeError):  # no glibc 2.33 or newer
        return _MallInfo
    function.restype = _MallInfo
    function.argtypes = ()
    return function


def _threads() -> int:
    """Return how many threads the process has, Python's own or not."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def _files() -> int:
    """Return how many descriptors the process has open; 0 where that is not to be known."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
