"""Plans: what is known about a problem once it has been seen, kept in a bounded table.

A plan holds the problem's specs, the backend that was selected and that backend's methods. It is
made at the first call of a problem, which is where arguments are interpreted and a backend is
selected; :mod:`convkit.dispatch` finds it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from convkit import candidates, choice, inputs, registry, selection
from convkit.errors import ParameterError
from convkit.registry import Record
from convkit.spec import ConvSpec, PoolSpec, check_flag, freeze

if TYPE_CHECKING:
    from convkit.contract import Array

Key: TypeAlias = tuple[Any, ...]

CONV = ("stride", "pad", "dilation", "groups")
FLAGS = ("ceil_mode", "count_include_pad")
POOL = ("kernel", "stride", "pad", "dilation", *FLAGS)

table: dict[Key, Plan] = registry.plans


class Plan:
    """A problem, the backend that computes it, and the backend's methods as they are called.

    ``forward``, ``infer`` (None where the backend has none) and ``backward`` are the backend's own
    bound methods, so that tracing, observers and verification, which replace them by watched ones,
    cost nothing while they are off.
    """

    __slots__ = (
        "backward", "dtype", "forward", "gradient_shapes", "infer", "operation", "out_shape",
        "record", "scope", "selection", "spec", "specs", "stamp",
    )  # fmt: skip

    def __init__(
        self,
        operation: str,
        specs: tuple[Any, ...],
        record: Record,
        stamp: int,
        scope: selection.Scope | None,
        chosen: candidates.Selection | None = None,
    ) -> None:
        self.operation = operation
        self.specs = specs
        self.spec = specs[0]
        self.record = record
        self.stamp = stamp
        self.scope = scope
        self.selection = chosen
        self.out_shape: tuple[int, ...] = specs[-1].out_shape
        self.dtype: np.dtype[Any] = specs[0].dtype
        self.gradient_shapes = gradient_shapes(specs)
        self.forward, self.infer, self.backward = methods(operation, record.backend)
        if scope is not None or _watching():
            from convkit import watch

            watch.attach(self)

    @property
    def name(self) -> str:
        """The backend's name."""
        return self.record.name

    def step(self, keep: bool) -> str:
        """Which of the backend's methods runs a forward call: infer where nothing is kept."""
        return "forward" if keep or self.infer is None else "infer"

    @property
    def problem(self) -> str:
        """The problem in words, for messages."""
        return " + ".join(map(str, self.specs))


watched = False
"""Whether somebody traces or observes calls; set by :mod:`convkit.watch`."""


def _watching() -> bool:
    """Whether calls may have to be traced, observed or verified in the whole process."""
    return watched or any(map(selection.variable, ("CONVKIT_TRACE", "CONVKIT_VERIFY")))


def methods(
    operation: str, backend: Any
) -> tuple[Callable[..., Any], Callable[..., Any] | None, Callable[..., Any]]:
    """Return a backend's forward, infer (or None) and backward for an operation."""
    if operation == "conv":
        infer = getattr(backend, "conv_infer", None)
        return backend.conv_forward, infer, backend.conv_backward
    if operation == "conv_relu_pool":
        if getattr(backend, "conv_relu_pool_forward", None) is not None:
            return backend.conv_relu_pool_forward, None, backend.conv_relu_pool_backward
        from convkit.composed import Composed

        parts = Composed(backend)
        return parts.forward, None, parts.backward
    return backend.pool_forward, getattr(backend, "pool_infer", None), backend.pool_backward


def gradient_shapes(specs: tuple[Any, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of (dx, dw, db), or of (dx,) for a pooling."""
    spec = specs[0]
    if spec.operation != "conv":
        return (spec.x_shape,)
    return spec.x_shape, spec.w_shape, spec.w_shape[:1]


# --- new plans --------------------------------------------------------------------------------


def scope_key() -> Any:
    """Return what a plan depends on of the open ``with`` blocks."""
    scope = selection.current()
    return None if scope is None else scope.key()


def new_conv(
    key: Key, x: Array, w: Array, b: Array | None, geometry: Sequence[Any], backend: Any
) -> Plan:
    """Return a new plan of a convolution, stored under ``key``."""
    spec = ConvSpec.of(x, w, b, **_given(CONV, geometry))
    return remember(key, "conv", (spec,), backend)


def new_pool(key: Key, kind: str, x: Array, geometry: Sequence[Any], backend: Any) -> Plan:
    """Return a new plan of a pooling, stored under ``key``."""
    spec = pool_spec(kind, x.shape, x.dtype, geometry)
    return remember(key, spec.operation, (spec,), backend)


def find_fused(
    x: Any, w: Any, b: Any, conv: Sequence[Any], pool: Sequence[Any], backend: Any
) -> tuple[Plan, Array, Array, Array | None]:
    """Return the plan of conv - relu - max pool, with one backend for all of it."""
    x, w = inputs.as_input("x", x), inputs.as_input("w", w)
    b = b if b is None else inputs.as_input("b", b)
    if not (backend is None or type(backend) is str):
        backend = choice.parse(backend)
    key = (
        x.shape, x.dtype, w.shape, w.dtype,
        b if b is None else (b.shape, b.dtype),
        *map(_as_key, (*CONV, *POOL), (*conv, *pool)),
        backend, scope_key(),
    )  # fmt: skip
    plan = table.get(key)
    if plan is None:
        spec = ConvSpec.of(x, w, b, **_given(CONV, conv))
        specs = (spec, pool_spec("max", spec.out_shape, spec.dtype, pool))
        plan = remember(key, "conv_relu_pool", specs, backend)
    return plan, x, w, b


def pool_spec(kind: str, shape: tuple[int, ...], dtype: Any, geometry: Sequence[Any]) -> PoolSpec:
    """Return the spec of a pooling from its raw arguments, None for what was not given."""
    if geometry[0] is None:
        raise ParameterError(
            "kernel is needed; give kernel=, or pool_height and pool_width in pool_param"
        )
    return PoolSpec.of(shape, kind=kind, dtype=dtype, **_given(POOL, geometry))


def _as_key(name: str, value: Any) -> Any:
    """Return an argument as a key holds it; as keys 1, 1.0 and True would be equal."""
    if value is None:
        return None
    return check_flag(name, value) if name in FLAGS else freeze(name, value)


def _given(names: tuple[str, ...], values: Sequence[Any]) -> dict[str, Any]:
    return {n: v for n, v in zip(names, values, strict=True) if v is not None}


def remember(key: Key, operation: str, specs: tuple[Any, ...], backend: Any) -> Plan:
    """Select a backend and store the plan under ``key``, as long as nothing changes."""
    stamp = registry.generation
    chosen = candidates.select(specs, backend)
    assert chosen.record is not None
    plan = Plan(operation, specs, chosen.record, stamp, selection.current(), chosen)
    registry.keep_plan(key, plan, stamp)
    return plan
