"""A backend that passes every call on and notes it: which methods convkit called, and with what."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from convkit.conformance.reference import FloatArray
from convkit.operations import OPERATIONS, Operation
from convkit.plugin_check import optional_methods, required_methods

OPERATION_OF = {o.method(s): o for o in reversed([*OPERATIONS.values()]) for s in o.steps}


@dataclass(frozen=True)
class Recorded:
    """A call of a backend's method, as convkit made it."""

    name: str
    method: Callable[..., Any]
    args: tuple[Any, ...]
    result: Any

    @property
    def operation(self) -> Operation:
        """Return an operation that has the method."""
        return OPERATION_OF[self.name]

    @property
    def saved(self) -> int | None:
        """Where among the arguments a backward gets what its forward saved."""
        if self.name != self.operation.method("backward"):
            return None
        return self.operation.arguments("backward").index("saved")

    def arrays(self, result: Any) -> dict[str, FloatArray]:
        """Return the arrays of a result of the method, by name."""
        found = {name: result if i is None else result[i] for name, i in self._places.items()}
        return {name: np.asarray(value) for name, value in found.items() if value is not None}

    @cached_property
    def _places(self) -> dict[str, int | None]:
        """Where in a result each array is; None where it is the result."""
        operation = self.operation
        if self.name == operation.method("forward"):
            statistics = operation.statistics[: len(self.result) - 2]
            return {"out": 0, **{name: i for i, name in enumerate(statistics, start=2)}}
        if self.name == operation.method("backward"):
            names = operation.returned(self.args[: len(operation.parameters)])
            alone = len(operation.gradients) == 1
            return {name: None if alone else i for i, name in enumerate(names)}
        return {"inference's out": None}


class Recorder:
    """A backend that passes every call on and notes its method's name."""

    def __init__(self, backend: Any) -> None:
        self._local = threading.local()
        self.name = backend.name
        self.api_version = backend.api_version
        for attribute in ("exact", "reproducible", "error_factor", "pad_modes"):
            if hasattr(backend, attribute):
                setattr(self, attribute, getattr(backend, attribute))
        for method in (*required_methods(), *optional_methods()):
            if getattr(backend, method, None) is not None:
                setattr(self, method, self._passing(method, getattr(backend, method)))

    @property
    def calls(self) -> list[str]:
        """The methods called in this thread since `forget`."""
        found: list[str] = self._local.__dict__.setdefault("calls", [])
        return found

    def forget(self) -> None:
        """Begin a new list, for this thread."""
        self._local.calls = []

    @contextmanager
    def recording(self) -> Iterator[list[Recorded]]:
        """Note every call of this thread with its arguments and what it returned."""
        found: list[Recorded] = []
        self._local.recorded = found
        try:
            yield found
        finally:
            del self._local.recorded

    def _passing(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def passing(*args: Any) -> Any:
            self.calls.append(name)
            result = method(*args)
            recorded = getattr(self._local, "recorded", None)
            if recorded is not None:
                recorded.append(Recorded(name, method, args, result))
            return result

        return passing
