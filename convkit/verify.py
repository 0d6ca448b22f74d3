"""Verification: the reference backend beside the one that was selected, on every call.

float32 is judged by the reference in float64 with the bound of :mod:`convkit.bounds`, float64 by
the reference in float64 with twice the bound (both have errors), max pooling by ``==``. The first
element beyond its bound raises VerifyError; nothing is ever repaired or replaced.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit import bounds, candidates, registry, results, selection
from convkit.cache import Verified
from convkit.errors import BackendUnsupportedError, CacheError, VerifyError
from convkit.registry import Record

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.plans import Plan
    from convkit.spec import ConvSpec, PoolSpec

DOUBLE = np.dtype(np.float64)
NAMES = ("dx", "dw", "db")
_numbers = itertools.count()


def attach(plan: Plan, reference: str | Record) -> None:
    """Make a plan's methods check their results against ``reference``, a backend or its name."""
    record = registry.load(reference) if isinstance(reference, str) else reference
    judge = Judge(plan, record)
    forward, backward = plan.forward, plan.backward
    plan.forward = judge.forward(forward)
    plan.backward = judge.backward(backward)
    if plan.infer is not None:
        plan.infer = judge.infer(plan.infer)


class Judge:
    """Checks the results of one plan."""

    def __init__(self, plan: Plan, record: Record) -> None:
        self.plan = plan
        self.record = record
        self.specs = tuple(replace(spec, dtype=DOUBLE) for spec in plan.specs)
        for spec in self.specs:
            reason = candidates.ask(record, spec)
            if reason is not None:
                raise BackendUnsupportedError(
                    f"reference backend {record.name!r} does not support {spec}: {reason}; "
                    "verify with another one"
                )

    # --- watched methods ---

    def forward(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``method`` checked, its saved state with what the reference's backward needs."""

        def verified(*args: Any) -> Any:
            inputs = args[len(self.specs) :]
            kept = tuple(None if a is None else a.copy() for a in inputs)
            out, saved = method(*args)
            results.check_result(self.plan, "forward", "out", out, self.plan.out_shape, inputs)
            self.check_out("forward", out, kept)
            return out, Verified(saved, kept)

        return verified

    def infer(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``method`` checked."""

        def verified(*args: Any) -> Any:
            inputs = args[len(self.specs) :]
            out = method(*args)
            results.check_result(self.plan, "infer", "out", out, self.plan.out_shape, inputs)
            self.check_out("infer", out, inputs)
            return out

        return verified

    def backward(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``method`` checked, on the saved state that ``forward`` made."""

        def verified(*args: Any) -> Any:
            *specs, dout = args[: len(self.specs) + 1]
            rest = list(args[len(self.specs) + 1 :])
            place = 0 if len(rest) == 1 else 2  # (saved,), or (x, w, saved, needs)
            inputs = self.inputs(rest[place], rest)
            if type(rest[place]) is Verified:
                rest[place] = rest[place].saved
            result = method(*specs, dout, *rest)
            self.check_gradients(dout, result, inputs, NAMES if place == 0 else rest[-1])
            return result

        return verified

    def inputs(self, saved: Any, rest: list[Any]) -> tuple[Any, ...]:
        """Return the forward call's inputs, where they are known or do not matter."""
        if type(saved) is Verified:
            return saved.inputs
        spec = self.plan.spec
        if self.plan.operation == "conv":  # its gradients do not depend on b
            bias = np.zeros(spec.w_shape[0], spec.dtype) if spec.has_bias else None
            return rest[0], rest[1], bias
        if self.plan.operation == "avg_pool":  # linear: x does not matter at all
            return (np.zeros(spec.x_shape, spec.dtype),)
        raise CacheError(
            f"cache was made while verification was off, and {self.plan.operation} cannot be "
            "verified backward without its inputs; run the forward call again"
        )

    # --- judgements ---

    def check_out(self, step: str, out: Array, inputs: tuple[Any, ...]) -> None:
        """Raise VerifyError at the first element of ``out`` beyond its bound."""
        x, *weights = (None if a is None else a.astype(DOUBLE) for a in inputs)
        expected, bound = self.expected_out(x, *weights)
        self.compare(step, "out", out, expected, bound, {"inputs": inputs})

    def expected_out(self, x: Any, *weights: Any) -> tuple[Array, Any]:
        """Return the reference's out, and the bound of each element."""
        spec = self.specs[0]
        backend: Any = self.record.backend
        if self.plan.operation == "max_pool":
            return backend.pool_forward(spec, x)[0], 0.0
        call = backend.pool_forward if self.plan.operation == "avg_pool" else backend.conv_forward
        z, _ = call(spec, x, *weights)
        size, _ = call(spec, abs(x), *(None if a is None else abs(a) for a in weights))
        bound = self.bound(size, spec, "out")
        if self.plan.operation == "conv_relu_pool":
            # relu and maximum move no value by more than the values below them moved.
            pool = self.specs[1]
            bound = backend.pool_forward(pool, np.nan_to_num(bound, nan=np.inf, posinf=np.inf))[0]
            return backend.pool_forward(pool, np.where(z <= 0, 0, z))[0], bound
        return z, bound

    def check_gradients(
        self, dout: Array, result: Any, inputs: tuple[Any, ...], needs: tuple[str, ...]
    ) -> None:
        """Raise VerifyError at the first gradient beyond its bound."""
        pooling = self.plan.operation in ("max_pool", "avg_pool")
        found = (result,) if pooling else result
        judged = [n for n, _ in zip(NAMES, found, strict=False) if n in needs]
        for name, shape in zip(judged, self._shapes(judged), strict=True):
            value = found[NAMES.index(name)]
            results.check_result(self.plan, "backward", name, value, shape, (dout,))
        wide = tuple(None if a is None else a.astype(DOUBLE) for a in inputs)
        gradients: Callable[..., Any] = self._pool if pooling else self._conv
        if self.plan.operation == "conv_relu_pool":
            gradients = self._fused
        expected, bound = gradients(dout.astype(DOUBLE), tuple(needs), *wide)
        for name in judged:
            i = NAMES.index(name)
            arrays = {"inputs": inputs, "dout": dout}
            self.compare("backward", name, found[i], expected[i], bound[i], arrays)

    def _shapes(self, names: list[str]) -> list[tuple[int, ...]]:
        return [self.plan.gradient_shapes[NAMES.index(name)] for name in names]

    def _pool(self, dout: Array, _: tuple[str, ...], x: Array) -> tuple[Any, Any]:
        backend: Any = self.record.backend
        spec: PoolSpec = self.specs[0]
        _, saved = backend.pool_forward(spec, x)
        dx = backend.pool_backward(spec, dout, saved)
        if spec.kind == "max" and bounds.terms(spec, "dx") == 1:
            return (dx,), (0.0,)
        size = backend.pool_backward(spec, abs(dout), saved)
        return (dx,), (self.bound(size, spec, "dx"),)

    def _conv(
        self, dout: Array, needs: tuple[str, ...], x: Array, w: Array, b: Any, slack: Any = 0.0
    ) -> tuple[Any, Any]:
        """Gradients and bounds; ``slack`` is how far each element of ``dout`` may be off."""
        backend: Any = self.record.backend
        spec: ConvSpec = self.specs[0]
        _, saved = backend.conv_forward(spec, x, w, b)
        got = backend.conv_backward(spec, dout, x, w, saved, needs)
        ax, aw = abs(x), abs(w)
        _, saved = backend.conv_forward(spec, ax, aw, None if b is None else abs(b))
        size = backend.conv_backward(spec, abs(dout) + slack, ax, aw, saved, needs)
        limits = [self.bound(s, spec, n) for n, s in zip(NAMES, size, strict=True) if n in needs]
        limit = dict(zip([n for n in NAMES if n in needs], limits, strict=True))
        if np.any(slack):
            extra = backend.conv_backward(spec, slack, ax, aw, saved, needs)
            limit = {n: v + extra[NAMES.index(n)] for n, v in limit.items()}
        return got, [limit.get(n) for n in NAMES]

    def _fused(self, dout: Array, needs: tuple[str, ...], x: Array, w: Array, b: Any) -> Any:
        """Gradients of conv - relu - pool.

        Where rounding can decide which element of a window is the largest, or whether it is above
        0, the gradient of that window may go to any element of it, or to none: that is slack.
        """
        backend: Any = self.record.backend
        spec, pool = self.specs
        z, _ = backend.conv_forward(spec, x, w, b)
        size, _ = backend.conv_forward(spec, abs(x), abs(w), None if b is None else abs(b))
        limit = np.nan_to_num(self.bound(size, spec, "out"), nan=np.inf)
        a = np.where(z <= 0, 0, z)
        top, saved = backend.pool_forward(pool, a)
        dz = backend.pool_backward(pool, dout, saved)
        dz[~(z > 0)] = 0
        reach, _ = backend.pool_forward(pool, limit)
        alive = backend.pool_forward(pool, z + limit)[0] > 0
        near = np.zeros(pool.out_shape)
        with np.errstate(invalid="ignore"):
            for _, outs, ins in pool.taps():
                loses = a[:, :, *ins] + limit[:, :, *ins] < (top - reach)[:, :, *outs]
                near[:, :, *outs] += ~loses
            unclear = ((near > 1) | ~(top > reach)) & alive
        slack = np.zeros(pool.x_shape)
        for _, outs, ins in pool.taps():
            slack[:, :, *ins] += np.where(unclear, abs(dout), 0)[:, :, *outs]
        return self._conv(dz, needs, x, w, b, slack)

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

    def compare(
        self, step: str, what: str, got: Array, expected: Array, bound: Any, arrays: dict[str, Any]
    ) -> None:
        """Raise VerifyError where an element of ``got`` is beyond ``bound``."""
        with np.errstate(over="ignore", invalid="ignore"):
            same = expected.astype(got.dtype)  # float32 overflows where float64 does not
            expected = np.where(np.isinf(same), same, expected).astype(DOUBLE)
        bad = bounds.first_bad(got, expected, bound)
        if bad is None:
            return
        plan = self.plan
        line = write_case(plan, step, self.record.name, arrays)
        raise VerifyError(
            f"backend {plan.name!r}: {what}{bad} (by backend {self.record.name!r}) in "
            f"{results.method_of(plan, step)} for {plan.problem}; reproduce with: {line}"
        )


# --- a case that can be run again -----------------------------------------------------------


def write_case(plan: Plan, step: str, reference: str, arrays: dict[str, Any]) -> str:
    """Store the arrays of a call in the temporary folder; return the line that runs it again."""
    data = {n: a for n, a in zip(("x", "w", "b"), arrays["inputs"], strict=False) if a is not None}
    if "dout" in arrays:
        data["dout"] = arrays["dout"]
    facts = {
        "operation": plan.operation,
        "step": step,
        "backend": plan.record.value if plan.record.given else plan.name,
        "reference": reference,
        "geometry": [_geometry(spec) for spec in plan.specs],
    }
    name = f"convkit-verify-{os.getpid()}-{next(_numbers)}.npz"
    path = os.path.join(tempfile.gettempdir(), name)
    np.savez(path, facts=np.array(json.dumps(facts)), **data)
    return f'{sys.executable} -c "from convkit.verify import replay; replay({path!r})"'


def _geometry(spec: Any) -> dict[str, Any]:
    """Return a spec's arguments."""
    names = ["stride", "pad", "dilation"]
    if spec.operation == "conv":
        names += ["groups"]
    else:
        names += ["kernel", "ceil_mode"]
        names += ["count_include_pad"] if spec.kind == "avg" else []
        names.remove("dilation") if spec.kind == "avg" else None
    return {name: getattr(spec, name) for name in names}


def replay(path: str, backend: Any = None) -> None:
    """Run a stored case again under verification, with another ``backend`` if one is given."""
    from convkit import api

    with np.load(path) as stored:
        facts = json.loads(str(stored["facts"]))
        arrays = {n: stored[n] for n in stored.files if n != "facts"}
    dout = arrays.pop("dout", None)
    inputs = [arrays.get(n) for n in (("x",) if "w" not in arrays else ("x", "w", "b"))]
    operation, geometry = facts["operation"], facts["geometry"]
    with selection.verify_with(facts["reference"]):
        kept = facts["step"] != "infer"
        call = getattr(api, f"{operation}_forward" if kept else operation)
        chosen = facts["backend"] if backend is None else backend
        if operation == "conv_relu_pool":
            found = call(*inputs, *geometry, backend=chosen)
        else:
            found = call(*inputs, **geometry[0], backend=chosen)
        if dout is not None:
            getattr(api, f"{operation}_backward")(dout, found[1])
    print("verified: no element is beyond its bound")
