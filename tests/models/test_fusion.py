"""Fused operations: which layers they take, and the same result as the layers one by one."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convkit import api
from convkit.models import (
    Affine,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    GroupNorm,
    MaxPool,
    ReLU,
    Residual,
    Sequential,
    fusion,
)
from convkit.models.fusion import PATTERNS, Add, Pattern
from convkit.models.modules.operation import functions
from convkit.models.steps import AddStep, OperationStep, ResidualStep


def operations(chain):
    """Return the names of what a chain runs, those of a Residual in a list."""
    found = []
    for step in chain.steps:
        if isinstance(step, ResidualStep):
            join = "add" if isinstance(step.join, AddStep) else step.join.operation
            found.append([*operations(step.before), f"+{join}", *operations(step.after)])
        elif isinstance(step, OperationStep):
            found.append(step.operation)
        else:
            found.append(type(step.place.layer).__name__)
    return found


def example(pattern):
    """Return layers that a pattern takes, with arguments off their defaults."""
    make = {
        Conv: lambda: Conv(4, 3, pad=1), ReLU: ReLU, MaxPool: lambda: MaxPool(3, 2, pad=1),
        BatchNorm: lambda: BatchNorm(eps=0.01, momentum=0.7), GroupNorm: lambda: GroupNorm(2),
        Affine: lambda: Affine(6),
    }  # fmt: skip
    kinds = list(pattern.layers)
    if Add not in kinds:
        return [make[kind]() for kind in kinds]
    position = kinds.index(Add)
    return [Residual([make[kind]() for kind in kinds[:position]], relu=kinds[-1] is ReLU)]


def cases():
    """Every pattern, and those with a norm with a frozen one too."""
    for pattern in PATTERNS:
        name = "-".join(kind.__name__ for kind in pattern.layers)
        yield pytest.param(pattern, False, id=name)
        if {BatchNorm, GroupNorm} & set(pattern.layers):
            yield pytest.param(pattern, True, id=f"{name}-frozen")


@pytest.mark.parametrize(("pattern", "frozen_norm"), [*cases()])
def test_a_pattern_gives_the_result_of_its_layers(monkeypatch, backend, pattern, frozen_norm):
    parts = example(pattern)
    if frozen_norm:
        for part in getattr(parts[0], "layers", parts):
            part.trainable = not isinstance(part, BatchNorm | GroupNorm)

    def network():
        return Sequential(
            [Conv(4, 3, pad=1), Dropout(keep=0.9, seed=1), *parts, Affine(3)],
            input_dim=(2, 6, 5), dtype=np.float64, rng=0, backend=backend,
        )  # fmt: skip

    net = network()
    assert re.search(rf"'\+?{pattern.operation}'", str(operations(net._steps)))
    monkeypatch.setattr(fusion, "PATTERNS", ())
    plain = network()
    assert "ReLU" in str(operations(plain._steps)) or ReLU not in pattern.layers
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((4, 2, 6, 5)), rng.integers(3, size=4)
    (loss, grads), (expected, others) = net.loss(X, y), plain.loss(X, y)
    assert loss == pytest.approx(expected, rel=1e-12)
    for name, gradient in others.items():
        np.testing.assert_allclose(grads[name], gradient, rtol=1e-9, atol=1e-12)
    for name, buffer in plain.buffers.items():
        np.testing.assert_allclose(net.buffers[name], buffer, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(net.loss(X), plain.loss(X), rtol=1e-10, atol=1e-12)


def test_the_longest_pattern_is_taken_and_what_differs_is_left():
    net = Sequential(
        [
            Conv(4, 3, pad=1), ReLU(), MaxPool(2), Conv(4, 3, pad=1), ReLU(), AvgPool(2),
            Residual([Conv(4, 1), BatchNorm(), ReLU(), Conv(4, 1), BatchNorm()]),
            Residual([BatchNorm(), ReLU(), Conv(4, 1)], relu=False),
            Residual([Conv(4, 1), ReLU()]),
            Affine(5), ReLU(), Affine(5),
        ],
        input_dim=(2, 8, 8),
    )  # fmt: skip
    found = operations(net._steps)
    assert found[0] == "conv_relu_pool"
    assert found[-2:] == ["affine_relu", "affine"]
    residuals = [one for one in found if isinstance(one, list)]
    assert residuals[0][-1].startswith("+")
    assert residuals[0][-1] != "+add"
    assert residuals[1][-1] == "+add"
    assert residuals[2][-2:] == ["+add", "ReLU"]


def test_a_subclass_of_a_layer_is_in_no_pattern():
    class Other(ReLU):
        pass

    net = Sequential([Conv(4, 3), Other(), MaxPool(2)], input_dim=(2, 8, 8))
    assert operations(net._steps) == ["conv", "Other", "max_pool"]


class Composed:
    """conv_bn_relu as the layer functions compose it; it notes its calls."""

    def __init__(self):
        self.calls = []

    def forward(self, x, w, b, gamma, beta, conv_param, bn_param, pool_param=None, *,
                residual=None, relu=True, backend=None):  # fmt: skip
        self.calls.append((pool_param is not None, residual is not None, relu))
        z, conv_cache = api.conv_forward(x, w, b, conv_param, backend=backend)
        out, norm_cache = api.batch_norm_forward(
            z, gamma, beta, bn_param, relu=relu, residual=residual, backend=backend
        )
        pool_cache = None
        if pool_param is not None:
            out, pool_cache = api.max_pool_forward(out, pool_param, backend=backend)
        return out, (conv_cache, norm_cache, pool_cache)

    def backward(self, dout, cache, *, needs):
        conv_cache, norm_cache, pool_cache = cache
        if pool_cache is not None:
            dout = api.max_pool_backward(dout, pool_cache)
        own = {"dgamma", "dbeta", "dresidual"} & set(needs)
        dz, *norm = api.batch_norm_backward(dout, norm_cache, needs=("dx", *sorted(own)))
        wanted = tuple(name for name in needs if name in ("dx", "dw", "db"))
        return *api.conv_backward(dz, conv_cache, needs=wanted), *norm


CONV_BN_RELU = (
    Pattern("conv_bn_relu", (Conv, BatchNorm, ReLU, MaxPool)),
    Pattern("conv_bn_relu", (Conv, BatchNorm, ReLU)),
    Pattern("conv_bn_relu", (Conv, BatchNorm, Add, ReLU)),
    Pattern("conv_bn_relu", (Conv, BatchNorm, Add), {"relu": False}),
)


def test_another_fused_operation_is_a_row_for_each_of_its_patterns(monkeypatch):
    def network():
        return Sequential(
            [
                Conv(4, 3, pad=1), BatchNorm(), ReLU(), MaxPool(2),
                Residual([Conv(4, 1, bias=True), BatchNorm(), ReLU(), Conv(4, 1), BatchNorm()]),
                Residual([Conv(4, 1), BatchNorm()], relu=False), Affine(3),
            ],
            input_dim=(2, 6, 6), dtype=np.float64, rng=0,
        )  # fmt: skip

    without = tuple(one for one in PATTERNS if one.operation != "conv_bn_relu")
    monkeypatch.setattr(fusion, "PATTERNS", without)
    plain, fused = network(), Composed()
    monkeypatch.setattr(fusion, "PATTERNS", without + CONV_BN_RELU)
    for way in ("forward", "backward"):
        monkeypatch.setattr(api, f"conv_bn_relu_{way}", getattr(fused, way), raising=False)
    monkeypatch.delattr(api, "conv_bn_relu", raising=False)
    functions.cache_clear()
    try:
        net = network()
        rng = np.random.default_rng(3)
        X, y = rng.standard_normal((4, 2, 6, 6)), rng.integers(3, size=4)
        (loss, grads), (expected, others) = net.loss(X, y), plain.loss(X, y)
        assert fused.calls == [
            (True, False, True), (False, False, True), (False, True, True), (False, True, False)
        ]  # fmt: skip
        assert loss == pytest.approx(expected, rel=1e-12)
        for name, gradient in others.items():
            np.testing.assert_allclose(grads[name], gradient, rtol=1e-9, atol=1e-12)
        for name, buffer in plain.buffers.items():
            np.testing.assert_array_equal(net.buffers[name], buffer)
        np.testing.assert_allclose(net.loss(X), plain.loss(X), rtol=1e-10)
    finally:
        functions.cache_clear()
