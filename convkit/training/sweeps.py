"""Hyper-parameter sweeps: the same training with one setting changed each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from convkit.errors import ParameterError
from convkit.training.history import History
from convkit.training.optim import UPDATE_RULES
from convkit.training.solver import Solver

__all__ = ["LEARNING_RATES", "REGS", "RULES", "SWEEPS", "SweepResult", "run_sweep", "sweep"]

LEARNING_RATES = (5e-2, 5e-3, 3e-3, 1e-3, 1e-4, 1e-5)
REGS = (0.5, 0.05, 0.005, 0.0005)
RULES = tuple(UPDATE_RULES)
SWEEPS: dict[str, tuple[Any, ...]] = {
    "learning_rate": LEARNING_RATES,
    "reg": REGS,
    "update_rule": RULES,
}


@dataclass(frozen=True)
class SweepResult:
    """One value's run; ``stopped`` as in the solver."""

    label: str
    value: Any
    history: History
    best_val_acc: float
    seconds: float
    stopped: str | None


def sweep(make_solver: Callable[[Any], Solver], values: Iterable[Any]) -> Iterator[SweepResult]:
    """Train ``make_solver(value)`` for every value in turn; yield each result once it is known.

    For a fair comparison ``make_solver`` gives every solver and model the same seeds.
    """
    for value in values:
        solver = make_solver(value)
        start = time.perf_counter()
        solver.train()
        yield SweepResult(
            label=f"{value:g}" if isinstance(value, float) else str(value),
            value=value,
            history=solver.history,
            best_val_acc=solver.best_val_acc,
            seconds=time.perf_counter() - start,
            stopped=solver.stopped,
        )


def run_sweep(
    parameter: str, make_solver: Callable[..., Solver], values: Iterable[Any] | None = None
) -> Iterator[SweepResult]:
    """Sweep over one of ``SWEEPS``: ``make_solver(learning_rate=0.05)`` and so on.

    ``values`` replaces the parameter's usual ones.
    """
    if parameter not in SWEEPS:
        raise ParameterError(f"parameter={parameter!r} must be one of {', '.join(SWEEPS)}")
    chosen = SWEEPS[parameter] if values is None else values
    return sweep(lambda value: make_solver(**{parameter: value}), chosen)
