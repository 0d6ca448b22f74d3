"""The table of operations is complete: whatever an operation needs elsewhere is there."""

from __future__ import annotations

import inspect

import pytest

import convkit
from convkit import api, bounds, contract
from convkit.calls.fallback import FALLBACKS
from convkit.calls.verifier import EXPECTATIONS
from convkit.errors import ParameterError
from convkit.operations import OPERATIONS, REQUIRED, operation_of
from convkit.plugin_check import optional_methods, required_methods
from convkit.spec import ConvSpec, PoolSpec

EACH = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
SHAPES = {
    "x": (2, 4, 6, 7),
    "w": (4, 4, 3, 2),
    **dict.fromkeys(("b", "gamma", "beta", "mean", "var"), (4,)),
    "residual": (2, 4, 6, 7),
}


def shapes_of(operation):
    """Return the shape of each input; a residual has that of what is normalised."""
    given = SHAPES if "w" not in operation.inputs else SHAPES | {"residual": (2, 4, 4, 6)}
    return {name: given[name] for name in operation.inputs}


def specs_of(operation, dtype="float64"):
    given = [
        {name: 2 for name, default in one.defaults.items() if default is REQUIRED}
        for one in operation.parameters
    ]
    return operation.make_specs(list(shapes_of(operation).values()), given, dtype)


@EACH
def test_the_api_has_its_functions(operation):
    names = [f"{operation.name}_forward", f"{operation.name}_backward"]
    names += [operation.name] if operation.infer else []
    for name in names:
        assert getattr(convkit, name) is getattr(api, name)
        assert name in convkit.__all__
        assert inspect.getdoc(getattr(api, name))
    assert hasattr(api, operation.name) == operation.infer


@EACH
def test_the_api_takes_its_inputs_and_parameters(operation):
    forward = inspect.signature(getattr(api, f"{operation.name}_forward")).parameters
    names = {"mean": "running_mean", "var": "running_var"}
    in_dictionaries = {key for one in operation.parameters for key in one.others}
    wanted = {names.get(name, name) for name in operation.inputs}
    assert wanted <= set(forward) | in_dictionaries
    dictionaries = [one.name for one in operation.parameters]
    assert [name for name in forward if name.endswith("_param")] == dictionaries
    if len(dictionaries) == 1:
        words = [n for n, p in forward.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
        # bn_param has the course's ``mode``, which is no keyword; inputs that are rarely given are.
        keys = set(operation.parameters[0].keys) - {"mode"}
        assert keys == set(words) - ({"residual"} & set(operation.inputs))
    backward = inspect.signature(getattr(api, f"{operation.name}_backward")).parameters
    if len(operation.gradients) > 1:
        assert backward["needs"].default == operation.gradients
    else:
        assert "needs" not in backward


@EACH
def test_the_defaults_are_those_of_the_specs(operation):
    """What a spec takes without an argument is what it takes with the table's default."""
    shapes = list(shapes_of(operation).values())
    given, spelled = [], []
    for one in operation.parameters:
        needed = {name: 2 for name, default in one.defaults.items() if default is REQUIRED}
        given.append(needed)
        spelled.append({k: v for k, v in one.defaults.items() if k not in needed} | needed)
    plain = operation.make_specs(shapes, given, "float32")
    assert operation.make_specs(shapes, spelled, "float32") == plain


@EACH
def test_its_specs_are_found_to_be_its_own(operation):
    specs = specs_of(operation)
    assert tuple(spec.operation for spec in specs) == operation.parts
    assert len(specs) == len(operation.parameters)
    without = specs[: len(specs) - operation.optional]
    assert operation.fits(without)
    assert operation.slots(without) == (*without, *(None,) * operation.optional)
    # conv_relu has the specs of conv; the first in the table is taken, unless the other is named.
    alike = [one for one in OPERATIONS.values() if one.parts == operation.parts]
    assert operation_of(specs) is alike[0]
    assert [one.name for one in alike] in ([operation.name], ["conv", "conv_relu"])


def test_specs_of_no_operation_are_refused():
    pool = PoolSpec.of(SHAPES["x"], kind="avg", kernel=2, dtype="float32")
    with pytest.raises(ParameterError, match=r"^specs \(=avg_pool \+ avg_pool\) must be those of "):
        operation_of((pool, pool))
    message = "operation \\(='max_pool'\\) must be one that avg_pool describes: avg_pool"
    with pytest.raises(ParameterError, match=message):
        convkit.explain(pool, operation="max_pool")


@EACH
def test_its_gradients_have_shapes(operation):
    shapes = operation.gradient_shapes(specs_of(operation))
    inputs = [n for n in operation.inputs if n not in ("mean", "var")]  # running statistics
    assert shapes == {f"d{n}": shapes_of(operation)[n] for n in inputs}
    assert tuple(shapes) == operation.gradients


def test_without_a_bias_there_is_no_db():
    spec = ConvSpec.of(SHAPES["x"], SHAPES["w"], None, dtype="float32")
    assert list(OPERATIONS["conv"].gradient_shapes((spec,))) == ["dx", "dw"]


@EACH
def test_a_backend_without_its_methods_has_it_composed(operation):
    assert (operation.name in FALLBACKS) == (not operation.required)


@EACH
def test_it_has_an_error_bound_and_can_be_verified(operation):
    assert operation.name in EXPECTATIONS
    for spec in specs_of(operation):
        for what in ("out", *operation.gradients):
            assert bounds.terms(spec, what) >= 1


@EACH
def test_the_protocol_documents_its_methods(operation):
    documented = " ".join(inspect.getdoc(contract.Backend).split())
    for step in operation.steps:
        name, arguments = operation.method(step), operation.arguments(step)
        if operation.required and step != "infer":
            found = list(inspect.signature(getattr(contract.Backend, name)).parameters)
            assert found == ["self", *arguments]
        else:
            assert f"{name}({', '.join(arguments)})" in documented


def test_the_plugin_check_asks_for_all_methods_and_no_others():
    methods = {o.method(step) for o in OPERATIONS.values() for step in o.steps}
    asked = required_methods() | optional_methods()
    assert set(asked) - methods == {"supports", "set_num_threads", "info"}
    assert methods <= set(asked)
    assert set(required_methods()) == {
        "supports", "conv_forward", "conv_backward", "pool_forward", "pool_backward",
    }  # fmt: skip
