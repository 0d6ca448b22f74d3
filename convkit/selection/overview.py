"""All backends at a glance: their state, and what each supports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from convkit import registry
from convkit.errors import ConvkitError
from convkit.operations import OPERATIONS, REQUIRED, Operation
from convkit.selection.resolve import ask

SMALL: dict[str, Any] = {
    "x": (1, 1, 2, 2),
    "w": (1, 1, 1, 1),
    "b": (1,),
    "gamma": (1,),
    "beta": (1,),
    "mean": None,
    "var": None,
    "residual": None,
    "kernel": 2,
    "groups": 1,
}
"""Shapes of an operation's inputs, and its required parameters, in the smallest problem."""


def load_quietly(names: Iterable[str]) -> list[str]:
    """Load each backend; return the names of those that load."""
    usable = []
    for name in names:
        try:
            registry.load(name)
        except ConvkitError:
            continue
        usable.append(name)
    return usable


def backend_rows() -> list[dict[str, Any]]:
    """Return a row per advertised backend; of one that is not loaded most columns are empty."""
    rows = []
    for record in registry.backends():
        facts = facts_of(record)
        rows.append(
            {
                "name": record.name,
                "state": record.state,
                "version": record.version,
                "dtypes": [str(dtype) for dtype in facts.get("dtypes", ())],
                "operations": _operations(record),
                "instruction_set": facts.get("instruction_set"),
                "threads": facts.get("threads"),
                "distribution": record.distribution,
                "problem": record.problem,
                "info": facts,
            }
        )
    return rows


def facts_of(record: registry.Record) -> dict[str, Any]:
    """What ``info()`` of a loaded backend returns, fit for JSON; an error where it fails."""
    info = record.method("info")
    try:
        facts = info() if info is not None else {}
    except Exception as error:
        return {"error": f"info() raised {type(error).__name__}: {error}"}
    if not isinstance(facts, dict):
        return {"error": "info() must return a dict"}
    return {str(key): _plain(value) for key, value in facts.items()}


def _operations(record: registry.Record) -> list[str]:
    """The operations that a loaded backend supports, tried with a small problem of each."""
    if record.state != "loaded":
        return []
    return [
        operation.name
        for operation in OPERATIONS.values()
        if record.method(operation.method("forward")) and _supports_small(record, operation)
    ]


def _supports_small(record: registry.Record, operation: Operation) -> bool:
    """Whether a backend supports the operation on an image of 2x2 pixels."""
    inputs = [SMALL[name] for name in operation.inputs]
    given = [
        {name: SMALL[name] for name, value in one.defaults.items() if value is REQUIRED}
        for one in operation.parameters
    ]
    try:
        specs = operation.make_specs(inputs, given, "float32")
        return all(ask(record, spec) is None for spec in specs)
    except ConvkitError:
        return False


def _plain(value: Any) -> Any:
    """A value that JSON can represent: anything else becomes its text."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float) else str(value)
