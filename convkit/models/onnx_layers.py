"""Each layer as nodes of ONNX, in a table by the layer's class.

The nodes compute what the layer computes in inference, in every detail of its arguments: what ONNX
leaves to a runtime (the windows of ``ceil_mode``, what averages divide by) is written out. A class
that is not in the table, a user's own, has no nodes and is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError
from convkit.models.modules import (
    Affine,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GroupNorm,
    LeakyReLU,
    MaxPool,
    ReLU,
    Sigmoid,
    Tanh,
)
from convkit.models.placing import Branches, Place, Placed, Storage
from convkit.spec import ConvSpec, ConvTransposeSpec, PoolSpec

__all__ = ["Nodes", "add_chain"]

NUMPY_MODES = {"circular": "wrap", "reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}


class Nodes:
    """The nodes and constants of a graph while it grows; tensors have names.

    ``arrays`` are the network's, and ``dtype`` that of every floating tensor.
    """

    def __init__(self, helper: Any, storage: Storage, dtype: np.dtype[Any]) -> None:
        self._helper, self.storage, self.dtype = helper, storage, dtype
        self.nodes: list[Any] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        name = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, value: Any, name: str | None = None, dtype: Any = None) -> str:
        """Add a constant and return its name; one of the network's arrays has a name already."""
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = np.array(value, dtype or self.dtype)
        return name


Writer: TypeAlias = Callable[[Nodes, Place, str], str]


def add_chain(nodes: Nodes, chain: Sequence[Placed], x: str) -> str:
    """Add the nodes of layers in a row; return the name of their output.

    Raises ParameterError for a layer that has none.
    """
    for placed in chain:
        if isinstance(placed, Branches):
            main = add_chain(nodes, placed.main, x)
            x = nodes.add("Add", main, add_chain(nodes, placed.shortcut, x))
            x = nodes.add("Relu", x) if placed.layer.relu else x
        elif type(placed.layer) in WRITERS:
            x = WRITERS[type(placed.layer)](nodes, placed, x)
        else:
            raise ParameterError(
                f"{placed.title}: {type(placed.layer).__name__} is not one of convkit's layers, "
                "and has no operator of ONNX"
            )
    return x


def _array(nodes: Nodes, place: Place, own: str) -> list[str]:
    """Return the name of a layer's array in a list, an empty one where it does without."""
    names = dict(place.names)
    if own not in names:
        return []
    return [nodes.constant(place.arrays(nodes.storage)[own], names[own])]


def _elementwise(operator: str) -> Writer:
    return lambda nodes, place, x: nodes.add(operator, x)


def _leaky_relu(nodes: Nodes, place: Place, x: str) -> str:
    assert isinstance(place.layer, LeakyReLU)
    return nodes.add("LeakyRelu", x, alpha=float(place.layer.slope))


def _nothing(nodes: Nodes, place: Place, x: str) -> str:
    return x


def _flatten(nodes: Nodes, place: Place, x: str) -> str:
    return nodes.add("Flatten", x, axis=1)


def _pads(pad: Sequence[tuple[int, int]]) -> list[int]:
    """Return all begins, then all ends."""
    return [begin for begin, _ in pad] + [end for _, end in pad]


def _conv(nodes: Nodes, place: Place, x: str) -> str:
    layer = place.layer
    assert isinstance(layer, Conv)
    spec = ConvSpec.of(
        (1, *place.shape),
        layer.weight_shape(place.shape),
        dtype=nodes.dtype,
        **layer.parameters(False),
    )
    pad = spec.pad
    if spec.pad_mode != "zeros":  # padded pixels are copies of real ones: so they are gathered
        for axis, (size, widths) in enumerate(zip(place.shape[1:], pad, strict=True), 2):
            mode: Any = NUMPY_MODES[spec.pad_mode]
            copied = nodes.constant(np.pad(np.arange(size), widths, mode), dtype=np.int64)
            x = nodes.add("Gather", x, copied, axis=axis)
        pad = tuple((0, 0) for _ in pad)
    return nodes.add(
        "Conv",
        x,
        *_array(nodes, place, "W"),
        *_array(nodes, place, "b"),
        kernel_shape=list(spec.kernel),
        strides=list(spec.stride),
        dilations=list(spec.dilation),
        group=spec.groups,
        pads=_pads(pad),
    )


def _conv_transpose(nodes: Nodes, place: Place, x: str) -> str:
    layer = place.layer
    assert isinstance(layer, ConvTranspose)
    spec = ConvTransposeSpec.of(
        (1, *place.shape),
        layer.weight_shape(place.shape),
        dtype=nodes.dtype,
        **layer.parameters(False),
    )
    return nodes.add(
        "ConvTranspose",
        x,
        *_array(nodes, place, "W"),
        *_array(nodes, place, "b"),
        kernel_shape=list(spec.kernel),
        strides=list(spec.stride),
        dilations=list(spec.dilation),
        group=spec.groups,
        pads=_pads(spec.pad),
        output_padding=list(spec.output_pad),
    )


def _affine(nodes: Nodes, place: Place, x: str) -> str:
    x = x if len(place.shape) == 1 else nodes.add("Flatten", x, axis=1)
    return nodes.add("Gemm", x, *_array(nodes, place, "W"), *_array(nodes, place, "b"))


def _batch_norm(nodes: Nodes, place: Place, x: str) -> str:
    assert isinstance(place.layer, BatchNorm)
    arrays = [
        name
        for own in ("gamma", "beta", "running_mean", "running_var")
        for name in _array(nodes, place, own)
    ]
    return nodes.add("BatchNormalization", x, *arrays, epsilon=float(place.layer.eps))


def _group_norm(nodes: Nodes, place: Place, x: str) -> str:
    """Written out: the operator's meaning has changed between versions."""
    layer, c = place.layer, place.shape[0]
    assert isinstance(layer, GroupNorm)
    whole = nodes.constant([0, *place.shape], dtype=np.int64)
    grouped = nodes.constant([0, layer.groups, -1], dtype=np.int64)
    last = nodes.constant([2], dtype=np.int64)
    x = nodes.add("Reshape", x, grouped)
    x = nodes.add("Sub", x, nodes.add("ReduceMean", x, last))
    variance = nodes.add("ReduceMean", nodes.add("Mul", x, x), last)
    deviation = nodes.add("Sqrt", nodes.add("Add", variance, nodes.constant(layer.eps)))
    x = nodes.add("Reshape", nodes.add("Div", x, deviation), whole)
    along = (c, *(1 for _ in place.shape[1:]))
    arrays = place.arrays(nodes.storage)
    names = dict(place.names)
    gamma, beta = (
        nodes.constant(arrays[own].reshape(along), names[own]) for own in ("gamma", "beta")
    )
    return nodes.add("Add", nodes.add("Mul", x, gamma), beta)


def _pool_spec(nodes: Nodes, place: Place, kind: Any) -> PoolSpec:
    layer: Any = place.layer
    return PoolSpec.of((1, *place.shape), kind=kind, dtype=nodes.dtype, **layer.parameters(False))


def _reaching(spec: PoolSpec) -> list[tuple[int, int]]:
    """Return the pads with which floor gives the out shape, as ``ceil_mode`` gives it or not."""
    found = []
    for size, out, kernel, stride, dilation, (begin, end) in zip(
        spec.x_shape[2:],
        spec.out_shape[2:],
        spec.kernel,
        spec.stride,
        spec.dilation,
        spec.pad,
        strict=True,
    ):
        reached = (out - 1) * stride + (kernel - 1) * dilation + 1
        found.append((begin, max(end, reached - size - begin)))
    return found


def _max_pool(nodes: Nodes, place: Place, x: str) -> str:
    spec = _pool_spec(nodes, place, "max")
    return nodes.add(
        "MaxPool",
        x,
        kernel_shape=list(spec.kernel),
        strides=list(spec.stride),
        dilations=list(spec.dilation),
        pads=_pads(_reaching(spec)),
    )


def _avg_pool(nodes: Nodes, place: Place, x: str) -> str:
    """The mean over whole windows, and a factor where a window is divided by fewer."""
    spec = _pool_spec(nodes, place, "avg")
    pads = _reaching(spec)
    x = nodes.add(
        "AveragePool",
        x,
        kernel_shape=list(spec.kernel),
        strides=list(spec.stride),
        pads=_pads(pads),
        count_include_pad=1,
    )
    factor = np.ones((1, 1))
    for axis, (size, out, kernel, stride, (begin, end)) in enumerate(
        zip(spec.x_shape[2:], spec.out_shape[2:], spec.kernel, spec.stride, spec.pad, strict=True)
    ):
        lowest, highest = (-begin, size + end) if spec.count_include_pad else (0, size)
        starts = np.arange(out) * stride - begin
        counts = np.minimum(starts + kernel, highest) - np.maximum(starts, lowest)
        factor = np.multiply.outer(factor, kernel / counts)
        assert factor.ndim == 3 + axis
    return x if (factor == 1).all() else nodes.add("Mul", x, nodes.constant(factor))


def _global_avg_pool(nodes: Nodes, place: Place, x: str) -> str:
    return nodes.add("Flatten", nodes.add("GlobalAveragePool", x), axis=1)


WRITERS: dict[type, Writer] = {
    Conv: _conv,
    ConvTranspose: _conv_transpose,
    Affine: _affine,
    BatchNorm: _batch_norm,
    GroupNorm: _group_norm,
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    GlobalAvgPool: _global_avg_pool,
    ReLU: _elementwise("Relu"),
    LeakyReLU: _leaky_relu,
    Sigmoid: _elementwise("Sigmoid"),
    Tanh: _elementwise("Tanh"),
    Flatten: _flatten,
    Dropout: _nothing,
}
