"""Trained networks for other programs: ONNX files.

A file is computed by another implementation, and compared with the network, before it is written.
"""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convkit.errors import ConvkitError
from convkit.files import check_destination, write_bytes
from convkit.layers import softmax_loss
from convkit.models.onnx_layers import Nodes, add_chain
from convkit.optional import require
from convkit.version import __version__

if TYPE_CHECKING:
    from convkit.models.sequential import Sequential

__all__ = ["TOLERANCE", "Exported", "export_onnx"]

OPSET, IR_VERSION = 18, 8  # of ONNX 1.13, which runtimes of today read
TOLERANCE = 1e-5
EXAMPLES = 3


@dataclass(frozen=True)
class Exported:
    """What was written: the names of input and outputs, and how it was checked.

    ``difference`` is the largest one between the scores of the file, computed by ``engine``, and
    the network's, relative to the largest score where that is above 1.
    """

    input: str
    shape: tuple[int, ...]
    outputs: tuple[str, ...]
    engine: str
    difference: float


def export_onnx(
    network: Sequential, path: str | os.PathLike[str], *, prepared: bool = False
) -> Exported:
    """Write a network as an ONNX file, whole or not at all, and return how it was checked.

    The input is ``images``, raw ones (N, *shape) in float32 with channels first, on the scale of
    the training data: the network's preprocessing is part of the file. With ``prepared``, or where
    the network has none, it is ``x``, which ``loss`` takes. The outputs are ``scores`` and, of a
    network with softmax_loss, ``probabilities``. Batch normalisation uses its running statistics,
    and dropout is left out. The class names, the preprocessing and convkit's version are in the
    file's metadata.

    Raises ParameterError for a layer that has no operators of ONNX, and ConvkitError where the
    package onnx is missing or the file computes something else than the network.
    """
    onnx = require("onnx", "an ONNX file", extra="onnx")
    check_destination("path", path)
    model, name, shape, outputs = _model(onnx, network, prepared)
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    engine, difference = _check(network, content, name, shape)
    if not difference <= TOLERANCE:
        raise ConvkitError(
            f"the ONNX file was not written: computed by {engine}, its scores differ by "
            f"{difference:.2g} from the network's, and {TOLERANCE:g} is allowed"
        )
    write_bytes(path, content)
    return Exported(name, shape, outputs, engine, difference)


def _model(
    onnx: Any, network: Sequential, prepared: bool
) -> tuple[Any, str, tuple[int, ...], tuple[str, ...]]:
    """Return the model of ONNX, the name and shape of its input, and the names of its outputs."""
    helper = onnx.helper
    preprocessing = None if prepared else network.preprocessing
    name, shape, dtype = "x", network.input_dim, network.dtype
    nodes = Nodes(helper, network, network.dtype)
    x = name
    if preprocessing is not None:
        name, shape, dtype = "images", preprocessing.shape, np.dtype(np.float32)
        scale = nodes.constant(preprocessing.scale, "preprocessing_scale", np.float32)
        mean = nodes.constant(preprocessing.mean, "preprocessing_mean", np.float32)
        x = nodes.add("Sub", nodes.add("Mul", name, scale), mean)
        if network.dtype != dtype:
            x = nodes.add("Cast", x, to=helper.np_dtype_to_tensor_dtype(network.dtype))
        if shape != network.input_dim:
            x = nodes.add("Flatten", x, axis=1)
    nodes.add("Identity", add_chain(nodes, network.places, x), output="scores")
    outputs = ["scores"]
    if network.loss_function is softmax_loss and len(network.output_dim) == 1:
        outputs.append(nodes.add("Softmax", "scores", output="probabilities", axis=1))
    kind, own = (helper.np_dtype_to_tensor_dtype(one) for one in (dtype, network.dtype))
    graph = helper.make_graph(
        nodes.nodes,
        type(network).__name__,
        [helper.make_tensor_value_info(name, kind, ["N", *shape])],
        [helper.make_tensor_value_info(out, own, ["N", *network.output_dim]) for out in outputs],
        [onnx.numpy_helper.from_array(array, key) for key, array in nodes.constants.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="convkit",
        producer_version=__version__,
    )
    helper.set_model_props(model, _metadata(network, preprocessing is not None))
    return model, name, shape, tuple(outputs)


def _metadata(network: Sequential, included: bool) -> dict[str, str]:
    found = {"convkit": __version__, "input": "raw images" if included else "prepared images"}
    if network.preprocessing is not None:
        found["preprocessing"] = json.dumps(network.preprocessing.config())
    if network.class_names is not None:
        found["class_names"] = json.dumps(network.class_names, ensure_ascii=False)
    return found


def _check(
    network: Sequential, content: bytes, name: str, shape: tuple[int, ...]
) -> tuple[str, float]:
    """Return who computed the scores of random examples, and how far they are from the network's.

    onnxruntime where it is installed and has the dtype, else onnx's reference evaluator.
    """
    rng = np.random.default_rng(0)
    x: npt.NDArray[Any] = rng.random((EXAMPLES, *shape))
    if name == "images":
        assert network.preprocessing is not None
        x = (x * network.preprocessing.white).astype(np.float32)
        expected = network.loss(network.preprocessing.apply(x))
    else:
        x = (2 * x - 1).astype(network.dtype)
        expected = network.loss(x)
    engine = "onnx's reference evaluator"
    if importlib.util.find_spec("onnxruntime") and network.dtype == np.float32:
        engine = "onnxruntime"
    found = _computed(engine, content, {name: x})
    scale = max(1.0, float(np.abs(expected).max()))
    return engine, float(np.abs(found - expected).max()) / scale


def _computed(engine: str, content: bytes, inputs: dict[str, Any]) -> npt.NDArray[Any]:
    if engine == "onnxruntime":
        runtime = require("onnxruntime", "the check of an ONNX file", extra="onnx")
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # its warnings are about what an optimiser did
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        scores: npt.NDArray[Any] = session.run(["scores"], inputs)[0]
        return scores
    reference = require("onnx.reference", "the check of an ONNX file", extra="onnx")
    evaluated: npt.NDArray[Any] = reference.ReferenceEvaluator(content).run(["scores"], inputs)[0]
    return evaluated
