"""Every layer as ONNX computes, in onnxruntime, what the layer computes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from convkit import ParameterError
from convkit.models import (
    Affine,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GroupNorm,
    Layer,
    LeakyReLU,
    MaxPool,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    export_onnx,
    frozen,
    modules,
)
from convkit.models.onnx_layers import WRITERS

pytest.importorskip("onnx", reason="the package onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

SHAPE = (4, 7, 9)
CASES = {
    "conv": Conv(6, 3),
    "conv, every argument": Conv(6, (3, 2), (1, 2), ((1, 0), (2, 1)), (2, 1), 2),
    "conv, same, strided": Conv(4, 3, 2, "same"),
    "conv, without bias": Conv(4, 1, bias=False),
    **{
        f"conv, padded {mode}": Conv(4, 3, pad=((1, 2), (2, 1)), pad_mode=mode)
        for mode in ("circular", "reflect", "symmetric", "edge")
    },
    "conv, depthwise": Conv(8, 3, groups=4, pad=1),
    "conv_transpose": ConvTranspose(6, 3),
    "conv_transpose, every argument": ConvTranspose(
        6, (3, 2), (2, 3), ((1, 0), (0, 1)), (1, 2), (1, 2), 2
    ),
    "conv_transpose, same": ConvTranspose(4, 3, 2, "same"),
    "affine": Affine(5),
    "affine, without bias": Affine(5, bias=False),
    "batch norm": BatchNorm(eps=0.1),
    "group norm": GroupNorm(2),
    "layer norm": GroupNorm(1, eps=0.1),
    "instance norm": GroupNorm(4),
    "max pool": MaxPool(2),
    "max pool, every argument": MaxPool((3, 2), (2, 3), ((1, 0), (0, 1)), (2, 1)),
    "max pool, ceil_mode": MaxPool(3, 2, ceil_mode=True),
    "max pool, ceil_mode, padded": MaxPool((2, 3), (3, 2), ((0, 1), (1, 1)), ceil_mode=True),
    "max pool, ceil_mode, a window dropped": MaxPool(2, 3, 1, ceil_mode=True),
    "avg pool": AvgPool(2),
    "avg pool, padded": AvgPool(3, 2, ((1, 0), (1, 2))),
    "avg pool, padded, counted": AvgPool(3, 2, ((1, 0), (1, 2)), count_include_pad=True),
    "avg pool, ceil_mode": AvgPool((2, 3), (3, 2), 1, ceil_mode=True),
    "avg pool, ceil_mode, counted": AvgPool(
        (3, 4), (2, 3), 1, ceil_mode=True, count_include_pad=True
    ),
    "global avg pool": GlobalAvgPool(),
    "relu": ReLU(),
    "leaky relu": LeakyReLU(0.2),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "flatten": Flatten(),
    "dropout": Dropout(keep=0.5),
    "residual": Residual([Conv(4, 3, pad=1), BatchNorm()]),
    "residual, projected, without relu": Residual([Conv(6, 3, stride=2, pad=1)], relu=False),
    "frozen": frozen(Residual([Conv(4, 3, pad=1), BatchNorm()])),
}


def network(layers, shape=SHAPE):
    """Return a network in which no array is as it began."""
    net = Sequential(layers, input_dim=shape, rng=0)
    rng = np.random.default_rng(1)
    for arrays in (net.params, net.buffers):
        for name, array in arrays.items():
            shift = rng.uniform(0.1, 0.9, array.shape).astype(array.dtype)
            arrays[name] = array + shift
    return net


def difference(net, path):
    """Return how far the file is from the network on random numbers, of which many are below 0."""
    done = export_onnx(net, path)
    assert done.engine == "onnxruntime"
    x = np.random.default_rng(2).standard_normal((5, *net.input_dim)).astype(np.float32)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["scores"], {"x": x})
    expected = net.loss(x)
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / max(1, np.abs(expected).max())


@pytest.mark.parametrize("layer", CASES.values(), ids=CASES)
def test_a_layer_is_the_same(layer, tmp_path):
    assert difference(network([layer]), tmp_path / "a.onnx") <= 1e-5


@pytest.mark.parametrize("shape", [(4, 9), (4, 5, 6, 7)], ids=["1 axis", "3 axes"])
def test_so_it_is_along_other_numbers_of_axes(shape, tmp_path):
    first = [Conv(6, 3, pad=1, pad_mode="edge"), GroupNorm(3), ReLU(), MaxPool(2, ceil_mode=True)]
    then = [ConvTranspose(4, 2, 2), AvgPool(2, pad=1), BatchNorm(), GlobalAvgPool(), Affine(3)]
    layers = first + then
    assert difference(network(layers, shape), tmp_path / "a.onnx") <= 1e-5


def test_so_it_is_for_vectors(tmp_path):
    layers = [Affine(6), GroupNorm(2), ReLU(), Affine(5), BatchNorm(), Tanh()]
    assert difference(network(layers, (4,)), tmp_path / "a.onnx") <= 1e-5


def test_every_layer_of_convkit_is_in_the_table():
    layers = {
        kind
        for name in modules.__all__
        if isinstance(kind := getattr(modules, name), type) and issubclass(kind, Layer)
    }
    assert set(WRITERS) == layers - {Layer}
    assert {type(case) for case in CASES.values()} >= set(WRITERS)


@dataclass(repr=False)
class Twice(Layer):
    def forward(self, x, arrays, context):
        return 2 * x, None

    def backward(self, dout, cache, needs):
        return 2 * dout, {}


class Wider(Conv):
    """A subclass may compute anything."""


@pytest.mark.parametrize("layer", [Twice(), Wider(4, 1)], ids=["of one's own", "a subclass"])
def test_a_layer_of_one_s_own_is_refused_by_its_name(layer, tmp_path):
    net = network([ReLU(), Residual([layer])])
    with pytest.raises(ParameterError) as caught:
        export_onnx(net, tmp_path / "a.onnx")
    name = type(layer).__name__
    assert str(caught.value).startswith(f"layers[1].layers[0], {name}(")
    assert str(caught.value).endswith(
        f": {name} is not one of convkit's layers, and has no operator of ONNX"
    )
    assert list(tmp_path.iterdir()) == []
