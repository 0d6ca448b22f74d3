"""Layers that are operations of the API: the functions they find, and subclasses of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convkit import api
from convkit.models import BatchNorm, Conv, ReLU, Sequential, affine
from convkit.models.modules.operation import functions
from convkit.models.steps import LayerStep, OperationStep


def test_functions_come_from_the_api_or_the_affine_layers():
    assert functions("conv").forward is api.conv_forward
    assert functions("conv").infer is api.conv
    assert functions("conv_relu_pool").infer is None
    assert functions("affine_relu").backward is affine.affine_relu_backward


def test_the_dictionary_holds_what_is_no_default():
    assert Conv(4, 3).parameters(True) == {}
    assert Conv(4, 3, stride=1, pad="same").parameters(False) == {"pad": "same"}
    assert BatchNorm().parameters(True) == {"mode": "train"}
    assert BatchNorm(eps=0.1).parameters(False) == {"eps": 0.1, "mode": "test"}
    assert BatchNorm(trainable=False).parameters(True) == {"mode": "test"}


@dataclass(repr=False)
class Doubled(Conv):
    """A convolution of 2 x, on top of the class it derives from."""

    def forward(self, x, arrays, context):
        return super().forward(2 * x, arrays, context)

    def infer(self, x, arrays, context):
        return super().infer(2 * x, arrays, context)

    def backward(self, dout, cache, needs):
        dx, grads = super().backward(dout, cache, needs)
        return 2 * dx, grads


class Renamed(Conv):
    """A convolution that computes nothing of its own."""


def test_a_subclass_runs_its_own_methods():
    plain, doubled = (
        Sequential([kind(3, 3), ReLU()], input_dim=(2, 5, 5), dtype=np.float64, rng=0)
        for kind in (Conv, Doubled)
    )
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 5))
    np.testing.assert_array_equal(doubled.loss(x), plain.loss(2 * x))
    assert isinstance(doubled._steps.steps[0], LayerStep)
    renamed = Sequential([Renamed(3, 3), ReLU()], input_dim=(2, 5, 5), dtype=np.float64, rng=0)
    assert isinstance(renamed._steps.steps[0], OperationStep)
    np.testing.assert_array_equal(renamed.loss(x), plain.loss(x))
