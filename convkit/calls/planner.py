"""Makes plans: at the first call of a problem its arguments are read and a backend is selected.

:mod:`convkit.calls.dispatch` finds the plan again by the raw arguments of the call, in the bounded
table of :mod:`convkit.state`. Tracing and verification are attached here, to plans that are made
while they are on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from convkit import state
from convkit.calls import arrays, methods
from convkit.calls.plan import Plan
from convkit.operations import Operation
from convkit.registry import Record
from convkit.selection.outcome import Selection
from convkit.selection.request import parse
from convkit.selection.resolve import select
from convkit.selection.scope import Scope, current, reference_of

if TYPE_CHECKING:
    from convkit.contract import Array

Key: TypeAlias = tuple[Any, ...]
Geometry: TypeAlias = Sequence[Any]
"""The values of one parameter dictionary, in the order of its keys; None for what is not given."""
Geometries: TypeAlias = Sequence[Geometry | None]
"""One for each parameter dictionary; None for one that is optional and not given."""

table: dict[Key, Plan] = state.plans


def new_plan(
    key: Key,
    operation: Operation,
    inputs: Sequence[Array | None],
    geometry: Geometries,
    backend: Any,
) -> Plan:
    """Return a new plan, stored under ``key`` as long as nothing changes.

    ``geometry`` has the values for each of the operation's parameter dictionaries. Raises
    ParameterError, ShapeError, DtypeError or SelectionError.
    """
    generation = state.generation
    pairs = zip(operation.parameters, geometry, strict=True)
    given = [{} if values is None else one.given(values) for one, values in pairs]
    specs = operation.make_specs(inputs, given, None)
    selection = select(operation, specs, backend)
    assert selection.record is not None
    plan = make_plan(
        operation, specs, selection.record,
        generation=generation, scope=current(), selection=selection,
    )  # fmt: skip
    state.keep_plan(key, plan, generation)
    return plan


def make_plan(
    operation: Operation,
    specs: tuple[Any, ...],
    record: Record,
    *,
    generation: int,
    scope: Scope | None,
    selection: Selection | None = None,
) -> Plan:
    """Return a plan that calls ``record``'s backend, traced and verified where that is wanted."""
    plan = Plan(
        operation, specs, record, methods.methods_of(operation, specs, record),
        generation=generation, scope=scope, selection=selection,
    )  # fmt: skip
    if state.traced or state.variable("CONVKIT_TRACE"):
        from convkit.calls import tracing

        tracing.attach(plan)
    reference = reference_of(scope)
    if reference is not None:
        from convkit.calls import verifier

        verifier.attach(plan, reference)
    return plan


def find_plan(
    operation: Operation,
    inputs: Sequence[Any],
    geometry: Geometries,
    backend: Any,
) -> tuple[Plan, list[Array | None]]:
    """Return the plan of a call and its arrays as backends get them, for any operation.

    The operations that a small problem depends on have a faster look-up of their own in
    :mod:`convkit.calls.dispatch`.
    """
    names = zip(operation.inputs, inputs, strict=True)
    given = [value if value is None else arrays.as_input(name, value) for name, value in names]
    if not (backend is None or type(backend) is str):
        backend = parse(backend)
    key = (
        operation.name,
        *(None if a is None else (a.shape, a.dtype) for a in given),
        *_geometry_key(operation, geometry),
        backend, scope_key(),
    )  # fmt: skip
    plan = table.get(key)
    if plan is None:
        plan = new_plan(key, operation, given, geometry, backend)
    return plan, given


def _geometry_key(operation: Operation, geometry: Geometries) -> Key:
    """Return parameters as a key holds them; as keys 1, 1.0 and True would be equal."""
    found: list[Any] = []
    for parameters, values in zip(operation.parameters, geometry, strict=True):
        if values is None:
            found.append(None)
            continue
        pairs = zip(parameters.defaults, values, strict=True)
        found += [parameters.read(name, value) for name, value in pairs]
    return tuple(found)


def scope_key() -> Any:
    """Return what a plan depends on of the open ``with`` blocks."""
    scope = current()
    return None if scope is None else scope.key
