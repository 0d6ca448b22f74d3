"""What a reference backend expects of each operation, and how far a result may be from it.

One class per operation, all computed in float64. An error bound needs the size of what was summed:
the same operation on absolute values, computed by the reference too. Nothing here compares.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from convkit import bounds
from convkit.calls.methods import methods_of
from convkit.calls.plan import Plan
from convkit.errors import BackendUnsupportedError
from convkit.operations import CONV, CONV_TRANSPOSE
from convkit.registry import Record
from convkit.selection.resolve import refusal

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.spec import ConvSpec, PoolSpec

DOUBLE = np.dtype(np.float64)

Expected: TypeAlias = tuple[Any, Any]
"""A result, and the bound of each of its elements."""


class Expectation:
    """What one operation of a plan should give, according to a reference backend."""

    needs_inputs = True
    """Whether backward has to know all inputs of the forward call."""

    def __init__(self, plan: Plan, record: Record) -> None:
        self.plan = plan
        self.record = record
        self.backend: Any = record.backend
        self.specs = tuple(replace(spec, dtype=DOUBLE) for spec in plan.specs)
        reason = refusal(record, plan.operation, self.specs)
        if reason is not None:
            problem = " + ".join(map(str, self.specs))
            raise BackendUnsupportedError(
                f"reference backend {record.name!r} does not support {problem}: {reason}; "
                "verify with another one"
            )

    def inputs_of(self, kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return inputs for backward where the forward call's are not known, given those kept."""
        raise NotImplementedError

    def out(self, *inputs: Any) -> Expected:
        """Return what is expected of out."""
        raise NotImplementedError

    def gradients(self, dout: Array, needs: tuple[str, ...], *inputs: Any) -> dict[str, Expected]:
        """Return what is expected of the gradients that ``needs`` names."""
        raise NotImplementedError

    def bound(self, size: Array, spec: ConvSpec | PoolSpec, what: str) -> Any:
        """Return the bound of a result, given the same operation on absolute values."""
        backend: Any = self.plan.record.backend
        terms = bounds.terms(spec, what)
        dtype = self.plan.dtype
        if not getattr(backend, "exact", True):
            factor = getattr(backend, "error_factor", 1)
            limit: Any = bounds.normwise(size, terms, dtype, factor=factor)
        else:
            limit = bounds.elementwise(size, terms, dtype)
        return limit * 2 if dtype == DOUBLE else limit


class Conv(Expectation):
    """A convolution is linear in each of its inputs, and so is its transpose."""

    needs_inputs = False
    linear = CONV

    def __init__(self, plan: Plan, record: Record) -> None:
        super().__init__(plan, record)
        self.methods = methods_of(self.linear, self.specs[:1], record)

    def inputs_of(self, kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients do not depend on b."""
        spec = self.plan.spec
        return (*kept, np.zeros(spec.b_shape, spec.dtype) if spec.has_bias else None)

    def out(self, *inputs: Any) -> Expected:
        """Return what is expected of out."""
        spec = self.specs[0]
        size = self.methods.forward(spec, *map(_absolute, inputs))[0]
        return self.methods.forward(spec, *inputs)[0], self.bound(size, spec, "out")

    def gradients(self, dout: Array, needs: tuple[str, ...], *inputs: Any) -> dict[str, Expected]:
        """Return what is expected of (dx, dw, db)."""
        return self.gradients_within(dout, 0.0, needs, *inputs)

    def gradients_within(
        self, dout: Array, slack: Any, needs: tuple[str, ...], *inputs: Any
    ) -> dict[str, Expected]:
        """Return the gradients expected where each element of ``dout`` may be off by ``slack``."""
        spec, names = self.specs[0], self.linear.gradients
        got = self._backward(dout, needs, *inputs)
        absolute = tuple(map(_absolute, inputs))
        size = self._backward(abs(dout) + slack, needs, *absolute)
        limits = {name: self.bound(size[name], spec, name) for name in names if name in needs}
        if np.any(slack):
            extra = self._backward(slack, needs, *absolute)
            limits = {name: limit + extra[name] for name, limit in limits.items()}
        return {name: (got[name], limit) for name, limit in limits.items()}

    def _backward(self, dout: Any, needs: tuple[str, ...], *inputs: Any) -> dict[str, Any]:
        spec = self.specs[0]
        _, saved = self.methods.forward(spec, *inputs)
        found = self.methods.backward(spec, dout, *inputs[:2], saved, needs)
        return dict(zip(self.linear.gradients, found, strict=True))


class ConvTranspose(Conv):
    """Linear, too."""

    linear = CONV_TRANSPOSE


class MaxPool(Expectation):
    """A maximum is exact; its gradient is a sum where windows overlap."""

    def out(self, *inputs: Any) -> Expected:
        """Return what is expected of out."""
        return self.backend.pool_forward(self.specs[0], *inputs)[0], 0.0

    def gradients(self, dout: Array, needs: tuple[str, ...], *inputs: Any) -> dict[str, Expected]:
        """Return what is expected of dx."""
        spec: PoolSpec = self.specs[0]
        _, saved = self.backend.pool_forward(spec, *inputs)
        dx = self.backend.pool_backward(spec, dout, saved)
        if spec.kind == "max" and bounds.terms(spec, "dx") == 1:
            return {"dx": (dx, 0.0)}
        size = self.backend.pool_backward(spec, abs(dout), saved)
        return {"dx": (dx, self.bound(size, spec, "dx"))}


class AvgPool(MaxPool):
    """An average is linear, so its gradient does not depend on x."""

    needs_inputs = False

    def inputs_of(self, kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return any x."""
        return (np.zeros(self.plan.spec.x_shape, self.plan.dtype),)

    def out(self, *inputs: Any) -> Expected:
        """Return what is expected of out."""
        spec = self.specs[0]
        size = self.backend.pool_forward(spec, *map(abs, inputs))[0]
        return self.backend.pool_forward(spec, *inputs)[0], self.bound(size, spec, "out")


class ConvRelu(Conv):
    """Rounding may decide whether a result is above 0."""

    needs_inputs = True

    def out(self, *inputs: Any) -> Expected:
        """Return what is expected of out; relu moves no value by more than z was moved."""
        z, bound = super().out(*inputs)
        return np.where(z <= 0, 0, z), bound

    def gradients(self, dout: Array, needs: tuple[str, ...], *inputs: Any) -> dict[str, Expected]:
        """Return what is expected of (dx, dw, db); where rounding decides, dz may be 0 or dout."""
        z, limit = super().out(*inputs)
        limit = np.nan_to_num(limit, nan=np.inf)
        dz = np.where(z > 0, dout, 0)
        slack = np.where(np.abs(z) <= limit, np.abs(dout), 0)
        return self.gradients_within(dz, slack, needs, *inputs)


class ConvReluPool(Conv):
    """Rounding may decide which element of a window is largest, or whether it is above 0."""

    needs_inputs = True

    def out(self, *inputs: Any) -> Expected:
        """Return what is expected of out.

        relu and maximum move no value by more than the values below them moved.
        """
        pool: PoolSpec = self.specs[1]
        z, bound = super().out(*inputs)
        bound = np.nan_to_num(bound, nan=np.inf, posinf=np.inf)
        pooled = self.backend.pool_forward(pool, np.where(z <= 0, 0, z))[0]
        return pooled, self.backend.pool_forward(pool, bound)[0]

    def gradients(self, dout: Array, needs: tuple[str, ...], *inputs: Any) -> dict[str, Expected]:
        """Return what is expected of (dx, dw, db).

        Where rounding can decide, the gradient of the window may go to any of its elements, or to
        none.
        """
        pool: PoolSpec = self.specs[1]
        z, limit = super().out(*inputs)
        limit = np.nan_to_num(limit, nan=np.inf)
        active = np.where(z <= 0, 0, z)
        _, saved = self.backend.pool_forward(pool, active)
        dz = self.backend.pool_backward(pool, dout, saved)
        dz[~(z > 0)] = 0
        unclear = undecided(self.backend, pool, z, active, limit)
        slack = np.zeros(pool.x_shape)
        for _, outs, ins in pool.taps():
            slack[:, :, *ins] += np.where(unclear, abs(dout), 0)[:, :, *outs]
        return self.gradients_within(dz, slack, needs, *inputs)


def undecided(
    backend: Any, pool: PoolSpec, before: Array | None, active: Array, limit: Array
) -> Any:
    """Return for which windows of a maximum rounding can decide where the gradient goes.

    ``active`` are the values and ``limit`` their bounds, ``before`` what relu got, None without
    relu: where all of a window is surely off, no gradient goes anywhere.
    """
    top = backend.pool_forward(pool, active)[0]
    reach = backend.pool_forward(pool, limit)[0]
    near = np.zeros(pool.out_shape)
    with np.errstate(invalid="ignore"):
        for _, outs, ins in pool.taps():
            loses = active[:, :, *ins] + limit[:, :, *ins] < (top - reach)[:, :, *outs]
            near[:, :, *outs] += ~loses
        if before is None:
            return near > 1
        alive = backend.pool_forward(pool, before + limit)[0] > 0
        return ((near > 1) | ~(top > reach)) & alive


def _absolute(array: Any) -> Any:
    return None if array is None else abs(array)
