"""What a call has to leave as it was found: reading it, comparing it, and putting it back.

The floating-point mode is read and written through glibc, so that this is for Linux alone.
"""

from __future__ import annotations

import ctypes
import gc
import locale
import os
import platform
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from functools import cache

import numpy as np

from conformance_mutants.fresh.witness import compute

X86 = platform.machine() in ("x86_64", "AMD64")


@cache
def libm():
    """The C library, whose fenv.h functions reach the control word."""
    return ctypes.CDLL(None)


class FloatMode:
    """This thread's floating-point control word: MXCSR (x86) or FPCR (Arm), through glibc."""

    offset, flush, zero, round_up = (
        (28, 0x8000, 0x0040, 0x4000) if X86 else (0, 1 << 24, 1 << 24, 1 << 22)
    )

    @classmethod
    def _environment(cls):
        space = (ctypes.c_uint32 * 16)()
        libm().fegetenv(space)
        return space

    @classmethod
    def read(cls):
        return cls._environment()[cls.offset // 4] & ~0x3F  # without the sticky exception flags

    @classmethod
    def write(cls, value):
        space = cls._environment()
        space[cls.offset // 4] = value
        libm().fesetenv(space)

    @classmethod
    def add(cls, bits):
        cls.write(cls.read() | bits)


def surroundings():
    """What a call has to leave as it was found, as values that can be compared."""
    return [
        FloatMode.read(),
        sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        [repr(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGFPE, signal.SIGUSR1)],
        locale.setlocale(locale.LC_ALL),
        repr(sorted(os.environ.items())),
        os.getcwd(),
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        threading.active_count(),
        repr(np.geterr()),
        repr(np.random.get_state()[1].tobytes()),
        len(warnings.filters),
        gc.isenabled(),
        sys.getswitchinterval(),
        sys.getrecursionlimit(),
        len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
    ]


@contextmanager
def put_back():
    """Put back afterwards what mutants here change, so that no other test meets it."""
    mode, mask = FloatMode.read(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGUSR1)}
    names, environ, folder = locale.setlocale(locale.LC_ALL), dict(os.environ), os.getcwd()
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    numpy, random = np.geterr(), np.random.get_state()
    filters, interval = list(warnings.filters), sys.getswitchinterval()
    try:
        yield
    finally:
        FloatMode.write(mode)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        locale.setlocale(locale.LC_ALL, names)
        if dict(os.environ) != environ:
            os.environ.clear()
            os.environ.update(environ)
        os.chdir(folder)
        if affinity is not None:
            os.sched_setaffinity(0, affinity)
        np.seterr(**numpy)
        np.random.set_state(random)
        warnings.filters[:] = filters
        gc.enable()
        sys.setswitchinterval(interval)


def left_by(path, *specs, threads=None, calls=1):
    """A scene: whether each of the surroundings is as it was before the calls."""

    def look(backend):
        with put_back():
            if threads:
                backend.set_num_threads(threads)
            before = surroundings()
            for _ in range(calls):
                compute(backend, path, *specs)
            return [a == b for a, b in zip(before, surroundings(), strict=True)]

    return look
