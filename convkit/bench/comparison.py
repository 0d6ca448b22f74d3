"""Backends against a reference on one problem, alternately: ``convkit compare`` and ``train``.

Only ratios are meant to be compared. Within a round every backend works on the same arrays, one
after the other, so that a slow phase of the machine affects all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeAlias

from convkit.bench.problems import Arrays, Problem, arrays
from convkit.bench.subjects import backward_call, forward_call
from convkit.bench.timing import rotated, seconds_per_call
from convkit.errors import ConvkitError
from convkit.gradcheck import rel_error

REFERENCE = "naive"


@dataclass
class Timing:
    """Seconds per call in each round, and the results by name (out, dx, dw, db)."""

    seconds: list[float] = field(default_factory=list)
    results: Arrays = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Median seconds per call over the rounds."""
        return median(self.seconds)


Timings: TypeAlias = dict[str, dict[str, Timing]]


class _Calls:
    """The calls of one backend on one problem; each keeps its last results."""

    def __init__(self, problem: Problem, data: Arrays, backend: str) -> None:
        self.problem, self.dout = problem, data["dout"]
        self.results: dict[str, Arrays] = {}
        self._forward = forward_call(problem, data, backend)
        self._cache: Any = None

    def forward(self) -> None:
        out, self._cache = self._forward()
        self.results["forward"] = {"out": out}

    def backward(self) -> None:
        every = self.problem.gradients("backward")
        self.results["backward"] = backward_call(self.problem, self.dout, self._cache, every)()


def measure(problem: Problem, backends: Sequence[str], dtype: str, rounds: int) -> Timings:
    """``{"forward" | "backward": {backend: Timing}}`` of every backend that solves the problem."""
    able = [name for name in backends if _warm_up(problem, name, dtype)]
    data = arrays(problem, dtype)
    calls = {name: _Calls(problem, data, name) for name in able}
    timings: Timings = {d: {name: Timing() for name in able} for d in ("forward", "backward")}
    for number in range(rounds):
        for name in rotated(able, number):
            for direction, by_name in timings.items():
                call = getattr(calls[name], direction)
                by_name[name].seconds.append(seconds_per_call(call, warm=True))
                by_name[name].results = calls[name].results[direction]
    return timings


def _warm_up(problem: Problem, backend: str, dtype: str) -> bool:
    """Make both calls on one image; return whether the backend solves the problem."""
    small = problem.with_(x_shape=(1, *problem.x_shape[1:]))
    calls = _Calls(small, arrays(small, dtype), backend)
    try:
        calls.forward()
        calls.backward()
    except ConvkitError:
        return False
    return True


def times(factor: float) -> str:
    """Return a speed as a multiple with three digits, never as a power of ten: ``2,820x``."""
    if not math.isfinite(factor):
        return f"{factor}x"
    rounded = float(f"{factor:.3g}")
    return f"{rounded:,.0f}x" if rounded >= 100 else f"{rounded:g}x"


def speedup_rows(
    problems: Sequence[Problem], backends: Sequence[str], dtype: str, rounds: int
) -> list[dict[str, Any]]:
    """One row per backend and operation: backend, operation, seconds, speedup over REFERENCE."""
    rows = []
    for problem in problems:
        for direction, timings in measure(problem, backends, dtype, rounds).items():
            base = timings[REFERENCE].median if REFERENCE in timings else float("nan")
            rows += [
                {
                    "backend": name,
                    "operation": f"{problem.name} {direction}",
                    "seconds": timing.median,
                    "speedup": base / timing.median,
                }
                for name, timing in timings.items()
            ]
    return rows


# --- the course's workloads -----------------------------------------------------------------

WORKLOADS = ("conv", "pool")


def course_problem(workload: str, images: int) -> Problem:
    """Return the ``conv`` or ``pool`` problem of the course's notebook, with ``images`` images."""
    if workload == "conv":
        return Problem("conv", "conv", (images, 3, 31, 31), 25, kernel=3, stride=2, pad=1)
    return Problem("pool", "max", (images, 3, 32, 32), 3, kernel=2, stride=2, pad=0)


def comparison_row(
    workload: str, direction: str, reference: tuple[str, Timing], other: tuple[str, Timing]
) -> dict[str, Any]:
    """Return times, speedup and the course's relative errors of a backend and its reference.

    Each is given as its name and its timing.
    """
    (slow_name, slow), (fast_name, fast) = reference, other
    return {
        "workload": workload,
        "direction": direction,
        "reference": slow_name,
        "backend": fast_name,
        "reference_seconds": slow.median,
        "seconds": fast.median,
        "speedup": slow.median / fast.median,
        "difference": {
            key: rel_error(slow.results[key], fast.results[key]) for key in slow.results
        },
    }
