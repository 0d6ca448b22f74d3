"""The machine and its limits: peak arithmetic and copy bandwidth, to express figures as shares.

The peak is a loop of multiply-adds in registers on all threads, which the compiled backend has.
Without that backend a NumPy matrix product replaces it, and the table says so.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from convkit import registry
from convkit.errors import ConvkitError
from convkit.version import DISTRIBUTION

_PEAK_ROUNDS = 20_000
_PEAK_SECONDS = 0.005
_MATRIX = 768


def cpu_name() -> str:
    """The processor as the system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_flags() -> set[str]:
    """Every feature of the CPU that the system lists; empty where it lists none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    pairs = (line.partition(":") for line in lines)
    return {
        flag for key, _, value in pairs if key.strip() in ("flags", "Features")
        for flag in value.split()
    }  # fmt: skip


def vector_sets() -> str:
    """The vector instruction sets of the CPU, as far as the system lists them."""
    flags = cpu_flags()
    found = [name for name in ("sse2", "avx2", "fma", "avx512f", "asimd", "sve") if name in flags]
    return ", ".join(found) or platform.machine()


def versions(names: tuple[str, ...] = (DISTRIBUTION, "numpy", "torch")) -> dict[str, str]:
    """Versions of what took part, where installed."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe() -> dict[str, Any]:
    """CPU, system, versions and date, for the head of a table."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "vectors": vector_sets(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


class Yardsticks:
    """One sample of peak, matrix product and copy at a time, taken between timed calls."""

    def __init__(self) -> None:
        self._loop: Callable[[Any, int], float] | None = None
        self._copy: Callable[[Any, Any], None] = np.copyto
        try:
            backend = registry.load("cython").backend
        except ConvkitError:
            return
        self._loop = getattr(backend, "multiply_adds", None)
        self._copy = getattr(backend, "copy", np.copyto)

    @property
    def source(self) -> str:
        """What the peak comes from."""
        return "multiply-add loop in registers" if self._loop else "NumPy matrix product"

    def peak(self, dtype: Any) -> float:
        """Operations per second of one sample of a few milliseconds.

        The first rounds do not count: sleeping threads wake up in them, and the clock rises.
        """
        if self._loop is None:
            return self.matmul(dtype)
        self._loop(dtype, _PEAK_ROUNDS)
        operations = seconds = 0.0
        while seconds < _PEAK_SECONDS:
            start = perf_counter()
            operations += self._loop(dtype, _PEAK_ROUNDS)
            seconds += perf_counter() - start
        return operations / seconds

    def matmul(self, dtype: Any) -> float:
        """Operations per second of a NumPy matrix product."""
        a = np.ones((_MATRIX, _MATRIX), dtype)
        start = perf_counter()
        a @ a
        return 2 * _MATRIX**3 / (perf_counter() - start)

    def copier(self, traffic: float) -> Callable[[], float]:
        """A call that copies so that ``traffic`` bytes move, and returns bytes per second."""
        source = np.ones(max(1, int(traffic) // 2), np.uint8)
        to = np.empty_like(source)
        repeats = max(1, int(2e7 // (2 * source.nbytes)))

        def sample() -> float:
            self._copy(to, source)
            start = perf_counter()
            for _ in range(repeats):
                self._copy(to, source)
            return repeats * 2 * source.nbytes / (perf_counter() - start)

        return sample


def usable_cpus() -> set[int]:
    """The CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Let NumPy's BLAS use ``count`` threads meanwhile, where threadpoolctl is installed."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(limits=count, user_api="blas"):
        yield
