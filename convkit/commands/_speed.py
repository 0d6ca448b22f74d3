"""What each backend is worth on one problem: timed in turn, as multiples of a reference.

Only ratios are meant to be compared: within a round every backend works on the same arrays, one
after the other, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import convkit
from convkit.errors import ConvkitError
from convkit.spec import ConvSpec, Pad, PoolSpec

Array: TypeAlias = npt.NDArray[np.floating[Any]]

#: A call is repeated within a round until it has taken this long, so that the clock's grain and
#: the cost of a call do not count.
MIN_SECONDS = 0.005


@dataclass
class Timing:
    """Seconds per call in each round, and the last call's results by name (out, dx, dw, db)."""

    seconds: list[float] = field(default_factory=list)
    results: dict[str, Array] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Median seconds per call over the rounds."""
        return median(self.seconds)


@dataclass(frozen=True)
class ConvProblem:
    """Arrays of one convolution and what a call of each direction needs."""

    x: Array
    w: Array
    b: Array
    dout: Array
    stride: int
    pad: Pad
    name: str = "conv"

    @classmethod
    def random(
        cls,
        x_shape: tuple[int, ...],
        w_shape: tuple[int, ...],
        *,
        stride: int,
        pad: Pad,
        dtype: str,
    ) -> ConvProblem:
        """Normally distributed arrays, the same ones every time."""
        rng = np.random.default_rng(0)
        out_shape = ConvSpec.of(
            x_shape,
            w_shape,
            stride=stride,
            pad=pad,
            dtype=np.dtype(dtype),
        ).out_shape
        x, w, b, dout = (
            rng.standard_normal(shape).astype(dtype)
            for shape in (x_shape, w_shape, w_shape[:1], out_shape)
        )
        return cls(x, w, b, dout, stride, pad)

    def first_image(self) -> ConvProblem:
        """The same problem on one image."""
        return replace(self, x=self.x[:1], dout=self.dout[:1])

    def forward(self, backend: str) -> tuple[dict[str, Array], Any]:
        """Results by name, and the cache."""
        out, cache = convkit.conv_forward(
            self.x, self.w, self.b, stride=self.stride, pad=self.pad, backend=backend
        )
        return {"out": out}, cache

    def backward(self, cache: Any) -> dict[str, Array]:
        """Gradients by name."""
        gradients = zip(("dx", "dw", "db"), convkit.conv_backward(self.dout, cache), strict=True)
        return {name: value for name, value in gradients if value is not None}


@dataclass(frozen=True)
class PoolProblem:
    """Arrays of one max pooling."""

    x: Array
    dout: Array
    kernel: int
    name: str = "pool"

    @classmethod
    def random(cls, x_shape: tuple[int, ...], *, kernel: int, dtype: str) -> PoolProblem:
        """Normally distributed arrays, the same ones every time."""
        rng = np.random.default_rng(0)
        spec = PoolSpec.of(x_shape, kind="max", kernel=kernel, dtype=np.dtype(dtype))
        x, dout = (rng.standard_normal(s).astype(dtype) for s in (x_shape, spec.out_shape))
        return cls(x, dout, kernel)

    def first_image(self) -> PoolProblem:
        """The same problem on one image."""
        return replace(self, x=self.x[:1], dout=self.dout[:1])

    def forward(self, backend: str) -> tuple[dict[str, Array], Any]:
        """Results by name, and the cache."""
        out, cache = convkit.max_pool_forward(self.x, kernel=self.kernel, backend=backend)
        return {"out": out}, cache

    def backward(self, cache: Any) -> dict[str, Array]:
        """Gradients by name."""
        return {"dx": convkit.max_pool_backward(self.dout, cache)}


Problem: TypeAlias = ConvProblem | PoolProblem
Timings: TypeAlias = dict[str, dict[str, Timing]]


def _seconds_per_call(call: Callable[[], Any]) -> tuple[float, Any]:
    calls = 0
    start = time.perf_counter()
    while True:
        result = call()
        calls += 1
        spent = time.perf_counter() - start
        if spent >= MIN_SECONDS:
            return spent / calls, result


def measure(problem: Problem, backends: Sequence[str], rounds: int) -> Timings:
    """``{"forward" | "backward": {backend: Timing}}`` of every backend that can do the problem.

    A backend that cannot is left out.  Whoever comes first in a round pays for a cold cache, so
    the order turns from round to round.
    """
    able = [name for name in backends if _can(problem, name)]
    timings: Timings = {way: {name: Timing() for name in able} for way in ("forward", "backward")}
    for number in range(rounds):
        for name in able[number % len(able) :] + able[: number % len(able)]:
            seconds, (results, cache) = _seconds_per_call(partial(problem.forward, name))
            timings["forward"][name].seconds.append(seconds)
            timings["forward"][name].results = results
            seconds, results = _seconds_per_call(partial(problem.backward, cache))
            timings["backward"][name].seconds.append(seconds)
            timings["backward"][name].results = results
    return timings


def _can(problem: Problem, backend: str) -> bool:
    """Whether the backend solves the problem; one image is its warm-up."""
    small = problem.first_image()
    try:
        _, cache = small.forward(backend)
        small.backward(cache)
    except ConvkitError:
        return False
    return True


def speedup_rows(
    problems: Sequence[Problem], backends: Sequence[str], rounds: int
) -> list[dict[str, Any]]:
    """One row per backend and operation: backend, operation, seconds, speedup over ``naive``."""
    rows = []
    for problem in problems:
        for way, timings in measure(problem, backends, rounds).items():
            base = timings["naive"].median if "naive" in timings else float("nan")
            rows += [
                {
                    "backend": name,
                    "operation": f"{problem.name} {way}",
                    "seconds": timing.median,
                    "speedup": base / timing.median,
                }
                for name, timing in timings.items()
            ]
    return rows
