"""What the functions share: parameter dictionaries merged with keywords, and the call."""

from __future__ import annotations

from typing import Any

from convkit.calls import dispatch
from convkit.calls.params import merge
from convkit.operations import Operation, Parameters

__all__ = ["call_merged", "values_of"]


def call_merged(
    want_cache: bool, operation: Operation, inputs: tuple[Any, ...], param: Any, values: Any
) -> Any:
    """Call an operation of one dictionary, which ``param`` is where it was given.

    ``values`` are the keywords in the order of the dictionary's keys, the backend last.
    """
    if param is not None:
        values = merge(operation.parameters[0], param, values)
    *geometry, backend = values
    return dispatch.call(want_cache, operation, inputs, (geometry,), backend)


def values_of(parameters: Parameters, param: Any, backend: Any) -> tuple[list[Any], Any]:
    """Return the values of a dictionary without keywords of its own, and the backend."""
    nothing = (None,) * len(parameters.defaults)
    *values, backend = merge(parameters, param, (*nothing, backend))
    return values, backend
