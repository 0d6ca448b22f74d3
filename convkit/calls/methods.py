"""Which methods compute a problem: a backend's own, or those composed in their place."""

from __future__ import annotations

from typing import Any

from convkit.calls.plan import Methods
from convkit.operations import Operation
from convkit.registry import Record
from convkit.selection.resolve import computes_itself, handed


def methods_of(operation: Operation, specs: tuple[Any, ...], record: Record) -> Methods:
    """Return a backend's methods for a problem, or those composed in their place."""
    inner = handed(record, specs)
    if inner != specs:
        from convkit.calls.padding import Padded

        return Padded(operation, specs, inner, record, _own(operation, inner, record)).methods()
    return _own(operation, specs, record)


def _own(operation: Operation, specs: tuple[Any, ...], record: Record) -> Methods:
    backend = record.backend
    if not operation.required and not computes_itself(record, operation, specs):
        from convkit.calls.fallback import FALLBACKS

        composed = FALLBACKS[operation.name](backend)
        return Methods(composed.forward, getattr(composed, "infer", None), composed.backward)
    forward, backward = (getattr(backend, operation.method(s)) for s in ("forward", "backward"))
    infer = getattr(backend, operation.method("infer"), None) if operation.infer else None
    return Methods(forward, infer, backward)
