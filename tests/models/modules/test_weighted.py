"""Conv, ConvTranspose and Affine: gradients, shapes of their weights, work."""

from __future__ import annotations

import math

import numpy as np
import pytest
from model_cases import check_layer

import convkit
from convkit import ParameterError, ShapeError
from convkit.models import Affine, Conv, ConvTranspose, Sequential

LAYERS = [
    (Conv(4, 3), (2, 6, 5)),
    (Conv(4, (3, 2), stride=(2, 1), pad=((1, 0), (2, 1)), dilation=2, groups=2), (2, 8, 7)),
    (Conv(4, 3, pad="same", bias=False), (2, 5, 4)),
    (Conv(3, 3, pad=(1, 2), pad_mode="circular"), (2, 5, 4)),
    (Conv(3, 3, pad="same", pad_mode="reflect"), (2, 6)),
    (Conv(3, 2), (2, 7)),
    (ConvTranspose(4, 3), (2, 3, 4)),
    (ConvTranspose(6, (4, 3), stride=2, pad=1, output_pad=1, groups=2), (4, 3, 2)),
    (ConvTranspose(3, 4, stride=2, pad="same", bias=False), (2, 3, 3)),
    (Affine(4), (2, 3, 2)),
    (Affine(4, bias=False), (5,)),
]
each = pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=repr)


@each
def test_gradients(layer, shape):
    check_layer(layer, shape)


@each
def test_the_network_runs_what_the_layer_computes(layer, shape, backend):
    net = Sequential([layer], input_dim=shape, rng=0, backend=backend)
    x = np.random.default_rng(1).integers(-4, 5, (3, *shape)).astype(np.float32)
    net.params.update({name: np.rint(8 * w) for name, w in net.params.items()})  # exact sums
    (place,) = net.places
    context = convkit.models.Context(backend, net.rng)
    expected, _ = layer.forward(x, place.arrays(net), context)
    np.testing.assert_array_equal(net.loss(x), expected)
    np.testing.assert_array_equal(layer.infer(x, place.arrays(net), context), expected)


@pytest.mark.parametrize(
    ("layer", "shape"), [(layer, shape) for layer, shape in LAYERS if not getattr(layer, "pad", 0)]
)
def test_multiply_adds_count_every_product(layer, shape):
    """Of ones and ones without padding, every product adds one to the output's sum."""
    bare = type(layer)(**layer.config() | {"bias": False})
    net = Sequential([bare], input_dim=shape, dtype=np.float64)
    net.params["W1"] = np.ones_like(net.params["W1"])
    assert net.loss(np.ones((1, *shape))).sum() == bare.multiply_adds(shape)


@each
def test_fan_in_is_the_mean_number_of_products_of_an_output(layer, shape):
    wide = tuple(size * 8 for size in shape[1:])  # the edges, where there are fewer, weigh less
    big = (shape[0], *wide)
    if isinstance(layer, Affine):
        big = shape
    products = layer.multiply_adds(big)
    assert products / math.prod(layer.output_shape(big)) == pytest.approx(
        layer.fan_in(big), rel=0.15
    )


def test_shapes_of_the_weights():
    net = Sequential(
        [Conv(4, (3, 2), groups=2), ConvTranspose(6, 3, groups=2), Affine(5)], input_dim=(2, 8, 8)
    )
    assert {name: w.shape for name, w in net.params.items()} == {
        "W1": (4, 1, 3, 2), "b1": (4,), "W2": (4, 3, 3, 3), "b2": (6,),
        "W3": (6 * 8 * 9, 5), "b3": (5,),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Conv(0, 3), ParameterError, "filters (=0) must be an integer of at least 1"),
        (lambda: Conv(2, 3, groups=0), ParameterError, "groups (=0) must be an integer of at le"),
        (lambda: ConvTranspose(2.5, 3), ParameterError, "filters (=2.5) must be an integer of at"),
        (lambda: Affine(0), ParameterError, "units (=0) must be an integer of at least 1"),
        (lambda: Affine(3, weight_scale=-1), ParameterError, "weight_scale (=-1) must be a fin"),
        (lambda: Conv(3, 3).output_shape((2,)), ShapeError, "the input's shape (=(2,)) must be"),
        (
            lambda: ConvTranspose(3, 3, groups=2).output_shape((2, 5)),
            ShapeError,
            "filters (=3) must be divisible by groups (=2)",
        ),
    ],
)
def test_arguments_are_checked(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value).startswith(message)
