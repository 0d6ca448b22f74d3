"""Schedules: what the learning rate is multiplied by in each iteration of a run.

A schedule is any function ``(step, steps) -> factor`` of the iteration, counted from 0, and the
number of all. One that moves the momentum too has a method ``momentum(step, steps)``. None has
state, so a run that is taken up again meets the numbers that it would have met.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from convkit.errors import ParameterError

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "OneCycle",
    "Schedule",
    "Step",
    "check_warm_up",
    "make_schedule",
]

Schedule: TypeAlias = Callable[[int, int], float]


@dataclass(frozen=True)
class Constant:
    """The same factor, 1, after a linear warm-up from 1 / (warm_up + 1) in ``warm_up`` steps."""

    warm_up: int = 0

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor in iteration ``step`` of ``steps``."""
        if step < self.warm_up:
            return (step + 1) / (self.warm_up + 1)
        return self.after((step - self.warm_up) / max(steps - self.warm_up, 1))

    def after(self, share: float) -> float:
        """Return the factor once ``share``, in [0, 1), of the steps after the warm-up is done."""
        return 1.0


@dataclass(frozen=True)
class Step(Constant):
    """Times ``factor`` at each share of the steps in ``at`` (He et al., 2016, section 4.2)."""

    factor: float = 0.1
    at: tuple[float, ...] = (0.5, 0.75)

    def after(self, share: float) -> float:
        """Return ``factor`` to the power of how many places in ``at`` are passed."""
        return self.factor ** sum(share >= place for place in self.at)


@dataclass(frozen=True)
class Cosine(Constant):
    """Half a cosine from 1 to 0 (Loshchilov & Hutter, 2017, without restarts)."""

    def after(self, share: float) -> float:
        """Return (1 + cos(pi * share)) / 2."""
        return (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class OneCycle:
    """Up to the learning rate and down to almost 0, the momentum the other way.

    Smith & Topin (2018), with the numbers of PyTorch's OneCycleLR: from 1 / 25 of the learning rate
    to all of it in ``warm_up`` iterations (None: 30 % of all), then to 1 / 250,000, each along half
    a cosine; the momentum, or beta1, from ``high`` to ``low`` and back.
    """

    warm_up: int | None = None
    start: float = 1 / 25
    end: float = 1 / 250_000
    low: float = 0.85
    high: float = 0.95

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor in iteration ``step`` of ``steps``."""
        rising, share = self._place(step, steps)
        return _anneal(self.start, 1.0, share) if rising else _anneal(1.0, self.end, share)

    def momentum(self, step: int, steps: int) -> float:
        """Return the momentum, or beta1, in iteration ``step`` of ``steps``."""
        rising, share = self._place(step, steps)
        return _anneal(self.high, self.low, share if rising else 1 - share)

    def _place(self, step: int, steps: int) -> tuple[bool, float]:
        """Return whether the rate still rises, and which share of that phase is done."""
        top = (0.3 * steps if self.warm_up is None else self.warm_up) - 1
        if step <= top:
            return True, step / top if top > 0 else 1.0
        return False, (step - top) / (steps - 1 - top) if steps - 1 > top else 1.0


def _anneal(start: float, end: float, share: float) -> float:
    """Return where half a cosine from ``start`` to ``end`` is after a share of it."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))


SCHEDULES: dict[str, type[Constant] | type[OneCycle]] = {
    "constant": Constant,
    "step": Step,
    "cosine": Cosine,
    "one_cycle": OneCycle,
}


def make_schedule(schedule: str | Schedule | None, warm_up: int | None = None) -> Schedule | None:
    """Return the schedule of a name with its warm-up in iterations; a function is returned as is.

    Raises ParameterError for an unknown name.
    """
    if not isinstance(schedule, str):
        if schedule is not None and not callable(schedule):
            raise ParameterError(
                f"schedule (={schedule!r}) must be one of {', '.join(SCHEDULES)}, "
                "or a function (step, steps) -> factor"
            )
        return schedule
    name = schedule.replace("-", "_")
    if name not in SCHEDULES:
        raise ParameterError(f"schedule (={schedule!r}) must be one of {', '.join(SCHEDULES)}")
    made = SCHEDULES[name]
    return made() if warm_up is None else made(warm_up=warm_up)


def check_warm_up(schedule: Schedule | None, steps: int) -> None:
    """Raise ParameterError for a warm-up that is not a count, or does not end within the run."""
    warm_up = getattr(schedule, "warm_up", None)
    if warm_up is None:
        return
    if not isinstance(warm_up, int) or isinstance(warm_up, bool) or warm_up < 0:
        raise ParameterError(f"warm_up (={warm_up!r}) must be an integer of at least 0")
    if 0 < steps <= warm_up:
        raise ParameterError(
            f"warm_up (={warm_up}) must be less than the number of iterations (={steps})"
        )
