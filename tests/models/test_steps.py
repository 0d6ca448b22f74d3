"""What a network runs: memory that is let go, gradients that nobody wants."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass

import numpy as np
from convkit_im2col_numpy import Im2colNumpy
from model_cases import worst_errors

from convkit.models import Affine, BatchNorm, Conv, Flatten, Layer, ReLU, Residual, Sequential


class Spy(Im2colNumpy):
    """It notes which gradients are asked for."""

    name = "spy"

    def __init__(self):
        self.needs = []

    def conv_backward(self, spec, dout, x, w, saved, needs):
        self.needs.append(needs)
        return super().conv_backward(spec, dout, x, w, saved, needs)


def needs_of(*parts):
    spy = Spy()
    net = Sequential(parts, input_dim=(2, 5, 5), rng=0, backend=spy)
    net.loss(np.ones((2, 2, 5, 5)), np.zeros((2), int))
    return spy.needs


def test_dx_of_the_first_layer_is_not_computed():
    assert needs_of(Conv(3, 3), ReLU(), Conv(2, 3), Flatten()) == [
        ("dx", "dw", "db"), ("dw", "db")
    ]  # fmt: skip
    assert needs_of(Affine(3)) == [("dx",)]  # whose dx is dw: x is the filters


def test_backward_ends_at_the_first_trained_layer():
    fixed, trained = Conv(2, 1, trainable=False), Conv(2, 1)
    assert needs_of(fixed, fixed, trained, fixed, Flatten()) == [("dx",), ("dw", "db")]
    block = Residual([fixed, fixed], shortcut=[fixed])
    assert needs_of(block, trained, Flatten()) == [("dw", "db")]
    assert needs_of(Residual([fixed], shortcut=[trained]), Flatten()) == [("dw", "db")]


@dataclass(repr=False)
class Watched(Layer):
    """Its cache is an object whose life can be followed."""

    alive: list = None

    def forward(self, x, arrays, context):
        cache = type("Cache", (), {})()
        self.alive.append(weakref.ref(cache))
        return x + 0, cache

    def backward(self, dout, cache, needs):
        gc.collect()
        self.left = sum(one() is not None for one in self.alive)
        return dout, {}


def test_a_cache_is_let_go_once_backward_has_used_it():
    alive = []
    parts = [Watched(alive) for _ in range(3)]
    block = Residual([Conv(2, 1), parts[1], BatchNorm()])
    net = Sequential([Conv(2, 1), parts[0], block, parts[2], Affine(2)], input_dim=(2, 3, 3))
    net.loss(np.ones((2, 2, 3, 3)), np.zeros(2, int))
    assert [part.left for part in parts] == [1, 2, 3]


@dataclass(repr=False)
class Identity(Layer):
    """What it returns is what it got, in both directions."""

    def forward(self, x, arrays, context):
        return x, None

    def backward(self, dout, cache, needs):
        return dout, {}


def test_a_gradient_that_another_path_still_needs_is_not_written_to():
    inner = Residual([Identity()], [], relu=False)
    net = Sequential(
        [Conv(2, 1), Residual([inner], [], relu=False), Affine(3)], input_dim=(2, 3, 3),
        dtype=np.float64, rng=0,
    )  # fmt: skip
    net.num_classes = 3
    assert max(worst_errors(net).values()) < 1e-6
