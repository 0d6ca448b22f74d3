"""Layers in their places: shapes, names, creation in the order in which the layers run."""

from __future__ import annotations

import numpy as np

from convkit.models import Affine, BatchNorm, Conv, ReLU, Residual, Sequential
from convkit.models.placing import Branches, Place, leaves


def placed():
    block = Residual([Conv(4, 3, stride=2, pad=1), BatchNorm()])
    return Sequential([Conv(3, 3), ReLU(), block, Affine(2)], input_dim=(2, 8, 8), rng=0)


def test_places_say_where_they_are_and_what_they_own():
    net = placed()
    first, relu, block, last = net.places
    assert isinstance(block, Branches)
    assert (first.where, first.shape, first.out_shape) == ("layers[0]", (2, 8, 8), (3, 6, 6))
    assert first.params == (("W", "W1"), ("b", "b1"))
    assert relu.names == ()
    assert (block.out_shape, last.shape) == ((4, 3, 3), (4, 3, 3))
    assert [place.where for place in leaves(net.places)] == [
        "layers[0]", "layers[1]", "layers[2].layers[0]", "layers[2].layers[1]",
        "layers[2].shortcut[0]", "layers[2].shortcut[1]", "layers[3]",
    ]  # fmt: skip
    norm = block.main[1]
    assert isinstance(norm, Place)
    assert norm.moved == (("running_mean", "running_mean2"), ("running_var", "running_var2"))
    assert norm.title == "layers[2].layers[1], BatchNorm()"


def test_arrays_are_those_of_the_storage_now():
    net = placed()
    first = net.places[0]
    net.params["W1"] = np.zeros_like(net.params["W1"])
    assert first.arrays(net)["W"] is net.params["W1"]


def test_weights_are_drawn_in_the_order_of_the_numbers():
    net = placed()
    rng = np.random.default_rng(0)
    for name in ("W1", "W2", "W3", "W4"):
        shape = net.params[name].shape
        fan_in = shape[0] if len(shape) == 2 else np.prod(shape[1:])
        drawn = (np.sqrt(2 / fan_in) * rng.standard_normal(shape)).astype(np.float32)
        np.testing.assert_array_equal(net.params[name], drawn)
