"""The path of one call: raw arguments -> plan (one look-up) -> backend's method -> checked result.

No geometry and no loop over pixels stands here. ``conv`` and ``pool`` are written for speed,
because on a small problem they are what a call costs: each is one function that tests the usual
case in line, and everything that raises, converts or selects is left to the functions it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit import choice, inputs, plans, registry, selection
from convkit.cache import Cache, Verified, check_cache, new_cache
from convkit.errors import BackendResultError, CacheError
from convkit.plans import Plan
from convkit.results import check_result, failure, kind_of, method_of, no_pair
from convkit.spec import check_flag, freeze

if TYPE_CHECKING:
    from convkit.contract import Array

ndarray = np.ndarray
scope_of_context = selection.context.get
known = plans.table


def conv(
    keep: bool, x: Any, w: Any, b: Any, stride: Any, pad: Any, dilation: Any, groups: Any,
    backend: Any,
) -> Any:  # fmt: skip
    """Compute a convolution; return out, or with ``keep`` out and the cache.

    None stands for an argument that was not given.
    """
    if not (type(x) is ndarray and x.flags.carray):
        x = inputs.as_input("x", x)
    if not (type(w) is ndarray and w.flags.carray):
        w = inputs.as_input("w", w)
    if not (b is None or (type(b) is ndarray and b.flags.carray)):
        b = inputs.as_input("b", b)
    # As keys 1, 1.0 and True are equal, so anything but an int is looked at first.
    if not (stride is None or type(stride) is int):
        stride = freeze("stride", stride)
    if not (pad is None or type(pad) is int):
        pad = freeze("pad", pad)
    seldom = None
    scope = scope_of_context()
    if not (dilation is None and groups is None and backend is None and scope is None):
        dilation = dilation if dilation is None else freeze("dilation", dilation)
        groups = groups if groups is None else freeze("groups", groups)
        if not (backend is None or type(backend) is str):
            backend = choice.parse(backend)
        seldom = dilation, groups, backend, scope if scope is None else plans.scope_key()
    bias = b if b is None else (b.shape, b.dtype)
    key = x.shape, x.dtype, w.shape, w.dtype, bias, stride, pad, seldom
    try:
        plan = known[key]
    except KeyError:
        plan = None
    if plan is None:
        native = inputs.native(x, w, b)
        if native is not None:
            x, w, b = native
            return conv(keep, x, w, b, stride, pad, dilation, groups, backend)
        plan = plans.new_conv(key, x, w, b, (stride, pad, dilation, groups), backend)
    try:
        if keep or plan.infer is None:
            result = plan.forward(plan.spec, x, w, b)
        else:
            result = plan.infer(plan.spec, x, w, b), None
    except Exception as error:
        raise failure(plan, plan.step(keep), error) from error
    if type(result) is not tuple:
        raise no_pair(plan.name, method_of(plan, "forward"), result)
    try:
        out, saved = result
    except ValueError:
        raise no_pair(plan.name, method_of(plan, "forward"), result) from None
    if not (
        type(out) is ndarray
        and out.shape == plan.out_shape
        and out.dtype is plan.dtype
        and (flags := out.flags).carray
        and flags.owndata  # so it is new, unless it is an input itself
        and out is not x
        and out is not w
    ):
        check_result(plan, plan.step(keep), "out", out, plan.out_shape, (x, w, b))
    if not keep:
        return out
    cache = Cache()
    cache.plan = plan
    cache.x = x
    cache.w = w
    cache.saved = saved
    return out, cache


def pool(
    keep: bool, kind: str, x: Any, kernel: Any, stride: Any, pad: Any, dilation: Any,
    ceil_mode: Any, count_include_pad: Any, backend: Any,
) -> Any:  # fmt: skip
    """Compute a pooling; see ``conv``."""
    if not (type(x) is ndarray and x.flags.carray):
        x = inputs.as_input("x", x)
    if not (type(kernel) is int or kernel is None):
        kernel = freeze("kernel", kernel)
    if not (stride is None or type(stride) is int):
        stride = freeze("stride", stride)
    if not (pad is None or type(pad) is int):
        pad = freeze("pad", pad)
    seldom = None
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
            backend = choice.parse(backend)
        scope = scope if scope is None else plans.scope_key()
        seldom = dilation, ceil_mode, count_include_pad, backend, scope
    key = kind, x.shape, x.dtype, kernel, stride, pad, seldom
    try:
        plan = known[key]
    except KeyError:
        plan = None
    if plan is None:
        geometry = (kernel, stride, pad, dilation, ceil_mode, count_include_pad)
        native = inputs.native(x)
        if native is not None:
            return pool(keep, kind, native[0], *geometry, backend)
        plan = plans.new_pool(key, kind, x, geometry, backend)
    try:
        if keep or plan.infer is None:
            result = plan.forward(plan.spec, x)
        else:
            result = plan.infer(plan.spec, x), None
    except Exception as error:
        raise failure(plan, plan.step(keep), error) from error
    if type(result) is not tuple:
        raise no_pair(plan.name, method_of(plan, "forward"), result)
    try:
        out, saved = result
    except ValueError:
        raise no_pair(plan.name, method_of(plan, "forward"), result) from None
    if not (
        type(out) is ndarray
        and out.shape == plan.out_shape
        and out.dtype is plan.dtype
        and (flags := out.flags).carray
        and flags.owndata
        and out is not x
    ):
        check_result(plan, plan.step(keep), "out", out, plan.out_shape, (x,))
    if not keep:
        return out
    cache = Cache()
    cache.plan = plan
    cache.x = cache.w = None
    cache.saved = saved
    return out, cache


def fused(
    x: Any, w: Any, b: Any, conv: Sequence[Any], pool: Sequence[Any], backend: Any
) -> tuple[Array, Cache]:
    """Compute conv - relu - max pool; return out and the cache."""
    plan, x, w, b = plans.find_fused(x, w, b, conv, pool, backend)
    try:
        result = plan.forward(*plan.specs, x, w, b)
    except Exception as error:
        raise failure(plan, "forward", error) from error
    if type(result) is not tuple or len(result) != 2:
        raise no_pair(plan.name, method_of(plan, "forward"), result)
    out, saved = result
    check_result(plan, "forward", "out", out, plan.out_shape, (x, w, b))
    return out, new_cache(plan, x, w, saved)


def backward(plan: Plan, *args: Any) -> Any:
    """Return what the plan's backward method returns; the caller checks it."""
    try:
        return plan.backward(*plan.specs, *args)
    except Exception as error:
        raise failure(plan, "backward", error) from error


def gradients(
    plan: Plan, needs: tuple[str, ...], *args: Any
) -> tuple[Array | None, Array | None, Array | None]:
    """Call a convolution's backward method; return its checked ``(dx, dw, db)``.

    None stands for what is not needed.
    """
    if not needs:
        return None, None, None
    result = backward(plan, *args, needs)
    if type(result) is not tuple or len(result) != 3:
        raise BackendResultError(
            f"backend {plan.name!r}: {method_of(plan, 'backward')} must return (dx, dw, db), "
            f"not {kind_of(result)}"
        )
    found: list[Array | None] = [None, None, None]
    for i, name in enumerate(("dx", "dw", "db")):
        if name in needs:
            check_result(plan, "backward", name, result[i], plan.gradient_shapes[i], args)
            found[i] = result[i]
    return found[0], found[1], found[2]


# --- the way back ---------------------------------------------------------------------------


def home(cache: Cache, operation: str) -> tuple[Plan, Any]:
    """Return the plan and the saved state that a cache brings back to its backend."""
    plan = check_cache(cache, operation)
    if plan.stamp == registry.generation and plan.scope is scope_of_context():
        return plan, cache.saved
    record, scope = plan.record, selection.current()
    if record.epoch != registry.epoch and not record.given:
        raise CacheError(
            f"cache is out of date: backend {plan.name!r} was reloaded after the forward call; "
            "run the forward call again"
        )
    # Watched calls are made by watched plans; who chooses now does not matter.
    if plan.stamp != registry.generation or _verify(plan.scope) != _verify(scope):
        plan = Plan(plan.operation, plan.specs, record, registry.generation, scope)
        cache.plan = plan
    saved = cache.saved
    if type(saved) is Verified and _verify(scope) is None:
        saved = saved.saved
    return plan, saved


def _verify(scope: selection.Scope | None) -> Any:
    return (scope.verify if scope else None) or selection.variable("CONVKIT_VERIFY") or None
