"""ONNX as an independent reference: its specification's node tests, through a small adapter."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import convkit

pytest.importorskip("onnx", reason="the package onnx is not installed")

OPERATORS = ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")


def node_tests():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    single = [t for t in found if len(t.model.graph.node) == 1]
    return [t for t in single if t.model.graph.node[0].op_type in OPERATORS]


def attributes(node):
    from onnx.helper import get_attribute_value

    return {a.name: get_attribute_value(a) for a in node.attribute if a.type}


def padding(given, sizes, windows, stride):
    """ONNX's pads are all the begins, then all the ends; SAME_LOWER puts the odd one first."""
    mode = given.get("auto_pad", b"NOTSET").decode()
    if mode in ("NOTSET", ""):
        pads = given.get("pads", [0] * 2 * len(sizes))
        return tuple(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))
    if mode == "SAME_UPPER":
        return "same"
    assert mode == "SAME_LOWER"
    pairs = []
    for size, window, step in zip(sizes, windows, stride, strict=True):
        total = max((-(-size // step) - 1) * step + window - size, 0)
        pairs.append((total - total // 2, total // 2))
    return tuple(pairs)


def compute(node, inputs, backend):
    """What convkit answers to an ONNX node."""
    given, x = attributes(node), inputs[0]
    sizes = x.shape[2:]
    if node.op_type.startswith("Global"):
        pool = convkit.max_pool if node.op_type == "GlobalMaxPool" else convkit.avg_pool
        return pool(x, kernel=sizes, backend=backend)
    kernel = tuple(given["kernel_shape"])
    stride = tuple(given.get("strides", (1,) * len(sizes)))
    dilation = tuple(given.get("dilations", (1,) * len(sizes)))
    windows = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    geometry = {"stride": stride, "pad": padding(given, sizes, windows, stride), "backend": backend}
    if node.op_type == "Conv":
        return convkit.conv(*inputs, dilation=dilation, groups=given.get("group", 1), **geometry)
    geometry |= {"kernel": kernel, "ceil_mode": bool(given.get("ceil_mode", 0))}
    if node.op_type == "AveragePool":
        if max(dilation) > 1:
            pytest.skip("average pooling has no dilation here")
        counted = bool(given.get("count_include_pad", 0))
        return convkit.avg_pool(x, count_include_pad=counted, **geometry)
    return convkit.max_pool(x, dilation=dilation, **geometry)


@pytest.mark.parametrize("case", node_tests(), ids=lambda t: t.name)
def test_node(case, backend):
    for inputs, outputs in case.data_sets:
        # Integer images have no counterpart here; their values are exact in float32.
        floats = [a if a.dtype == np.float32 else a.astype(np.float32) for a in inputs]
        got = compute(case.model.graph.node[0], floats, backend)
        np.testing.assert_allclose(got, outputs[0], rtol=case.rtol, atol=case.atol)


def test_the_operators_are_all_there():
    found = {t.model.graph.node[0].op_type for t in node_tests()}
    assert found == set(OPERATORS)
    assert len(node_tests()) >= 30
