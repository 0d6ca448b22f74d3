"""The path of one call: raw arguments -> plan (one look-up) -> backend's method -> checked result.

A plan is what is known about a problem once it has been seen: its specs and the backend that was
selected for it. Plans are kept in a bounded table keyed on the raw arguments, so that a known
problem costs one dictionary look-up. No geometry and no loop over pixels stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit import registry
from convkit.errors import (
    BackendCallError,
    BackendResultError,
    DtypeError,
    ParameterError,
    ShapeError,
)
from convkit.spec import FLOATS, ConvSpec, PoolSpec, check_flag, freeze

if TYPE_CHECKING:
    from convkit.contract import Array, Backend

_FLOAT32, _FLOAT64 = FLOATS
_MAX_PLANS = 4096

_plans: dict[tuple[Any, ...], Plan] = {}


class Plan:
    """A problem and the backend that computes it."""

    __slots__ = ("backend", "name", "operation", "selection", "specs", "version")

    def __init__(self, operation: str, specs: tuple[Any, ...], argument: Any) -> None:
        self.operation = operation
        self.specs = specs
        self.selection = registry.select(specs, argument)
        record = self.selection.record
        assert record is not None
        assert record.backend is not None
        self.backend: Backend = record.backend
        self.name = record.name
        self.version = record.version

    @property
    def problem(self) -> str:
        """The problem in words, for messages."""
        return " + ".join(map(str, self.specs))


# --- arguments ------------------------------------------------------------------------------


def as_input(name: str, value: Any) -> Array:
    """Return an array as backends get it: C-contiguous, aligned, native, float32 or float64.

    The array itself where it is so already, else a copy. Raises DtypeError.
    """
    if type(value) is np.ndarray:
        dtype = value.dtype
        if (dtype is _FLOAT32 or dtype is _FLOAT64) and value.flags.carray:
            return value
    if isinstance(value, np.ma.MaskedArray):
        raise DtypeError(f"{name} must not be a masked array; fill it with {name}.filled(value)")
    array: Array = np.asarray(value)
    native = array.dtype.newbyteorder("=")
    if native not in FLOATS:
        raise DtypeError(
            f"{name}.dtype (={array.dtype}) must be float32 or float64; cast with "
            f"{name}.astype(np.float32)"
        )
    if array.ndim == 0:
        return array.astype(native)
    array = np.ascontiguousarray(array, dtype=native)
    return array if array.flags.aligned else array.copy()


def plain(name: str, value: Any) -> Any:
    """Return a geometry argument as a dictionary key in which 1, 1.0 and True cannot meet."""
    kind = type(value)
    if kind is int or kind is type(None) or kind is str:
        return value
    return freeze(name, value)


def plan_conv(x: Array, w: Array, b: Array | None, geometry: Sequence[Any], backend: Any) -> Plan:
    """Return the plan of a convolution.

    ``geometry`` is (stride, pad, dilation, groups), each None where it was not given.
    """
    stride, pad, dilation, groups = geometry
    key = (
        x.shape,
        x.dtype,
        w.shape,
        w.dtype,
        None if b is None else (b.shape, b.dtype),
        stride if type(stride) is int else plain("stride", stride),
        pad if type(pad) is int else plain("pad", pad),
        dilation if dilation is None else plain("dilation", dilation),
        groups if groups is None else plain("groups", groups),
        *_selector(backend),
    )
    plan = _plans.get(key)
    if plan is None:
        spec = _conv_spec(x, w, b, geometry)
        plan = _remember(key, Plan("conv", (spec,), backend))
    return plan


def plan_pool(kind: str, x: Array, geometry: Sequence[Any], backend: Any) -> Plan:
    """Return the plan of a pooling.

    ``geometry`` is (kernel, stride, pad, dilation, ceil_mode, count_include_pad), each None where
    it was not given.
    """
    kernel, stride, pad, dilation, ceil_mode, count_include_pad = geometry
    key = (
        kind,
        x.shape,
        x.dtype,
        kernel if type(kernel) is int else plain("kernel", kernel),
        stride if type(stride) is int else plain("stride", stride),
        pad if type(pad) is int else plain("pad", pad),
        dilation if dilation is None else plain("dilation", dilation),
        ceil_mode if ceil_mode is None else check_flag("ceil_mode", ceil_mode),
        count_include_pad
        if count_include_pad is None
        else check_flag("count_include_pad", count_include_pad),
        *_selector(backend),
    )
    plan = _plans.get(key)
    if plan is None:
        spec = _pool_spec(kind, x.shape, x.dtype, geometry)
        plan = _remember(key, Plan(spec.operation, (spec,), backend))
    return plan


def plan_fused(
    x: Array,
    w: Array,
    b: Array | None,
    conv_geometry: Sequence[Any],
    pool_geometry: Sequence[Any],
    backend: Any,
) -> Plan:
    """Return the plan of conv - relu - max pool, with one backend for all of it."""
    key = (
        x.shape,
        x.dtype,
        w.shape,
        w.dtype,
        None if b is None else (b.shape, b.dtype),
        *(plain("conv_param", v) for v in conv_geometry),
        *(v if isinstance(v, bool) else plain("pool_param", v) for v in pool_geometry),
        *_selector(backend),
    )
    plan = _plans.get(key)
    if plan is None:
        conv = _conv_spec(x, w, b, conv_geometry)
        pool = _pool_spec("max", conv.out_shape, conv.dtype, pool_geometry)
        plan = _remember(key, Plan("conv_relu_pool", (conv, pool), backend))
    return plan


def _selector(backend: Any) -> tuple[Any, Any, int]:
    """Return what, besides the problem, decides which backend is selected."""
    if type(backend) is list:
        backend = tuple(backend)
    return backend, registry.context.get(), registry.generation


def _remember(key: tuple[Any, ...], plan: Plan) -> Plan:
    if len(_plans) >= _MAX_PLANS:
        _plans.clear()
    _plans[key] = plan
    return plan


def _conv_spec(x: Array, w: Array, b: Array | None, geometry: Sequence[Any]) -> ConvSpec:
    names = ("stride", "pad", "dilation", "groups")
    return ConvSpec.of(x, w, b, **_given(names, geometry))


def _pool_spec(kind: str, shape: tuple[int, ...], dtype: Any, geometry: Sequence[Any]) -> PoolSpec:
    names = ("kernel", "stride", "pad", "dilation", "ceil_mode", "count_include_pad")
    if geometry[0] is None:
        raise ParameterError(
            "kernel is needed; give kernel=, or pool_height and pool_width in pool_param"
        )
    return PoolSpec.of(shape, kind=kind, dtype=dtype, **_given(names, geometry))


def _given(names: tuple[str, ...], values: Sequence[Any]) -> dict[str, Any]:
    return {n: v for n, v in zip(names, values, strict=True) if v is not None}


# --- calls ----------------------------------------------------------------------------------


def call(plan: Plan, method: str, *args: Any) -> Any:
    """Call a method of the plan's backend; what it raises becomes a BackendCallError."""
    try:
        return getattr(plan.backend, method)(*args)
    except Exception as error:
        raise BackendCallError(
            f"backend {plan.name!r} raised {type(error).__name__} in {method} for "
            f"{plan.problem}: {error}"
        ) from error


def forward(plan: Plan, method: str, out_shape: tuple[int, ...], *args: Any) -> tuple[Array, Any]:
    """Call a forward method and return its checked ``(out, saved)``."""
    result = call(plan, method, *args)
    if type(result) is not tuple or len(result) != 2:
        raise BackendResultError(
            f"backend {plan.name!r}: {method} must return (out, saved), not {_what(result)}"
        )
    check_result(plan, method, "out", result[0], out_shape, args)
    return result


def infer(plan: Plan, method: str, out_shape: tuple[int, ...], *args: Any) -> Array:
    """Call ``method`` (``conv_infer`` ...) where the backend has it, else its forward twin."""
    if getattr(plan.backend, method, None) is None:
        return forward(plan, method.replace("infer", "forward"), out_shape, *args)[0]
    out: Array = call(plan, method, *args)
    check_result(plan, method, "out", out, out_shape, args)
    return out


def gradients(
    plan: Plan, method: str, shapes: dict[str, tuple[int, ...]], needs: tuple[str, ...], *args: Any
) -> tuple[Array | None, Array | None, Array | None]:
    """Call a backward method; return its checked ``(dx, dw, db)``, None where not needed."""
    if not needs:
        return None, None, None
    result = call(plan, method, *args, needs)
    if type(result) is not tuple or len(result) != 3:
        raise BackendResultError(
            f"backend {plan.name!r}: {method} must return (dx, dw, db), not {_what(result)}"
        )
    for name, value in zip(("dx", "dw", "db"), result, strict=True):
        if name in needs:
            check_result(plan, method, name, value, shapes[name], args)
    dx, dw, db = result
    return (
        dx if "dx" in needs else None,
        dw if "dw" in needs else None,
        db if "db" in needs else None,
    )


def check_result(
    plan: Plan, method: str, what: str, value: Any, shape: tuple[int, ...], inputs: tuple[Any, ...]
) -> None:
    """Raise BackendResultError unless ``value`` is a new C-contiguous array as agreed."""
    dtype = plan.specs[0].dtype
    if type(value) is not np.ndarray:
        problem = f"is {_what(value)}, not a numpy.ndarray"
    elif value.shape != shape:
        problem = f"has shape {value.shape} instead of {shape}"
    elif value.dtype != dtype:
        problem = f"has dtype {value.dtype} instead of {dtype}"
    elif not value.flags.carray:
        problem = "is read-only" if not value.flags.writeable else "is not C-contiguous and aligned"
    elif _aliases(value, inputs):
        problem = "shares memory with an input; return a new array"
    else:
        return
    raise BackendResultError(
        f"backend {plan.name!r} returned a wrong {what} from {method} for {plan.problem}: {problem}"
    )


def _aliases(value: Array, inputs: tuple[Any, ...]) -> bool:
    if value.base is None:  # it owns its memory: it can only be an input itself
        return any(value is i for i in inputs)
    return any(isinstance(i, np.ndarray) and np.may_share_memory(value, i) for i in inputs)


def _what(value: Any) -> str:
    if type(value) is tuple:
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"


def check_dout(dout: Any, plan: Plan) -> Array:
    """Return ``dout`` as backends get it; raise unless it fits the forward call's out."""
    array = as_input("dout", dout)
    spec = plan.specs[-1]
    if array.dtype != spec.dtype:
        raise DtypeError(
            f"dout.dtype (={array.dtype}) must equal x.dtype (={spec.dtype}); "
            f"cast with dout.astype(np.{spec.dtype})"
        )
    if array.shape != spec.out_shape:
        raise ShapeError(
            f"dout.shape (={array.shape}) must equal the shape of the forward call's out "
            f"(={spec.out_shape})"
        )
    return array
