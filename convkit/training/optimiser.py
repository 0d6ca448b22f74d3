"""The optimiser of a run: its update rule, with the numbers and arrays that go with each parameter.

Dictionaries are replaced, never written into, so that an earlier state is kept by reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy.typing as npt

from convkit.errors import ParameterError
from convkit.training import optim
from convkit.training.augment import described
from convkit.training.schedules import Schedule, make_schedule

__all__ = ["Optimiser"]

Array: TypeAlias = npt.NDArray[Any]
Configs: TypeAlias = dict[str, dict[str, Any]]

MOMENTA = ("momentum", "beta1")
"""What a schedule with a momentum moves: whichever the update rule has, if any."""


class Optimiser:
    """Takes the steps of a run.

    ``config`` are the numbers that every parameter starts with, and ``configs`` the dictionaries of
    the update rule by parameter, with its arrays.
    """

    def __init__(
        self,
        rule: str,
        config: Mapping[str, float] | None,
        names: Iterable[str],
        *,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
        lr_decay: float = 1.0,
        schedule: str | Schedule | None = None,
    ) -> None:
        given = dict(config or {})
        if weight_decay is not None:
            if "weight_decay" in given:
                raise ParameterError(
                    f"weight_decay (={weight_decay!r}) is in optim_config too; leave one out"
                )
            given["weight_decay"] = weight_decay
        optim.check_rule(rule, given)
        if not 0 < lr_decay < math.inf:
            raise ParameterError(f"lr_decay (={lr_decay!r}) must be a finite number above 0")
        if clip_norm is not None and not 0 < clip_norm < math.inf:
            raise ParameterError(f"clip_norm (={clip_norm!r}) must be a finite number above 0")
        self.rule, self.clip_norm, self.lr_decay = rule, clip_norm, lr_decay
        self.schedule = make_schedule(schedule)
        if self.schedule is not None and lr_decay != 1:
            raise ParameterError(
                f"lr_decay (={lr_decay!r}) and schedule (={schedule!r}) both change the learning "
                "rate; leave one out"
            )
        self.config = {**optim.DEFAULTS[rule], **given}
        self.configs: Configs = {name: dict(self.config) for name in names}

    @property
    def settings(self) -> dict[str, Any]:
        """What a run that is continued must agree in, as plain data."""
        return {
            "update_rule": self.rule,
            "lr_decay": self.lr_decay,
            "optim_config": {name: float(value) for name, value in self.config.items()},
            "clip_norm": self.clip_norm,
            "schedule": described(self.schedule),
        }

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step, or of the next one where there is no schedule."""
        return float(next(iter(self.configs.values()), self.config)["learning_rate"])

    def step(
        self, params: Mapping[str, Array], grads: Mapping[str, Array], iteration: int, steps: int
    ) -> dict[str, Array]:
        """Return what iteration ``iteration`` of ``steps``, counted from 0, makes of params."""
        if self.schedule is not None:
            self._follow(self.schedule, iteration, steps)
        if self.clip_norm is not None:
            grads = optim.clip_gradients(grads, self.clip_norm)
        stepped, self.configs = optim.step(self.rule, params, grads, self.configs)
        return stepped

    def decay(self) -> None:
        """Multiply the learning rate by ``lr_decay``, as after every epoch."""
        if self.lr_decay != 1:
            self.configs = {
                name: config | {"learning_rate": config["learning_rate"] * self.lr_decay}
                for name, config in self.configs.items()
            }

    def load(self, configs: Mapping[str, Mapping[str, Any]], saved: Mapping[str, Any]) -> None:
        """Take up the dictionaries of a run with the settings ``saved``.

        Numbers that this optimiser was given others for are its own. Under another rule nothing of
        the run's is of use.
        """
        own = self.settings
        if saved["update_rule"] != self.rule:
            self.configs = {name: dict(self.config) for name in configs}
            return
        before = saved.get("optim_config", own["optim_config"])
        if saved.get("schedule") != own["schedule"]:
            before = {}
        changed = {
            key: value for key, value in self.config.items() if before.get(key) != float(value)
        }
        self.configs = {name: {**config, **changed} for name, config in configs.items()}

    def _follow(self, schedule: Schedule, iteration: int, steps: int) -> None:
        """Put the schedule's numbers for an iteration into every dictionary."""
        factor = float(schedule(iteration, steps))
        if not 0 <= factor < math.inf:
            raise ParameterError(
                f"schedule (={described(schedule)}) gave the factor {factor} in iteration "
                f"{iteration} of {steps}; it must be a finite number of at least 0"
            )
        moved = {"learning_rate": float(self.config["learning_rate"]) * factor}
        momentum = getattr(schedule, "momentum", None)
        if momentum is not None:
            moved |= {key: momentum(iteration, steps) for key in MOMENTA if key in self.config}
        self.configs = {name: config | moved for name, config in self.configs.items()}
