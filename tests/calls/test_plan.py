"""A plan says which method runs for which step, and describes its problem."""

from __future__ import annotations

import numpy as np
import pytest
from small_calls import W, X, forward

import convkit
from convkit import registry
from convkit.calls.plan import Methods, Plan
from convkit.operations import CONV, CONV_RELU_POOL


def plan_of(infer=None):
    specs = (convkit.ConvSpec.of(X, W),)
    methods = Methods(lambda *_: "forward", infer, lambda *_: "backward")
    return Plan(CONV, specs, registry.find("naive"), methods, generation=0, scope=None)


def test_without_an_inference_method_forward_runs():
    plan = plan_of()
    assert plan.step(want_cache=True) == plan.step(want_cache=False) == "forward"


def test_an_inference_method_runs_only_where_no_cache_is_wanted():
    plan = plan_of(lambda *_: "infer")
    assert plan.step(want_cache=True) == "forward"
    assert plan.step(want_cache=False) == "infer"
    assert plan.infer() == "infer"


def test_it_holds_the_sizes_that_results_must_have():
    plan = plan_of()
    assert plan.out_shape == (2, 3, 4, 4)
    assert plan.dtype == np.float32
    assert plan.gradients == {"dx": X.shape, "dw": W.shape}
    assert plan.name == "naive"
    assert plan.problem == str(plan.spec)
    assert plan.method("backward") == "conv_backward"


@pytest.mark.parametrize("operation", ["conv", "max_pool", "avg_pool", "conv_relu_pool"])
def test_the_plan_of_a_call_holds_its_operation_and_every_spec(operation):
    plan = forward(operation, "naive")[1].plan
    assert plan.operation.name == operation
    assert tuple(spec.operation for spec in plan.specs) == plan.operation.parts
    assert plan.out_shape == plan.specs[-1].out_shape
    if plan.operation is CONV_RELU_POOL:
        assert plan.problem == f"{plan.specs[0]} + {plan.specs[1]}"
