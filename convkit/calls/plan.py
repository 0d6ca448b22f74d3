"""A plan: what is known about a problem once it has been met.

It holds the problem's specs, the backend that was selected for it, and the methods to call. Who
makes it (:mod:`convkit.calls.planner`) decides which methods these are, so tracing, observers and
verification cost nothing while they are off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from convkit.operations import Operation, Step
from convkit.registry import Record
from convkit.selection.outcome import Selection
from convkit.selection.scope import Scope


class Methods(NamedTuple):
    """The methods of one operation: those of a backend, or what takes their place.

    ``infer`` is None where the backend has no inference method of its own.
    """

    forward: Callable[..., Any]
    infer: Callable[..., Any] | None
    backward: Callable[..., Any]


class Plan:
    """A problem, the backend that computes it, and the methods to call for it.

    ``generation`` and ``scope`` are those in which the plan was made; in others it may be wrong.
    ``gradients`` holds the shape of each gradient that backward can give, by its name; ``returned``
    names those in backward's tuple, and ``statistics`` what forward returns besides out. ``slots``
    are the specs as the methods get them. ``distinct``: no input has the shape of out, so that out
    cannot be one of them.
    """

    __slots__ = (
        "backward", "distinct", "dtype", "forward", "generation", "gradients", "infer", "operation",
        "out_shape", "record", "returned", "scope", "selection", "slots", "spec", "specs",
        "statistics",
    )  # fmt: skip

    def __init__(
        self,
        operation: Operation,
        specs: tuple[Any, ...],
        record: Record,
        methods: Methods,
        *,
        generation: int,
        scope: Scope | None,
        selection: Selection | None = None,
    ) -> None:
        self.operation = operation
        self.specs = specs
        self.slots = operation.slots(specs)
        self.spec = specs[0]
        self.record = record
        self.generation = generation
        self.scope = scope
        self.selection = selection
        self.out_shape: tuple[int, ...] = specs[-1].out_shape
        self.dtype: np.dtype[Any] = specs[0].dtype
        self.gradients = operation.gradient_shapes(specs)
        self.distinct = self.out_shape not in self.gradients.values()
        self.returned = operation.returned(specs)
        training = bool(operation.statistics) and any(getattr(s, "training", False) for s in specs)
        self.statistics = operation.statistics if training else ()
        self.forward, self.infer, self.backward = methods

    @property
    def name(self) -> str:
        """The backend's name."""
        return self.record.name

    @property
    def problem(self) -> str:
        """The problem in words, for messages."""
        return " + ".join(map(str, self.specs))

    def step(self, want_cache: bool) -> Step:
        """Return which method runs a forward call: infer where nothing is kept for backward."""
        return "forward" if want_cache or self.infer is None else "infer"

    def method(self, step: Step) -> str:
        """Return the name of the backend's method behind a step, for messages."""
        return self.operation.method(step)
