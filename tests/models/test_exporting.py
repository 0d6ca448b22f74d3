"""ONNX files: what goes in and comes out, what they say of themselves, and when none is written."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from convkit import ConvkitError, ParameterError
from convkit.models import MODELS, ConvAutoencoder, FullyConnectedNet, export_onnx, exporting
from convkit.models.exporting import TOLERANCE
from convkit.preprocessing import Preprocessing
from convkit.version import __version__

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

SHAPE = (3, 8, 8)
NETWORKS = {
    **{name: model(input_dim=SHAPE, rng=1) for name, model in MODELS.items()},
    "autoencoder": ConvAutoencoder(SHAPE, (4, 5), rng=1),
}


def usable(name="three_layer", **options):
    net = MODELS[name](input_dim=SHAPE, rng=1, **options)
    net.preprocessing = Preprocessing(SHAPE, [[[0.01]], [[0.02]], [[0.03]]], 0.5, 255)
    net.class_names = tuple("abcdefghij")
    return net


def computed(path, **inputs):
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(
        zip([out.name for out in session.get_outputs()], session.run(None, inputs), strict=True)
    )


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_every_ready_made_network_is_the_same(net, tmp_path):
    X = np.random.default_rng(0).standard_normal((4, *SHAPE)).astype(np.float32)
    if not isinstance(net, ConvAutoencoder):
        net.loss(X, np.arange(4))  # which moves the running statistics
    done = export_onnx(net, tmp_path / "a.onnx")
    expected = net.loss(X)
    found = computed(tmp_path / "a.onnx", x=X.reshape(4, *done.shape))["scores"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))
    assert (done.input, done.engine) == ("x", "onnxruntime")
    assert done.difference <= TOLERANCE


@pytest.mark.parametrize("name", ["three_layer", "resnet", "fc"])
def test_raw_images_go_in_and_probabilities_come_out(name, tmp_path):
    net = usable(name)
    done = export_onnx(net, tmp_path / "a.onnx")
    assert (done.input, done.shape, done.outputs) == ("images", SHAPE, ("scores", "probabilities"))
    raw = np.random.default_rng(0).integers(0, 256, (5, *SHAPE)).astype(np.uint8)
    found = computed(tmp_path / "a.onnx", images=raw.astype(np.float32))
    np.testing.assert_allclose(found["probabilities"], net.predict_proba(raw), atol=1e-5)


def test_prepared_leaves_the_preprocessing_out(tmp_path):
    net = usable()
    assert export_onnx(net, tmp_path / "a.onnx", prepared=True).input == "x"
    raw = np.random.default_rng(0).integers(0, 256, (5, *SHAPE)).astype(np.uint8)
    found = computed(tmp_path / "a.onnx", x=net.preprocessing.apply(raw))
    np.testing.assert_allclose(found["probabilities"], net.predict_proba(raw), atol=1e-5)


def test_the_file_says_what_it_is(tmp_path):
    net = usable()
    export_onnx(net, tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    said = {item.key: item.value for item in model.metadata_props}
    assert json.loads(said["class_names"]) == list(net.class_names)
    assert Preprocessing.from_config(json.loads(said["preprocessing"])) == net.preprocessing
    assert (said["convkit"], said["input"]) == (__version__, "raw images")
    assert (model.producer_name, model.producer_version) == ("convkit", __version__)
    names = {array.name for array in model.graph.initializer}
    assert set(net.params) <= names


def test_a_network_of_doubles_is_checked_by_the_reference_evaluator(tmp_path):
    net = usable("resnet", dtype=np.float64)
    done = export_onnx(net, tmp_path / "a.onnx")
    assert done.engine == "onnx's reference evaluator"
    assert done.difference < 1e-6


def test_it_is_also_checked_where_onnxruntime_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    assert export_onnx(usable(), tmp_path / "a.onnx").engine == "onnx's reference evaluator"


def test_a_file_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    write = exporting.add_chain
    monkeypatch.setattr(
        exporting,
        "add_chain",
        lambda nodes, chain, x: nodes.add("Add", write(nodes, chain, x), nodes.constant([1e-3])),
    )
    (tmp_path / "a.onnx").write_bytes(b"before")
    with pytest.raises(
        ConvkitError, match=r"not written: computed by onnxruntime, .* differ by 0.0"
    ):
        export_onnx(usable(), tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == b"before"


def test_a_missing_folder_is_said_first(tmp_path):
    with pytest.raises(ParameterError, match="must be in a folder that exists"):
        export_onnx(usable(), tmp_path / "none" / "a.onnx")


def test_without_onnx_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConvkitError, match=r"needs the module 'onnx'.*'convkit-layers\[onnx\]'"):
        export_onnx(usable(), tmp_path / "a.onnx")


def test_a_network_without_classes_has_no_probabilities(tmp_path):
    done = export_onnx(NETWORKS["autoencoder"], tmp_path / "a.onnx")
    assert done.outputs == ("scores",)
    flat = FullyConnectedNet((4,), 6, 3, rng=0)
    assert export_onnx(flat, tmp_path / "b.onnx").shape == (6,)
