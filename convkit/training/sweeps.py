"""Hyper-parameter sweeps: the same training with one setting, or several, changed each time."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convkit.errors import ParameterError
from convkit.training.checks import check_at_least
from convkit.training.history import History
from convkit.training.optim import UPDATE_RULES
from convkit.training.solver import Solver

__all__ = [
    "LEARNING_RATES",
    "REGS",
    "RULES",
    "SWEEPS",
    "Range",
    "SweepResult",
    "combinations",
    "label_of",
    "run_sweep",
    "sweep",
    "trained",
]

LEARNING_RATES = (5e-2, 5e-3, 3e-3, 1e-3, 1e-4, 1e-5)
REGS = (0.5, 0.05, 0.005, 0.0005)
RULES = tuple(UPDATE_RULES)
SWEEPS: dict[str, tuple[Any, ...]] = {
    "learning_rate": LEARNING_RATES,
    "reg": REGS,
    "update_rule": RULES,
}


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both above 0, drawn evenly in their logarithms.

    With ``integer`` they are rounded.
    """

    low: float
    high: float
    integer: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < math.inf:
            raise ParameterError(
                f"a range (={self.low:g}..{self.high:g}) must be of finite numbers above 0, the "
                "smaller one first"
            )

    def draw(self, rng: np.random.Generator) -> float:
        """Return one number of the range."""
        number = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return round(number) if self.integer else float(f"{number:.3g}")


@dataclass(frozen=True)
class SweepResult:
    """One value's run; ``stopped`` as in the solver, ``weights`` its best arrays by name.

    Of a sweep over several parameters ``value`` is a dictionary.
    """

    label: str
    value: Any
    history: History
    best_val_acc: float
    seconds: float
    stopped: str | None
    weights: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def label_of(value: Any) -> str:
    """Return a value as text; several, by parameter, as ``learning-rate 0.1, reg 0.5``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', '-')} {label_of(v)}" for key, v in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def sweep(make_solver: Callable[[Any], Solver], values: Iterable[Any]) -> Iterator[SweepResult]:
    """Train ``make_solver(value)`` for every value in turn; yield each result once it is known.

    For a fair comparison ``make_solver`` gives every solver and model the same seeds.
    """
    for value in values:
        yield trained(make_solver(value), value)


def trained(solver: Solver, value: Any) -> SweepResult:
    """Train the solver that a value gave, and return its result."""
    start = time.perf_counter()
    solver.train()
    return SweepResult(
        label=label_of(value),
        value=value,
        history=solver.history,
        best_val_acc=solver.best_val_acc,
        seconds=time.perf_counter() - start,
        stopped=solver.stopped,
        weights=solver.best_params | solver.best_buffers,
    )


def run_sweep(
    parameter: str, make_solver: Callable[..., Solver], values: Iterable[Any] | None = None
) -> Iterator[SweepResult]:
    """Sweep over a parameter: ``make_solver(learning_rate=0.05)`` and so on.

    ``values`` are needed unless it is one of ``SWEEPS``, whose usual ones they replace.
    """
    if values is None and parameter not in SWEEPS:
        raise ParameterError(
            f"parameter={parameter!r} must be one of {', '.join(SWEEPS)}, or come with values"
        )
    chosen = SWEEPS[parameter] if values is None else values
    return sweep(lambda value: make_solver(**{parameter: value}), chosen)


def combinations(
    axes: Mapping[str, Sequence[Any] | Range],
    count: int | None = None,
    rng: int | np.random.Generator | None = 0,
) -> list[dict[str, Any]]:
    """Return the settings of a sweep over several parameters: the whole grid of their values.

    With ``count``, so many at random: a value of each (Bergstra & Bengio, 2012), no settings twice
    where there are others. A Range needs a count.
    """
    ranges = [name for name, values in axes.items() if isinstance(values, Range)]
    if count is None:
        if ranges:
            raise ParameterError(
                f"{ranges[0]}: a range has no grid; say how many values to draw at random"
            )
        lists = [list(values) for values in axes.values() if not isinstance(values, Range)]
        return [dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*lists)]
    check_at_least(1, count=count)
    generator = np.random.default_rng(rng)
    found: list[dict[str, Any]] = []
    for _ in range(100 * count):
        drawn = {
            name: v.draw(generator) if isinstance(v, Range) else v[int(generator.integers(len(v)))]
            for name, v in axes.items()
        }
        if drawn not in found:
            found.append(drawn)
        if len(found) == count:
            break
    return found
