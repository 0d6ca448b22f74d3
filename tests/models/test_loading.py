"""Networks that come back: the same to the bit, for every model; other files are refused."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest
from model_cases import batch

from convkit import DataError, layers
from convkit.models import (
    MODELS,
    Affine,
    BatchNorm,
    Conv,
    ConvAutoencoder,
    ConvTranspose,
    DeepConvNet,
    Dropout,
    FullyConnectedNet,
    GroupNorm,
    Layer,
    LeakyReLU,
    ReLU,
    Residual,
    Sequential,
    load,
)
from convkit.models.archive import KEY
from convkit.models.loading import MODELS as LOADABLE
from convkit.preprocessing import Preprocessing
from convkit.tensors import WEIGHTS_FILE, load_weights, save_weights
from convkit.version import __version__


@dataclass(repr=False)
class Shift(Layer):
    """A user's layer."""

    start: float = 0.0

    def create(self, shape, rng):
        return {"shift": np.full(shape, self.start)}

    def create_buffers(self, shape):
        return {"calls": np.array(0)}

    def forward(self, x, arrays, context):
        arrays["calls"] = arrays["calls"] + 1
        return x + arrays["shift"], None

    def backward(self, dout, cache, needs):
        return dout, {"shift": dout.sum(axis=0)}


class Own(Sequential):
    """A user's network."""

    def __init__(self, width=4):
        self.width = width
        super().__init__([Shift(0.5), Affine(width)], input_dim=(3,), dtype=np.float64)


def absolute(scores, y):
    return float(np.abs(scores - y).mean()), np.sign(scores - y) / scores.size


NETWORKS = {
    **{name: model(input_dim=(2, 8, 8), rng=1) for name, model in MODELS.items()},
    "deep with everything": DeepConvNet(
        (2, 9, 8), (3, 4), 3, (5,), 3, reg=0.1, batchnorm=True, dropout=0.5, dtype="f8", rng=1
    ),
    "fc with everything": FullyConnectedNet(
        (6, 5), 12, 3, dropout_keep_ratio=0.5, normalization="layernorm", seed=3, rng=1
    ),
    "autoencoder": ConvAutoencoder((2, 8, 8), (3, 4), rng=1),
    "sequential": Sequential(
        [
            Conv(4, 3, stride=(1, 2), pad=((1, 0), (2, 1)), groups=2, pad_mode="edge"),
            GroupNorm(2), LeakyReLU(0.2),
            Residual([Conv(6, 1), BatchNorm(momentum=0.5)], relu=False), Dropout(keep=0.9),
            ConvTranspose(3, 2, trainable=False), ReLU(), Affine(3, bias=False, weight_scale=0.2),
        ],
        input_dim=(2, 6, 5), reg=0.2, dtype=np.float64, rng=1, loss=layers.svm_loss,
    ),
}  # fmt: skip


def trained(net):
    """Move the running statistics and the parameters, so that nothing is as it began."""
    X = batch_of(net)
    y = X if isinstance(net, ConvAutoencoder) else np.arange(len(X)) % net.output_dim[0]
    _, grads = net.loss(X, y)
    net.params = {name: w - w.dtype.type(0.01) * grads[name] for name, w in net.params.items()}
    return X, y


def batch_of(net):
    return np.random.default_rng(4).standard_normal((5, *net.input_dim))


def test_every_model_that_is_shown_can_be_loaded():
    assert set(MODELS.values()) <= set(LOADABLE)


@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_a_network_comes_back_to_the_bit(net, tmp_path):
    X, y = trained(net)
    net.save(tmp_path / "a")
    again = load(tmp_path / "a", rng=7)
    assert type(again) is type(net)
    assert repr(again) == repr(net)
    assert list(again.params) == list(net.params)
    assert list(again.buffers) == list(net.buffers)
    np.testing.assert_array_equal(again.loss(X), net.loss(X), strict=True)
    net.rng = np.random.default_rng(7)
    again.rng = np.random.default_rng(7)
    (loss, grads), (expected, others) = again.loss(X, y), net.loss(X, y)
    assert loss == expected
    for name, gradient in others.items():
        np.testing.assert_array_equal(grads[name], gradient, strict=True)
    again.save(tmp_path / "b")
    net.buffers = load(tmp_path / "b").buffers
    net.save(tmp_path / "c")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_a_fused_network_comes_back(tmp_path):
    net = NETWORKS["resnet"]
    X, _ = trained(net)
    fused = net.fused()
    fused.save(tmp_path / "a")
    again = load(tmp_path / "a")
    assert type(again) is type(fused)
    np.testing.assert_array_equal(again.loss(X), fused.loss(X))


def test_classes_and_losses_of_one_s_own_are_passed_in(tmp_path):
    net = Sequential([Shift(2.0), Affine(3)], input_dim=(4,), loss=absolute, rng=0)
    X = batch_of(net)
    net.loss(X, np.zeros((5, 3)))
    net.save(tmp_path / "a")
    again = load(tmp_path / "a", [Shift], loss=absolute, backend="naive")
    assert again.layers[0] == Shift(2.0)
    assert (again.loss_function, again.backend) == (absolute, "naive")
    assert again.buffers["calls1"].shape == ()
    assert int(again.buffers["calls1"]) == 1
    np.testing.assert_allclose(again.loss(X), net.loss(X), rtol=1e-6)
    Own(5).save(tmp_path / "b")
    own = load(tmp_path / "b", classes=(Own,))
    assert (type(own), own.width) == (Own, 5)


def refused(path, *arguments, **keywords):
    with pytest.raises(DataError) as caught:
        load(path, *arguments, **keywords)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_what_is_not_known_is_refused_with_what_to_pass(tmp_path):
    path = tmp_path / "a"
    Sequential([Shift()], input_dim=(4,), loss=absolute).save(path)
    assert refused(path, loss=absolute) == (
        f"the class 'Shift', of the module {__name__!r}, is not convkit's; pass it: "
        "load(path, classes=[Shift])"
    )
    assert refused(path, [Shift]) == (
        f"the loss function '{__name__}.absolute' is not convkit's; pass it: load(path, loss=...)"
    )


def changed(path, change):
    """Save a network at a path with its JSON changed."""
    Sequential([Conv(2, 3), Affine(3)], input_dim=(1, 4, 4)).save(path)
    arrays, metadata = load_weights(path)
    content = json.loads(metadata[KEY])
    text = change(content, arrays)
    save_weights(path, arrays, {KEY: text if isinstance(text, str) else json.dumps(content)})


def layer_of(content):
    return content["config"]["layers"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, a: "{", "expected JSON under convkit.model, found "),
        (lambda c, a: "[]", "expected a format number under convkit.model, found None"),
        (
            lambda c, a: c.update(format="1"),
            "expected a format number under convkit.model, found",
        ),
        (
            lambda c, a: c.update(format=2, convkit="9.1"),
            "expected format 1 at most, found 2, written by convkit 9.1; a newer convkit reads it",
        ),
        (lambda c, a: c.update({"class": "Conv"}), "expected a network, found a Conv"),
        (lambda c, a: c.update({"class": "os"}), "expected a class of convkit, found 'os', which"),
        (lambda c, a: c.pop("config"), "expected a class and its config, found "),
        (lambda c, a: layer_of(c).update({"class": "Layer"}), "expected a class of convkit, found"),
        (
            lambda c, a: layer_of(c)["config"].update(filters=-1),
            "expected a network, but it cannot be built: filters (=-1) must be an integer of",
        ),
        (
            lambda c, a: layer_of(c)["config"].update(speed=1),
            "expected a network, but it cannot be built: ",
        ),
        (
            lambda c, a: c["config"].update(input_dim=[16]),
            "expected a network, but it cannot be built: ",
        ),
        (lambda c, a: layer_of(c)["config"].update(filters=4), "expected W1 to be (4, 1, 3, 3) f"),
        (
            lambda c, a: c["config"].update(dtype="float64"),
            "expected W1 to be (2, 1, 3, 3) float6",
        ),
        (lambda c, a: a.pop("b2"), "expected b2 to be (3,) float32, found no such"),
        (
            lambda c, a: a.update(W9=a["W1"]),
            "expected W9 to be no such array, found (2, 1, 3, 3)",
        ),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path, change, message):
    changed(tmp_path / "a", change)
    assert refused(tmp_path / "a").startswith(message)


def test_json_that_nests_without_end_is_refused(tmp_path):
    changed(tmp_path / "a", lambda c, a: "[" * 100_000)
    refused(tmp_path / "a")


def test_other_files_are_refused(tmp_path):
    save_weights(tmp_path / "weights", {"W1": np.ones(3)})
    assert refused(tmp_path / "weights").startswith("expected a network that save wrote, found arr")
    (tmp_path / "text").write_text("no network")
    assert refused(tmp_path / "text").startswith("expected a safetensors file of weights, found ")
    assert refused(tmp_path / "none").startswith("there is no such file")
    Sequential([Affine(3)], input_dim=(2,)).save(tmp_path / "cut")
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-1])
    assert re.match("expected a safetensors file of weights, found ", refused(tmp_path / "cut"))


def test_what_a_later_convkit_adds_beside_the_network_is_passed_over(tmp_path):
    changed(tmp_path / "a", lambda c, a: c.update(licence="none"))
    assert load(tmp_path / "a").output_dim == (3,)


def usable():
    net = MODELS["three_layer"](input_dim=(2, 4, 4), num_classes=3, rng=0)
    net.preprocessing = Preprocessing((2, 4, 4), 1 / 255, np.ones((2, 1, 1)) / 3, 255, "pad")
    net.class_names = ("cat", "dog", "鸟")
    return net


def test_preprocessing_and_class_names_come_back(tmp_path):
    net = usable()
    net.save(tmp_path / "a")
    again = load(tmp_path / "a")
    assert again.preprocessing == net.preprocessing
    assert again.class_names == net.class_names
    fused = net.fused()
    assert (fused.preprocessing, fused.class_names) == (net.preprocessing, net.class_names)
    content = json.loads(load_weights(tmp_path / "a")[1][KEY])
    assert content["convkit"] == __version__
    bare = MODELS["three_layer"](input_dim=(2, 4, 4), rng=0)
    bare.save(tmp_path / "b")
    assert (load(tmp_path / "b").preprocessing, load(tmp_path / "b").class_names) == (None, None)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("class_names", "cat", "expected class_names as texts, found cat"),
        ("class_names", [1], "expected class_names as texts, found [1]"),
        ("preprocessing", {"scale": 1}, "expected a preprocessing, found {'scale': 1}: 'shape'"),
        (
            "preprocessing",
            Preprocessing((2, 5, 5)).config(),
            "expected a preprocessing for examples of shape (2, 4, 4), found (2, 5, 5)",
        ),
    ],
)
def test_what_is_no_preprocessing_or_names_is_refused(tmp_path, key, value, message):
    usable().save(tmp_path / "a")
    arrays, metadata = load_weights(tmp_path / "a")
    content = json.loads(metadata[KEY]) | {key: value}
    save_weights(tmp_path / "a", arrays, {KEY: json.dumps(content)})
    with pytest.raises(DataError) as caught:
        load(tmp_path / "a")
    assert str(caught.value) == f"{tmp_path / 'a'}: {message}"


def test_a_run_s_folder_stands_for_its_file(tmp_path):
    net = usable()
    net.save(tmp_path / WEIGHTS_FILE)
    assert repr(load(tmp_path)) == repr(net)
    (tmp_path / "empty").mkdir()
    message = "found a folder without it"
    with pytest.raises(DataError, match=message):
        load(tmp_path / "empty")


def test_a_saved_model_of_the_solver_s_is_one_file(tmp_path):
    net = MODELS["three_layer"](input_dim=(1, 4, 4), rng=0)
    X, _ = batch(net)
    net.save(tmp_path / "a")
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    np.testing.assert_array_equal(load(tmp_path / "a").loss(X), net.loss(X))
