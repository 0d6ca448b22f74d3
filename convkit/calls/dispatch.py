"""The path of one call: raw arguments -> plan (one look-up) -> backend's method -> checked result.

No geometry and no loop over pixels is here. ``conv`` and ``pool`` are written for speed, because on
a small problem they are most of what a call costs. Each looks its plan up in line, testing the
usual case first, and leaves conversion, selection and errors to the functions it calls; that is
why the two look alike. What follows the backend's method is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from convkit import state
from convkit.calls import arrays
from convkit.calls import pickling as _pickling  # noqa: F401 - caches pickle once it is imported
from convkit.calls.cache import Cache, Verified, check_cache
from convkit.calls.plan import Plan
from convkit.calls.planner import find_plan, make_plan, new_plan, scope_key, table
from convkit.calls.results import call_error, check_gradients, check_result, pair_error
from convkit.errors import CacheError, ParameterError
from convkit.operations import CONV, MAX_POOL, Operation
from convkit.selection.request import parse
from convkit.selection.scope import context, current, reference_of
from convkit.spec import check_flag, freeze

__all__ = ["Cache", "backward", "call", "conv", "pool"]

Gradients: TypeAlias = Any
"""The gradients in the operation's order, None for those not asked for; one alone is no tuple."""

ndarray = np.ndarray
scope_of_context = context.get


def conv(
    want_cache: bool, x: Any, w: Any, b: Any, stride: Any, pad: Any, dilation: Any, groups: Any,
    pad_mode: Any, backend: Any,
) -> Any:  # fmt: skip
    """Compute a convolution; return (out, cache), or without ``want_cache`` out alone.

    None stands for an argument that was not given.
    """
    if not (type(x) is ndarray and x.flags.carray):
        x = arrays.as_input("x", x)
    if not (type(w) is ndarray and w.flags.carray):
        w = arrays.as_input("w", w)
    if not (b is None or (type(b) is ndarray and b.flags.carray)):
        b = arrays.as_input("b", b)
    # As keys 1, 1.0 and True are equal, so anything but an int is looked at first.
    if not (stride is None or type(stride) is int):
        stride = freeze("stride", stride)
    if not (pad is None or type(pad) is int):
        pad = freeze("pad", pad)
    rare = None
    scope = scope_of_context()
    if not (
        dilation is None
        and groups is None
        and pad_mode is None
        and backend is None
        and scope is None
    ):
        dilation = dilation if dilation is None else freeze("dilation", dilation)
        groups = groups if groups is None else freeze("groups", groups)
        pad_mode = pad_mode if pad_mode is None else freeze("pad_mode", pad_mode)
        if not (backend is None or type(backend) is str):
            backend = parse(backend)
        rare = dilation, groups, pad_mode, backend, scope if scope is None else scope_key()
    bias = b if b is None else (b.shape, b.dtype)
    key = x.shape, x.dtype, w.shape, w.dtype, bias, stride, pad, rare
    try:
        plan = table[key]
    except KeyError:
        plan = None
    if plan is None:  # not in the handler: what a new problem raises would tell of the look-up
        geometry = (stride, pad, dilation, groups, pad_mode)
        native = arrays.to_native(CONV.inputs, (x, w, b))
        if native is not None:
            return conv(want_cache, native[0], native[1], native[2], *geometry, backend)
        plan = new_plan(key, CONV, (x, w, b), (geometry,), backend)
    try:
        if want_cache or plan.infer is None:
            result = plan.forward(plan.spec, x, w, b)
        else:
            result = plan.infer(plan.spec, x, w, b), None
    except Exception as error:
        raise call_error(plan, plan.step(want_cache), error) from error
    return _finish(want_cache, plan, result, (x, w), (x, w, b))


def pool(
    want_cache: bool, operation: Operation, x: Any, kernel: Any, stride: Any, pad: Any,
    dilation: Any, ceil_mode: Any, count_include_pad: Any, backend: Any,
) -> Any:  # fmt: skip
    """Compute a pooling; see ``conv``. ``operation`` is MAX_POOL or AVG_POOL."""
    if not (type(x) is ndarray and x.flags.carray):
        x = arrays.as_input("x", x)
    if not (type(kernel) is int or kernel is None):
        kernel = freeze("kernel", kernel)
    if not (stride is None or type(stride) is int):
        stride = freeze("stride", stride)
    if not (pad is None or type(pad) is int):
        pad = freeze("pad", pad)
    rare = None
    scope = scope_of_context()
    if not (
        dilation is None
        and ceil_mode is None
        and count_include_pad is None
        and backend is None
        and scope is None
    ):
        dilation = dilation if dilation is None else freeze("dilation", dilation)
        if ceil_mode is not None:
            ceil_mode = check_flag("ceil_mode", ceil_mode)
        if count_include_pad is not None:
            count_include_pad = check_flag("count_include_pad", count_include_pad)
        if not (backend is None or type(backend) is str):
            backend = parse(backend)
        scope = scope if scope is None else scope_key()
        rare = dilation, ceil_mode, count_include_pad, backend, scope
    key = operation.name, x.shape, x.dtype, kernel, stride, pad, rare
    try:
        plan = table[key]
    except KeyError:
        plan = None
    if plan is None:
        native = arrays.to_native(operation.inputs, (x,))
        if native is not None:
            raw = (kernel, stride, pad, dilation, ceil_mode, count_include_pad)
            return pool(want_cache, operation, native[0], *raw, backend)
        last = (dilation, ceil_mode) if operation is MAX_POOL else (ceil_mode, count_include_pad)
        plan = new_plan(key, operation, (x,), ((kernel, stride, pad, *last),), backend)
    try:
        if want_cache or plan.infer is None:
            result = plan.forward(plan.spec, x)
        else:
            result = plan.infer(plan.spec, x), None
    except Exception as error:
        raise call_error(plan, plan.step(want_cache), error) from error
    return _finish(want_cache, plan, result, (), (x,))


def call(
    want_cache: bool,
    operation: Operation,
    inputs: Sequence[Any],
    geometry: Sequence[Sequence[Any]],
    backend: Any,
) -> Any:
    """Compute any operation; see ``conv``. Its statistics, where it has any, follow the cache."""
    plan, inputs = find_plan(operation, inputs, geometry, backend)
    try:
        if want_cache or plan.infer is None:
            result = plan.forward(*plan.slots, *inputs)
        else:
            result = plan.infer(*plan.slots, *inputs), None
    except Exception as error:
        raise call_error(plan, plan.step(want_cache), error) from error
    kept = tuple(inputs[operation.inputs.index(name)] for name in operation.kept)
    result, statistics = _split_statistics(plan, result, tuple(inputs))
    pair = _finish(want_cache, plan, result, kept, tuple(inputs))
    return (*pair, *statistics) if statistics else pair


def _split_statistics(
    plan: Plan, result: Any, inputs: tuple[Any, ...]
) -> tuple[Any, tuple[Any, ...]]:
    """Return (out, saved) and the checked statistics of what a forward method returned."""
    names = plan.statistics
    if not names:
        return result, ()
    if type(result) is not tuple or len(result) != 2 + len(names):
        raise pair_error(plan.name, plan.method("forward"), result, names)
    for name, value in zip(names, result[2:], strict=True):
        check_result(plan, "forward", name, value, plan.gradients["dgamma"], inputs)
    return result[:2], result[2:]


def _finish(
    want_cache: bool, plan: Plan, result: Any, kept: tuple[Any, ...], inputs: tuple[Any, ...]
) -> Any:
    """Check what a forward or inference method returned; return out, and the cache if wanted.

    ``inputs`` are the arrays of the call; ``kept`` those of them that the cache holds for backward.
    """
    if type(result) is not tuple or len(result) != 2:
        raise pair_error(plan.name, plan.method("forward"), result)
    out, saved = result
    if not (
        type(out) is ndarray
        and out.shape == plan.out_shape
        and out.dtype is plan.dtype
        and (flags := out.flags).carray
        and flags.owndata  # so it is new, unless it is one of the inputs itself
        and (plan.distinct or id(out) not in map(id, inputs))
    ):
        check_result(plan, plan.step(want_cache), "out", out, plan.out_shape, inputs)
    if not want_cache:
        return out
    cache = Cache()
    cache.plan = plan
    cache.kept = kept
    cache.saved = saved
    return out, cache


def backward(
    operation: Operation, dout: Any, cache: Cache, needs: Sequence[str] | None = None
) -> Gradients:
    """Return the gradients that ``needs`` names (None: all), computed by the cache's backend."""
    plan, saved = _plan_of_cache(cache, operation.name)
    dout = arrays.check_dout(dout, plan.out_shape, plan.dtype)
    names = plan.returned
    if len(names) == 1:
        args: tuple[Any, ...] = (dout, *cache.kept, saved)
        wanted: tuple[str, ...] = names
    else:
        everything = needs is None or needs is operation.gradients
        wanted = tuple(plan.gradients) if everything else _wanted(needs, plan)
        if not wanted:
            return (None,) * len(names)
        args = (dout, *cache.kept, saved, wanted)
    try:
        result = plan.backward(*plan.slots, *args)
    except Exception as error:
        raise call_error(plan, "backward", error) from error
    return check_gradients(plan, result, wanted, args)


def _wanted(needs: Any, plan: Plan) -> tuple[str, ...]:
    """Return the wanted gradients in order, without those of inputs that were not given."""
    names = plan.operation.gradients
    if isinstance(needs, str) or not all(name in names for name in needs):
        raise ParameterError(f"needs (={needs!r}) must be a tuple of names from {names}")
    return tuple(name for name in plan.gradients if name in needs)


def _plan_of_cache(cache: Cache, operation: str) -> tuple[Plan, Any]:
    """Return the plan and the saved state that a cache takes back to its backend."""
    plan = check_cache(cache, operation)
    if plan.generation == state.generation and plan.scope is scope_of_context():
        return plan, cache.saved
    record, scope = plan.record, current()
    if record.epoch != state.epoch and not record.given:
        raise CacheError(
            f"cache is out of date: backend {plan.name!r} was reloaded after the forward call; "
            "run the forward call again"
        )
    reference = reference_of(scope)
    # A plan is traced and verified as it was when it was made; who chooses now does not matter.
    if plan.generation != state.generation or reference_of(plan.scope) != reference:
        plan = make_plan(
            plan.operation, plan.specs, record, generation=state.generation, scope=scope
        )
        cache.plan = plan
    saved = cache.saved
    if type(saved) is Verified and reference is None:
        saved = saved.saved
    return plan, saved
