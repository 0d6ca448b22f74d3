"""The path of one call: raw arguments -> plan (one look-up) -> backend's method -> checked result.

A plan is what is known about a problem once it has been seen: its specs, the backend that was
selected and that backend's methods. Plans are kept in a bounded table keyed on the raw arguments,
so that a known problem costs one dictionary look-up. No geometry and no loop over pixels stands
here.

The first functions are written for speed, because on a small problem they are what a call costs:
attributes are read once, the usual case is tested in line, and everything that raises or converts
is left to the slow functions after them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit import registry, selection
from convkit.cache import Cache, Verified, check_cache
from convkit.errors import (
    BackendCallError,
    BackendResultError,
    CacheError,
    DtypeError,
    ParameterError,
    ShapeError,
    VerifyError,
)
from convkit.registry import Record
from convkit.spec import FLOATS, ConvSpec, PoolSpec, check_flag, freeze

if TYPE_CHECKING:
    from convkit.contract import Array

_MAX_PLANS = 4096

ndarray = np.ndarray
scope_of_context = selection.context.get
_plans: dict[tuple[Any, ...], Plan] = {}
_lock = threading.Lock()

FORWARD = {
    "conv": "conv_forward",
    "max_pool": "pool_forward",
    "avg_pool": "pool_forward",
    "conv_relu_pool": "conv_relu_pool_forward",
}


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
        chosen: selection.Selection | None = None,
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


# --- the fast path --------------------------------------------------------------------------


def plan_conv(
    x: Any, w: Any, b: Any, stride: Any, pad: Any, dilation: Any, groups: Any, backend: Any
) -> tuple[Plan, Array, Array, Array | None]:
    """Return the plan of a convolution, and its arrays as backends get them.

    None stands for an argument that was not given.
    """
    if not (type(x) is ndarray and x.flags.carray):
        x = as_input("x", x)
    if not (type(w) is ndarray and w.flags.carray):
        w = as_input("w", w)
    if not (b is None or (type(b) is ndarray and b.flags.carray)):
        b = as_input("b", b)
    # As keys 1, 1.0 and True are equal, so anything but an int is looked at first.
    if not (stride is None or type(stride) is int):
        stride = freeze("stride", stride)
    if not (pad is None or type(pad) is int):
        pad = freeze("pad", pad)
    if dilation is not None:
        dilation = freeze("dilation", dilation)
    if groups is not None:
        groups = freeze("groups", groups)
    if not (backend is None or type(backend) is str):
        backend = selection.parse(backend)
    scope = scope_of_context()
    if scope is not None:
        scope = scope_key()
    bias = b if b is None else (b.shape, b.dtype)
    key = (
        x.shape, x.dtype, w.shape, w.dtype, bias, stride, pad, dilation, groups, backend, scope,
        registry.generation,
    )  # fmt: skip
    plan = _plans.get(key)
    if plan is not None:
        return plan, x, w, b
    return _new_conv(key, x, w, b, (stride, pad, dilation, groups), backend)


def plan_pool(
    kind: str, x: Any, kernel: Any, stride: Any, pad: Any, dilation: Any, ceil_mode: Any,
    count_include_pad: Any, backend: Any,
) -> tuple[Plan, Array]:  # fmt: skip
    """Return the plan of a pooling, and x as backends get it; see ``plan_conv``."""
    if not (type(x) is ndarray and x.flags.carray):
        x = as_input("x", x)
    if not (type(kernel) is int or kernel is None):
        kernel = freeze("kernel", kernel)
    if not (stride is None or type(stride) is int):
        stride = freeze("stride", stride)
    if not (pad is None or type(pad) is int):
        pad = freeze("pad", pad)
    if dilation is not None:
        dilation = freeze("dilation", dilation)
    if ceil_mode is not None:
        ceil_mode = check_flag("ceil_mode", ceil_mode)
    if count_include_pad is not None:
        count_include_pad = check_flag("count_include_pad", count_include_pad)
    if not (backend is None or type(backend) is str):
        backend = selection.parse(backend)
    scope = scope_of_context()
    if scope is not None:
        scope = scope_key()
    key = (
        kind, x.shape, x.dtype, kernel, stride, pad, dilation, ceil_mode, count_include_pad,
        backend, scope, registry.generation,
    )  # fmt: skip
    plan = _plans.get(key)
    if plan is not None:
        return plan, x
    geometry = (kernel, stride, pad, dilation, ceil_mode, count_include_pad)
    return _new_pool(key, kind, x, geometry, backend)


def forward(plan: Plan, *args: Any) -> tuple[Array, Any]:
    """Call the plan's forward method and return its checked ``(out, saved)``."""
    try:
        out, saved = result = plan.forward(*plan.specs, *args)
    except Exception as error:
        raise failure(plan, "forward", error) from error
    if not (
        type(out) is ndarray
        and type(result) is tuple
        and out.shape == plan.out_shape
        and out.dtype is plan.dtype
        and out.flags.carray
        and out.base is None  # it owns its memory, so it is new unless it is an input itself
        and out is not args[0]
    ):
        check_result(plan, "forward", "out", out, plan.out_shape, args)
    return out, saved


def infer(plan: Plan, *args: Any) -> Array:
    """Return the checked out of the plan's infer method, or else of its forward method."""
    if plan.infer is None:
        return forward(plan, *args)[0]
    try:
        out: Array = plan.infer(plan.spec, *args)
    except Exception as error:
        raise failure(plan, "infer", error) from error
    if not (
        type(out) is ndarray
        and out.shape == plan.out_shape
        and out.dtype is plan.dtype
        and out.flags.carray
        and out.base is None
        and out is not args[0]
    ):
        check_result(plan, "infer", "out", out, plan.out_shape, args)
    return out


def backward(plan: Plan, *args: Any) -> Any:
    """Return what the plan's backward method returns; the caller checks it."""
    try:
        return plan.backward(*plan.specs, *args)
    except Exception as error:
        raise failure(plan, "backward", error) from error


# --- arguments ------------------------------------------------------------------------------


def as_input(name: str, value: Any) -> Array:
    """Return an array as backends get it: C-contiguous, aligned, native, float32 or float64.

    The array itself where it is so already, else a copy. Raises DtypeError.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise DtypeError(f"{name} must not be a masked array; fill it with {name}.filled(value)")
    try:
        array: Array = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise ShapeError(f"{name} cannot be made an array: {error}; give a regular one") from error
    native = array.dtype.newbyteorder("=")
    if native not in FLOATS:
        raise DtypeError(
            f"{name}.dtype (={array.dtype}) must be float32 or float64; cast with "
            f"{name}.astype(np.float32)"
        )
    dtype = FLOATS[FLOATS.index(native)]  # NumPy's own object, which makes no new view of an array
    array = np.asarray(array, dtype, order="C")
    return array if array.flags.aligned else array.copy()


def scope_key() -> Any:
    """Return what a plan depends on of the open ``with`` blocks."""
    scope = selection.current()
    return None if scope is None else scope.key()


def _new_conv(
    key: tuple[Any, ...], x: Array, w: Array, b: Array | None, geometry: Sequence[Any], backend: Any
) -> tuple[Plan, Array, Array, Array | None]:
    """Return a new plan of a convolution; other byte orders first become native."""
    x2, w2, b2 = as_input("x", x), as_input("w", w), None if b is None else as_input("b", b)
    if not (x2 is x and w2 is w and b2 is b):
        stride, pad, dilation, groups = geometry
        return plan_conv(x2, w2, b2, stride, pad, dilation, groups, backend)
    names = ("stride", "pad", "dilation", "groups")
    spec = ConvSpec.of(x, w, b, **_given(names, geometry))
    return remember(key, "conv", (spec,), backend), x, w, b


def _new_pool(
    key: tuple[Any, ...], kind: str, x: Array, geometry: Sequence[Any], backend: Any
) -> tuple[Plan, Array]:
    native = as_input("x", x)
    if native is not x:
        kernel, stride, pad, dilation, ceil_mode, count = geometry
        return plan_pool(kind, native, kernel, stride, pad, dilation, ceil_mode, count, backend)
    spec = pool_spec(kind, x.shape, x.dtype, geometry)
    return remember(key, spec.operation, (spec,), backend), x


def plan_fused(
    x: Any, w: Any, b: Any, conv: Sequence[Any], pool: Sequence[Any], backend: Any
) -> tuple[Plan, Array, Array, Array | None]:
    """Return the plan of conv - relu - max pool, with one backend for all of it."""
    x, w, b = as_input("x", x), as_input("w", w), None if b is None else as_input("b", b)
    if not (backend is None or type(backend) is str):
        backend = selection.parse(backend)
    key = (
        x.shape, x.dtype, w.shape, w.dtype,
        b if b is None else (b.shape, b.dtype),
        *(v if v is None else freeze("conv_param", v) for v in conv),
        # bools stand in their own place, so they meet no int
        *(v if v is None or isinstance(v, bool) else freeze("pool_param", v) for v in pool),
        backend, scope_key(), registry.generation,
    )  # fmt: skip
    plan = _plans.get(key)
    if plan is None:
        names = ("stride", "pad", "dilation", "groups")
        spec = ConvSpec.of(x, w, b, **_given(names, conv))
        specs = (spec, pool_spec("max", spec.out_shape, spec.dtype, pool))
        plan = remember(key, "conv_relu_pool", specs, backend)
    return plan, x, w, b


def pool_spec(kind: str, shape: tuple[int, ...], dtype: Any, geometry: Sequence[Any]) -> PoolSpec:
    """Return the spec of a pooling from its raw arguments, None for what was not given."""
    names = ("kernel", "stride", "pad", "dilation", "ceil_mode", "count_include_pad")
    if geometry[0] is None:
        raise ParameterError(
            "kernel is needed; give kernel=, or pool_height and pool_width in pool_param"
        )
    return PoolSpec.of(shape, kind=kind, dtype=dtype, **_given(names, geometry))


def _given(names: tuple[str, ...], values: Sequence[Any]) -> dict[str, Any]:
    return {n: v for n, v in zip(names, values, strict=True) if v is not None}


def remember(key: tuple[Any, ...], operation: str, specs: tuple[Any, ...], backend: Any) -> Plan:
    """Select a backend and store the plan under ``key``, in a table that cannot grow for ever."""
    stamp = registry.generation
    chosen = selection.select(specs, backend)
    assert chosen.record is not None
    plan = Plan(operation, specs, chosen.record, stamp, selection.current(), chosen)
    with _lock:
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        _plans[key] = plan
    return plan


# --- results --------------------------------------------------------------------------------


def method_of(plan: Plan, step: str) -> str:
    """Return the name of the backend's method behind ``step``: forward, infer or backward."""
    return FORWARD[plan.operation].replace("forward", step)


def failure(plan: Plan, step: str, error: Exception) -> Exception:
    """Return the error to raise where a call raised ``error``."""
    if isinstance(error, BackendCallError | BackendResultError | VerifyError | CacheError):
        return error  # already in the words of the part that found it
    if isinstance(error, TypeError | ValueError) and "unpack" in str(error) and step == "forward":
        return BackendResultError(
            f"backend {plan.name!r}: {method_of(plan, step)} must return (out, saved): {error}"
        )
    return BackendCallError(
        f"backend {plan.name!r} raised {type(error).__name__} in {method_of(plan, step)} for "
        f"{plan.problem}: {error}"
    )


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
            f"not {_what(result)}"
        )
    found: list[Array | None] = [None, None, None]
    for i, name in enumerate(("dx", "dw", "db")):
        if name in needs:
            check_result(plan, "backward", name, result[i], plan.gradient_shapes[i], args)
            found[i] = result[i]
    return found[0], found[1], found[2]


def check_result(
    plan: Plan, step: str, what: str, value: Any, shape: tuple[int, ...], inputs: tuple[Any, ...]
) -> None:
    """Raise BackendResultError unless ``value`` is a new C-contiguous array as agreed."""
    problem = wrong(value, shape, plan.dtype, inputs)
    if problem:
        raise BackendResultError(
            f"backend {plan.name!r} returned a wrong {what} from {method_of(plan, step)} for "
            f"{plan.problem}: it {problem}"
        )


def wrong(value: Any, shape: tuple[int, ...], dtype: Any, inputs: tuple[Any, ...]) -> str:
    """Return what is wrong with a backend's result; empty where nothing is."""
    if type(value) is not ndarray:
        return f"is {_what(value)}, not a numpy.ndarray"
    if value.shape != shape:
        return f"has shape {value.shape} instead of {shape}"
    if value.dtype != dtype:
        return f"has dtype {value.dtype} instead of {dtype}"
    if not value.flags.writeable:
        return "is read-only"
    if not value.flags.carray:
        return "is not C-contiguous and aligned"
    if value.base is None:  # it owns its memory: it can only be an input itself
        shared = any(value is i for i in inputs)
    else:
        shared = any(isinstance(i, ndarray) and np.may_share_memory(value, i) for i in inputs)
    return "shares memory with an input; return a new array" if shared else ""


def _what(value: Any) -> str:
    if type(value) is tuple:
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"


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


def check_dout(dout: Any, plan: Plan) -> Array:
    """Return ``dout`` as backends get it; raise unless it fits the forward call's out."""
    array: Array = dout
    if not (type(dout) is ndarray and dout.dtype is plan.dtype and dout.flags.carray):
        array = as_input("dout", dout)
    if array.dtype != plan.dtype:
        raise DtypeError(
            f"dout.dtype (={array.dtype}) must equal x.dtype (={plan.dtype}); "
            f"cast with dout.astype(np.{plan.dtype})"
        )
    if array.shape != plan.out_shape:
        raise ShapeError(
            f"dout.shape (={array.shape}) must equal the shape of the forward call's out "
            f"(={plan.out_shape})"
        )
    return array
