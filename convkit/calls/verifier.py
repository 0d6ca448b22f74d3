"""Verification: a reference backend computes every call too, and the results are compared.

float32 is compared with the reference in float64 within the bound of :mod:`convkit.bounds`, float64
with the reference in float64 within twice the bound (both have errors), max pooling by ``==``. The
first element beyond its bound raises VerifyError; nothing is ever repaired or replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit import bounds, registry
from convkit.calls import expectations, expected_norms
from convkit.calls.cache import Verified
from convkit.calls.expectations import DOUBLE, Expectation
from convkit.calls.plan import Plan
from convkit.calls.results import check_gradients, check_result
from convkit.calls.stored_case import write_case
from convkit.errors import CacheError, VerifyError
from convkit.operations import Step
from convkit.registry import Record

if TYPE_CHECKING:
    from convkit.contract import Array


EXPECTATIONS: Mapping[str, type[Expectation]] = MappingProxyType(
    {
        "conv": expectations.Conv,
        "max_pool": expectations.MaxPool,
        "avg_pool": expectations.AvgPool,
        "conv_relu_pool": expectations.ConvReluPool,
        "conv_relu": expectations.ConvRelu,
        "conv_transpose": expectations.ConvTranspose,
        "batch_norm": expected_norms.Norm,
        "group_norm": expected_norms.Norm,
        "conv_bn_relu": expected_norms.ConvBnRelu,
    }
)
"""What is expected of each operation, by its name."""


def attach(plan: Plan, reference: str | Record) -> None:
    """Make a plan's methods check their results against ``reference``, a backend or its name."""
    record = registry.load(reference) if isinstance(reference, str) else reference
    verifier = Verifier(plan, record)
    plan.forward = verifier.forward(plan.forward)
    plan.backward = verifier.backward(plan.backward)
    if plan.infer is not None:
        plan.infer = verifier.infer(plan.infer)


class Verifier:
    """Checks the results of one plan."""

    def __init__(self, plan: Plan, record: Record) -> None:
        self.plan = plan
        self.reference = record.name
        self.expectation = EXPECTATIONS[plan.operation.name](plan, record)
        self.specs = len(plan.slots)

    # --- checked methods ---

    def forward(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``method`` checked, its saved state with what the reference's backward needs."""

        def verified(*args: Any) -> Any:
            inputs = args[self.specs :]
            copies = tuple(None if a is None else a.copy() for a in inputs)
            out, saved, *statistics = method(*args)
            self.check_out("forward", out, inputs, copies)
            return out, Verified(saved, copies), *statistics

        return verified

    def infer(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``method`` checked."""

        def verified(*args: Any) -> Any:
            inputs = args[self.specs :]
            out = method(*args)
            self.check_out("infer", out, inputs, inputs)
            return out

        return verified

    def backward(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``method`` checked, on the saved state that ``forward`` made."""
        operation = self.plan.operation
        at = self.specs + 1 + len(operation.kept)  # after dout and the arrays kept

        def verified(*args: Any) -> Any:
            dout, kept, saved = args[self.specs], args[self.specs + 1 : at], args[at]
            needs = args[at + 1] if len(args) > at + 1 else operation.gradients
            inputs = self.inputs(saved, kept)
            own = saved.saved if type(saved) is Verified else saved
            result = method(*args[:at], own, *args[at + 1 :])
            self.check_backward(dout, result, needs, inputs)
            return result

        return verified

    def inputs(self, saved: Any, kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the forward call's inputs, where they are known or do not matter."""
        if type(saved) is Verified:
            return saved.inputs
        if not self.expectation.needs_inputs:
            return self.expectation.inputs_of(kept)
        raise CacheError(
            f"cache was made while verification was off, and {self.plan.operation.name} cannot be "
            "verified backward without its inputs; run the forward call again"
        )

    # --- comparison ---

    def check_out(
        self, step: Step, out: Array, inputs: tuple[Any, ...], copies: tuple[Any, ...]
    ) -> None:
        """Raise BackendResultError, or VerifyError at the first element beyond its bound.

        ``inputs`` are what the backend got, ``copies`` what it got before it could write to them.
        """
        check_result(self.plan, step, "out", out, self.plan.out_shape, inputs)
        expected, bound = self.expectation.out(*map(_as_double, copies))
        self.compare(step, "out", out, expected, bound, {"inputs": copies})

    def check_backward(
        self, dout: Array, result: Any, needs: tuple[str, ...], inputs: tuple[Any, ...]
    ) -> None:
        """Raise BackendResultError, or VerifyError at the first gradient beyond its bound."""
        names = self.plan.returned
        checked = check_gradients(self.plan, result, needs, (dout,))
        found = dict(zip(names, checked if len(names) > 1 else (checked,), strict=True))
        wide = tuple(map(_as_double, inputs))
        expected = self.expectation.gradients(dout.astype(DOUBLE), tuple(needs), *wide)
        for name, (value, bound) in expected.items():
            arrays = {"inputs": inputs, "dout": dout}
            self.compare("backward", name, found[name], value, bound, arrays)

    def compare(
        self, step: Step, what: str, got: Array, expected: Array, bound: Any, arrays: dict[str, Any]
    ) -> None:
        """Raise VerifyError where an element of ``got`` is beyond ``bound``."""
        with np.errstate(over="ignore", invalid="ignore"):
            same = expected.astype(got.dtype)  # float32 overflows where float64 does not
            expected = np.where(np.isinf(same), same, expected).astype(DOUBLE)
        bad = bounds.first_bad(got, expected, bound)
        if bad is None:
            return
        plan = self.plan
        line = write_case(plan, step, self.reference, arrays)
        raise VerifyError(
            f"backend {plan.name!r}: {what}{bad} (by backend {self.reference!r}) in "
            f"{plan.method(step)} for {plan.problem}; reproduce with: {line}"
        )


def _as_double(array: Array | None) -> Array | None:
    return None if array is None else array.astype(DOUBLE)
