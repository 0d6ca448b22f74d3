"""The table of operations: the facts of each, stated once.

The API's parameter dictionaries, dispatch, the plug-in check, tracing, verification, the
conformance suite and the benchmarks read it. Nothing here computes, and no backend is named.

To add an operation, add an entry here and follow "How to add an operation" in ARCHITECTURE.md; a
test lists what is still missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from convkit.errors import ParameterError
from convkit.spec import (
    ConvSpec,
    ConvTransposeSpec,
    NormSpec,
    PoolSpec,
    check_eps,
    check_flag,
    freeze,
)

Step: TypeAlias = Literal["forward", "infer", "backward"]
Specs: TypeAlias = tuple[Any, ...]

REQUIRED: Final = "required"
"""In place of a default: the parameter has to be given."""


@dataclass(frozen=True)
class Parameters:
    """One parameter dictionary of the API.

    ``defaults`` holds the value of each parameter that is not given: `REQUIRED` where there is
    none, and None where it follows from another one, as a pool's stride follows from its kernel.
    ``spellings`` holds, for a parameter, the keys by which the course gives it axis by axis.
    ``others`` are keys that the API reads itself and that are no part of a problem.
    """

    name: str
    defaults: Mapping[str, Any]
    spellings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    others: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the dictionary may have: every parameter, the others, and the backend."""
        return (*self.defaults, *self.others, "backend")

    def read(self, key: str, value: Any) -> Any:
        """Return a parameter in one hashable form: what is equal as a key then means the same.

        None, which stands for what was not given, stays so. Raises ParameterError.
        """
        if value is None:
            return None
        default = self.defaults[key]
        if isinstance(default, bool):
            return check_flag(key, value)
        if isinstance(default, float):
            return check_eps(value)
        return freeze(key, value)

    def given(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return what was given, by name. ``values`` are in the order of ``defaults``.

        None stands for what was not given. Raises ParameterError where a required one is missing.
        """
        pairs = zip(self.defaults, values, strict=True)
        found = {name: value for name, value in pairs if value is not None}
        for name, default in self.defaults.items():
            if default is REQUIRED and name not in found:
                keys = self.spellings.get(name, ())
                also = f", or {' and '.join(keys)} in {self.name}" if keys else ""
                raise ParameterError(f"{name} is needed; give {name}={also}")
        return found


@dataclass(frozen=True)
class Operation:
    """One operation of the API and of backends.

    Attributes
    ----------
    name:
        The API has ``<name>_forward`` and ``<name>_backward``, and where ``infer`` also ``<name>``.
    inputs:
        The arrays of a forward call, in order.
    kept:
        Which of them the cache holds and hands to backward.
    gradients:
        What backward returns, in order. ``"dx"`` has the shape ``x_shape`` of the spec, and so on;
        a shape of None means that the input was not given. Its gradient is None then; those of
        ``trailing`` are not there at all.
    parts:
        What each spec's ``operation`` says: ``("conv", "max_pool")`` for a ConvSpec and a PoolSpec.
    parameters:
        The parameter dictionaries, one for each spec.
    optional:
        How many of the last parameter dictionaries need not be given. A problem has no spec for
        one that is not, and a method gets None in its place.
    make_specs:
        ``(inputs, parameters, dtype) -> specs``, where inputs are arrays, or shapes together with
        a dtype, and parameters are dictionaries of what was given.
    methods:
        The stem of the backend's methods: ``<methods>_forward``, ``_infer`` and ``_backward``.
    statistics:
        What forward returns besides out where a spec's ``training`` is True, one value per channel.
    composed_of:
        None where every backend has the methods. Otherwise a backend has forward and backward or
        none, and convkit composes the operation where it has none, or declines the problem
        (:mod:`convkit.calls.fallback`): ``composed_of(specs)`` are the specs of the parts.
    infer:
        Whether there is an inference call, which keeps nothing for backward. Its method is
        optional in every backend.
    """

    name: str
    inputs: tuple[str, ...]
    kept: tuple[str, ...]
    gradients: tuple[str, ...]
    parts: tuple[str, ...]
    parameters: tuple[Parameters, ...]
    make_specs: Callable[[Sequence[Any], Sequence[Mapping[str, Any]], Any], Specs]
    methods: str
    optional: int = 0
    trailing: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    composed_of: Callable[[Specs], Specs] | None = None
    infer: bool = True

    @property
    def required(self) -> bool:
        """Whether every backend has the operation's forward and backward methods."""
        return self.composed_of is None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that a backend may have a method for."""
        return ("forward", "infer", "backward") if self.infer else ("forward", "backward")

    def method(self, step: Step) -> str:
        """Return the name of the backend's method for a step."""
        return f"{self.methods}_{step}"

    def arguments(self, step: Step) -> tuple[str, ...]:
        """Return the positional arguments of the backend's method for a step.

        Backward gets ``needs``, the names of the gradients that are wanted, where there is more
        than one gradient.
        """
        kinds = (p.name.removesuffix("_param") for p in self.parameters)
        specs = tuple(f"{'norm' if kind == 'bn' else kind}_spec" for kind in kinds)
        specs = specs if len(specs) > 1 else ("spec",)
        if step != "backward":
            return (*specs, *self.inputs)
        needs = ("needs",) if len(self.gradients) > 1 else ()
        return (*specs, "dout", *self.kept, "saved", *needs)

    def slots(self, specs: Specs) -> Specs:
        """Return a problem's specs as methods get them: None for a part that is not there."""
        return (*specs, *(None,) * (len(self.parameters) - len(specs)))

    def fits(self, specs: Specs) -> bool:
        """Whether specs are of the kinds that its problems have."""
        kinds = tuple(spec.operation for spec in specs)
        return kinds in (self.parts, self.parts[: len(self.parts) - self.optional])

    def gradient_shapes(self, specs: Specs) -> dict[str, tuple[int, ...]]:
        """Return the shape of each gradient that backward can give, by its name."""
        shapes = {name: _shape(specs, f"{name[1:]}_shape") for name in self.gradients}
        return {name: shape for name, shape in shapes.items() if shape is not None}

    def returned(self, specs: Specs) -> tuple[str, ...]:
        """Return the names of the gradients in backward's tuple."""
        given = self.gradient_shapes(specs)
        return tuple(n for n in self.gradients if n in given or n not in self.trailing)


def _shape(specs: Specs, attribute: str) -> tuple[int, ...] | None:
    """Return a shape that the first spec to know it has."""
    found: tuple[int, ...] | None = next(
        getattr(spec, attribute) for spec in specs if hasattr(spec, attribute)
    )
    return found


# --- parameter dictionaries -----------------------------------------------------------------

_COURSE_KERNEL = MappingProxyType({"kernel": ("pool_height", "pool_width")})

CONV_PARAM = Parameters(
    "conv_param",
    MappingProxyType({"stride": 1, "pad": 0, "dilation": 1, "groups": 1, "pad_mode": "zeros"}),
)
CONV_TRANSPOSE_PARAM = Parameters(
    "conv_param",
    MappingProxyType({"stride": 1, "pad": 0, "output_pad": 0, "dilation": 1, "groups": 1}),
)
BATCH_NORM_PARAM = Parameters(
    "bn_param",
    MappingProxyType({"training": True, "eps": 1e-5, "relu": False}),
    others=("mode", "running_mean", "running_var", "momentum", "unbiased"),
)
CONV_BN_PARAM = Parameters(
    "bn_param",
    MappingProxyType({"training": True, "eps": 1e-5, "relu": True}),
    others=BATCH_NORM_PARAM.others,
)
"""Of the normalisation in conv_bn_relu, whose relu is there unless it is asked not to be."""
GROUP_NORM_PARAM = Parameters(
    "gn_param", MappingProxyType({"groups": REQUIRED, "eps": 1e-5, "relu": False})
)
MAX_POOL_PARAM = Parameters(
    "pool_param",
    MappingProxyType(
        {"kernel": REQUIRED, "stride": None, "pad": 0, "dilation": 1, "ceil_mode": False}
    ),
    _COURSE_KERNEL,
)
AVG_POOL_PARAM = Parameters(
    "pool_param",
    MappingProxyType(
        {
            "kernel": REQUIRED,
            "stride": None,
            "pad": 0,
            "ceil_mode": False,
            "count_include_pad": False,
        }
    ),
    _COURSE_KERNEL,
)

# --- how specs are made ---------------------------------------------------------------------


def _conv_specs(inputs: Sequence[Any], given: Sequence[Mapping[str, Any]], dtype: Any) -> Specs:
    return (ConvSpec.of(*inputs, dtype=dtype, **given[0]),)


def _conv_transpose_specs(
    inputs: Sequence[Any], given: Sequence[Mapping[str, Any]], dtype: Any
) -> Specs:
    return (ConvTransposeSpec.of(*inputs, dtype=dtype, **given[0]),)


def _batch_norm_specs(
    inputs: Sequence[Any], given: Sequence[Mapping[str, Any]], dtype: Any
) -> Specs:
    return (NormSpec.of(*inputs, kind="batch", dtype=dtype, **given[0]),)


def _group_norm_specs(
    inputs: Sequence[Any], given: Sequence[Mapping[str, Any]], dtype: Any
) -> Specs:
    x, gamma, beta, residual = inputs
    return (NormSpec.of(x, gamma, beta, residual=residual, kind="group", dtype=dtype, **given[0]),)


def _max_pool_specs(inputs: Sequence[Any], given: Sequence[Mapping[str, Any]], dtype: Any) -> Specs:
    return (PoolSpec.of(inputs[0], kind="max", dtype=dtype, **given[0]),)


def _avg_pool_specs(inputs: Sequence[Any], given: Sequence[Mapping[str, Any]], dtype: Any) -> Specs:
    return (PoolSpec.of(inputs[0], kind="avg", dtype=dtype, **given[0]),)


def _conv_relu_pool_specs(
    inputs: Sequence[Any], given: Sequence[Mapping[str, Any]], dtype: Any
) -> Specs:
    conv = ConvSpec.of(*inputs, dtype=dtype, **given[0])
    return conv, PoolSpec.of(conv.out_shape, kind="max", dtype=conv.dtype, **given[1])


def _conv_bn_relu_specs(
    inputs: Sequence[Any], given: Sequence[Mapping[str, Any]], dtype: Any
) -> Specs:
    x, w, b, *rest = inputs
    conv = ConvSpec.of(x, w, b, dtype=dtype, **given[0])
    norm = {"relu": True, **given[1]}
    specs = (conv, NormSpec.after(conv, *rest, dtype=dtype, **norm))
    if not given[2]:
        return specs
    return *specs, PoolSpec.of(conv.out_shape, kind="max", dtype=conv.dtype, **given[2])


# --- the table ------------------------------------------------------------------------------

CONV = Operation(
    name="conv",
    inputs=("x", "w", "b"),
    kept=("x", "w"),
    gradients=("dx", "dw", "db"),
    parts=("conv",),
    parameters=(CONV_PARAM,),
    make_specs=_conv_specs,
    methods="conv",
)
MAX_POOL = Operation(
    name="max_pool",
    inputs=("x",),
    kept=(),
    gradients=("dx",),
    parts=("max_pool",),
    parameters=(MAX_POOL_PARAM,),
    make_specs=_max_pool_specs,
    methods="pool",
)
AVG_POOL = Operation(
    name="avg_pool",
    inputs=("x",),
    kept=(),
    gradients=("dx",),
    parts=("avg_pool",),
    parameters=(AVG_POOL_PARAM,),
    make_specs=_avg_pool_specs,
    methods="pool",
)
CONV_RELU_POOL = Operation(
    name="conv_relu_pool",
    inputs=("x", "w", "b"),
    kept=("x", "w"),
    gradients=("dx", "dw", "db"),
    parts=("conv", "max_pool"),
    parameters=(CONV_PARAM, MAX_POOL_PARAM),
    make_specs=_conv_relu_pool_specs,
    methods="conv_relu_pool",
    composed_of=lambda specs: specs,
    infer=False,
)
CONV_RELU = Operation(
    name="conv_relu",
    inputs=("x", "w", "b"),
    kept=("x", "w"),
    gradients=("dx", "dw", "db"),
    parts=("conv",),
    parameters=(CONV_PARAM,),
    make_specs=_conv_specs,
    methods="conv_relu",
    composed_of=lambda specs: specs,
)
CONV_TRANSPOSE = Operation(
    name="conv_transpose",
    inputs=("x", "w", "b"),
    kept=("x", "w"),
    gradients=("dx", "dw", "db"),
    parts=("conv_transpose",),
    parameters=(CONV_TRANSPOSE_PARAM,),
    make_specs=_conv_transpose_specs,
    methods="conv_transpose",
    composed_of=lambda specs: (specs[0].adjoint,),
)

BATCH_NORM = Operation(
    name="batch_norm",
    inputs=("x", "gamma", "beta", "mean", "var", "residual"),
    kept=("x", "gamma", "beta"),
    gradients=("dx", "dgamma", "dbeta", "dresidual"),
    trailing=("dresidual",),
    statistics=("mean", "var"),
    parts=("batch_norm",),
    parameters=(BATCH_NORM_PARAM,),
    make_specs=_batch_norm_specs,
    methods="batch_norm",
    composed_of=lambda specs: (),
)
GROUP_NORM = Operation(
    name="group_norm",
    inputs=("x", "gamma", "beta", "residual"),
    kept=("x", "gamma", "beta"),
    gradients=("dx", "dgamma", "dbeta", "dresidual"),
    trailing=("dresidual",),
    parts=("group_norm",),
    parameters=(GROUP_NORM_PARAM,),
    make_specs=_group_norm_specs,
    methods="group_norm",
    composed_of=lambda specs: (),
)

CONV_BN_RELU = Operation(
    name="conv_bn_relu",
    inputs=("x", "w", "b", "gamma", "beta", "mean", "var", "residual"),
    kept=("x", "w", "gamma", "beta"),
    gradients=("dx", "dw", "db", "dgamma", "dbeta", "dresidual"),
    trailing=("dresidual",),
    statistics=("mean", "var"),
    parts=("conv", "batch_norm", "max_pool"),
    parameters=(CONV_PARAM, CONV_BN_PARAM, MAX_POOL_PARAM),
    optional=1,
    make_specs=_conv_bn_relu_specs,
    methods="conv_bn_relu",
    composed_of=lambda specs: tuple(s for s in specs if not isinstance(s, NormSpec)),
)

_ALL = (
    CONV, MAX_POOL, AVG_POOL, CONV_RELU_POOL, CONV_RELU, CONV_TRANSPOSE, BATCH_NORM, GROUP_NORM,
    CONV_BN_RELU,
)  # fmt: skip

OPERATIONS: Mapping[str, Operation] = MappingProxyType({one.name: one for one in _ALL})
"""Every operation by its name."""


def operation_of(specs: Specs) -> Operation:
    """Return the operation that a problem belongs to, given its specs.

    Of several with the same kinds of specs it is the first in the table. Raises ParameterError
    where there is none.
    """
    for operation in OPERATIONS.values():
        if operation.fits(specs):
            return operation
    kinds = " + ".join(spec.operation for spec in specs)
    known = ", ".join(" + ".join(operation.parts) for operation in OPERATIONS.values())
    raise ParameterError(f"specs (={kinds or 'none'}) must be those of {known}")
