"""Time every kernel that computes a benchmark problem against the one that the table chooses.

    python tools/kernel_choice.py [ISA ...]        default: the instruction set in use

One thread, at most two images, the minimum of interleaved rounds. Prints, for each operation, how
often the chosen kernel is the fastest, and the problems on which another one is. Run it on a quiet
machine; docs/kernels.md, "Cost models", shows a run.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import convkit_cython
import numpy as np
from convkit_cython import _kernels

from convkit.bench.problems import SETS, SHAPES
from convkit.spec import ConvSpec

OPERATIONS = ("conv_forward", "conv_dx", "conv_dw")
MOST_PRODUCTS = 6e8  # larger problems say nothing more about the choice
SAMPLE_NS, TOTAL_NS = 40_000, 80_000_000


@dataclass(frozen=True)
class Timing:
    """One operation on one problem: the chosen kernel, and the time of each."""

    operation: str
    problem: str
    chosen: str
    times: dict[str, float]

    @property
    def loss(self) -> float:
        """The chosen kernel's time over the fastest one's."""
        return self.times[self.chosen] / min(self.times.values())


def specs() -> Iterator[tuple[str, ConvSpec]]:
    """The convolutions of all benchmark sets, in both dtypes."""
    for name in dict.fromkeys(name for names in SETS.values() for name in names):
        problem = SHAPES[name]
        if problem.kind != "conv":
            continue
        x_shape = (min(problem.x_shape[0], 2), *problem.x_shape[1:])
        kernel = [problem.kernel] * (len(x_shape) - 2)
        w_shape = (problem.filters, x_shape[1] // problem.groups, *kernel)
        for dtype in ("f4", "f8"):
            sizes = {"stride": problem.stride, "pad": problem.pad, "groups": problem.groups}
            spec = ConvSpec.of(x_shape, w_shape, dtype=dtype, **sizes)
            if math.prod(spec.out_shape) * math.prod(w_shape[1:]) <= MOST_PRODUCTS:
                yield f"{name} {dtype}", spec


def calls(spec: ConvSpec, operation: str, names: list[str]) -> dict[str, Callable[[], Any]]:
    """A call of each kernel, on the same arrays."""
    rng = np.random.default_rng(0)
    x, w, dout = (
        rng.standard_normal(s).astype(spec.dtype)
        for s in (spec.x_shape, spec.w_shape, spec.out_shape)
    )
    out, dx, dw = (np.empty_like(array) for array in (dout, x, w))

    def call(name: str) -> Callable[[], Any]:
        plan = _kernels.ConvPlan(spec, *(name if o == operation else "direct" for o in OPERATIONS))
        return {
            "conv_forward": lambda: plan.forward(x, w, None, out),
            "conv_dx": lambda: plan.backward_x(dout, w, dx),
            "conv_dw": lambda: plan.backward_w(dout, x, dw, None),
        }[operation]

    return {name: call(name) for name in names}


def timed(run: Callable[[], Any], count: int) -> float:
    begin = time.perf_counter_ns()
    for _ in range(count):
        run()
    return (time.perf_counter_ns() - begin) / count


def compare(problem: str, spec: ConvSpec, operation: str) -> Timing | None:
    """Time all kernels of one kind, in turn; None if there is only one."""
    depthwise = spec.groups > 1
    names = [
        kernel.name
        for kernel in convkit_cython.candidates(operation, spec)
        if kernel.name != "direct" and kernel.name.startswith("depthwise") == depthwise
    ]
    if len(names) < 2:
        return None
    runs = calls(spec, operation, names)
    once = max(timed(run, 1) for run in runs.values())
    once = max(timed(run, 1) for run in runs.values())
    count = max(1, int(SAMPLE_NS / once))
    times = dict.fromkeys(names, math.inf)
    for _ in range(int(max(15, min(80, TOTAL_NS / (once * count))))):
        for name, run in runs.items():
            times[name] = min(times[name], timed(run, count))
    return Timing(operation, problem, names[0], times)


def report(isa: str) -> None:
    """Print the comparison on one instruction set."""
    _kernels.set_isa(isa)
    found = [compare(name, spec, o) for name, spec in specs() for o in OPERATIONS]
    for operation in OPERATIONS:
        timings = [t for t in found if t is not None and t.operation == operation]
        mean = math.exp(sum(math.log(t.loss) for t in timings) / len(timings))
        close = [sum(t.loss <= limit for t in timings) for limit in (1.03, 1.1)]
        print(
            f"{isa} {operation}: of {len(timings)}, {close[0]} within 3 % of the fastest, "
            f"{close[1]} within 10 %; {mean:.3f} x its time in the geometric mean"
        )
        for t in sorted(timings, key=lambda t: -t.loss):
            if t.loss > 1.03:
                best = min(t.times, key=t.times.__getitem__)
                print(f"    {t.problem}: {t.chosen} takes {t.loss:.2f} x the time of {best}")


if __name__ == "__main__":
    _kernels.set_num_threads(1)
    for argument in sys.argv[1:] or [_kernels.active_isa()]:
        report(argument)
