"""What save writes: the architecture as JSON and the arrays, in one file, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from convkit import ParameterError, layers
from convkit.models import (
    Affine,
    BatchNorm,
    Conv,
    MaxPool,
    ReLU,
    Residual,
    Sequential,
    ThreeLayerConvNet,
)
from convkit.models.archive import encoded
from convkit.tensors import load_weights
from convkit.version import __version__


@dataclass(repr=False)
class Odd(ReLU):
    """A user's layer; not every argument can be written."""

    thing: object = None


def written(net, tmp_path):
    net.save(tmp_path / "net.safetensors")
    arrays, metadata = load_weights(tmp_path / "net.safetensors")
    return arrays, json.loads(metadata["convkit.model"])


def test_the_file_holds_architecture_parameters_and_buffers(tmp_path):
    net = Sequential(
        [
            Conv(np.int64(3), (3, 2), pad=((1, 0), (1, 1))), BatchNorm(), MaxPool(2),
            Residual([ReLU()], relu=False), Odd(), Affine(4, trainable=False),
        ],
        input_dim=(2, 6, 6), dtype=np.float64, loss=layers.svm_loss, reg=0.5,
    )  # fmt: skip
    arrays, content = written(net, tmp_path)
    assert arrays.keys() == net.params.keys() | net.buffers.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, (net.params | net.buffers)[name], strict=True)
    assert (content["format"], content["convkit"]) == (1, __version__)
    assert (content["class"], "from" in content) == ("Sequential", False)
    config = content["config"]
    assert (config["input_dim"], config["dtype"], config["reg"]) == ([2, 6, 6], "float64", 0.5)
    assert config["loss"] == {"function": "svm_loss"}
    conv, norm, _, residual, odd, affine = config["layers"]
    assert (conv["class"], norm["class"], residual["class"]) == ("Conv", "BatchNorm", "Residual")
    assert conv["config"]["filters"] == 3
    assert conv["config"]["pad"] == [[1, 0], [1, 1]]
    assert residual["config"]["layers"][0]["class"] == "ReLU"
    assert residual["config"]["shortcut"] is None
    assert (odd["class"], odd["from"]) == ("Odd", __name__)
    assert affine["config"]["trainable"] is False


def test_a_named_model_is_written_by_its_own_arguments(tmp_path):
    net = ThreeLayerConvNet((1, 4, 6), 2, 3, 5, 3, weight_scale=0.5, reg=0.25)
    net.reg = 0.75
    _, content = written(net, tmp_path)
    assert content["class"] == "ThreeLayerConvNet"
    assert content["config"] == {
        "input_dim": [1, 4, 6], "num_filters": 2, "filter_size": 3, "hidden_dim": 5,
        "num_classes": 3, "weight_scale": 0.5, "reg": 0.75, "dtype": "float32",
    }  # fmt: skip


def test_what_cannot_be_written_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"the old one")
    net = Sequential([Odd(object())], input_dim=(3,))
    with pytest.raises(ParameterError, match=r"^Odd\.thing \(=<object object at .*>\) cannot be"):
        net.save(path)
    assert path.read_bytes() == b"the old one"
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_function_of_a_user_s_has_its_module():
    def softmax_loss(scores, y):
        raise NotImplementedError

    assert encoded(layers.softmax_loss, "loss") == {"function": "softmax_loss"}
    (name,) = encoded(softmax_loss, "loss").values()
    assert name.startswith(f"{__name__}.")
