"""The protocol: a user's own layers, config, repr, and errors that name the layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from model_cases import check_layer, worst_errors

from convkit import ConvkitError, DtypeError, ParameterError, ShapeError
from convkit.models import Affine, Conv, Dropout, Flatten, Layer, ReLU, Residual, Sequential
from convkit.models.modules.layer import frozen


@dataclass(repr=False)
class PReLU(Layer):
    """A learned slope for each channel, and a count of its calls."""

    start: float = 0.25

    def create(self, shape, rng):
        return {"alpha": np.full((shape[0], *(1 for _ in shape[1:])), self.start)}

    def create_buffers(self, shape):
        return {"calls": np.array(0), "mean": np.zeros(1)}

    def forward(self, x, arrays, context):
        arrays["calls"] = arrays["calls"] + 1
        alpha = arrays["alpha"]
        return np.where(x > 0, x, alpha * x), (x, alpha)

    def backward(self, dout, cache, needs):
        x, alpha = cache
        dalpha = np.where(x > 0, 0, dout * x)
        axes = (0, *range(2, x.ndim))
        return np.where(x > 0, dout, alpha * dout), {"alpha": dalpha.sum(axes).reshape(alpha.shape)}


class Plain(Layer):
    """Without a dataclass; ``wrong`` says in which way it misbehaves."""

    def __init__(self, wrong=None):
        self.wrong = wrong

    def create(self, shape, rng):
        return {"a/b" if self.wrong == "name" else "shift": np.zeros(shape)}

    def forward(self, x, arrays, context):
        if self.wrong == "dtype":
            return x.astype(np.float16), None
        return (x[:, :1] if self.wrong == "shape" else x + arrays["shift"]), None

    def infer(self, x, arrays, context):
        return None if self.wrong == "none" else x + arrays["shift"]

    def backward(self, dout, cache, needs):
        if self.wrong == "dx":
            return None, {"shift": dout.sum(axis=0)}
        return dout, {} if self.wrong == "gradient" else {"shift": dout.sum(axis=0)}


def test_gradients_of_a_user_s_layer():
    check_layer(PReLU(), (3, 2, 2))
    check_layer(Plain(), (3, 2))


def test_a_user_s_layer_in_a_network():
    net = Sequential(
        [Conv(3, 3), PReLU(), Residual([Conv(3, 1), PReLU(0.5)]), Affine(4)],
        input_dim=(2, 5, 5), dtype=np.float64, rng=0,
    )  # fmt: skip
    net.num_classes = 4
    assert list(net.params) == ["W1", "b1", "alpha1", "W2", "b2", "alpha2", "W3", "b3"]
    assert net.params["alpha2"].tolist() == [[[0.5]]] * 3
    assert max(worst_errors(net).values()) < 1e-6
    calls = int(net.buffers["calls1"])
    net.loss(np.zeros((2, 2, 5, 5)), np.zeros(2, int))
    assert int(net.buffers["calls1"]) == int(net.buffers["calls2"]) == calls + 1
    net.loss(np.zeros((2, 2, 5, 5)))
    assert int(net.buffers["calls1"]) == calls + 1


def test_reg_applies_to_weights_named_w_alone():
    @dataclass(repr=False)
    class Width(PReLU):
        def create(self, shape, rng):
            return {"Width": super().create(shape, rng)["alpha"]}

        def forward(self, x, arrays, context):
            return super().forward(x, {**arrays, "alpha": arrays["Width"]}, context)

        def backward(self, dout, cache, needs):
            dx, grads = super().backward(dout, cache, needs)
            return dx, {"Width": grads["alpha"]}

    def loss(reg):
        net = Sequential([Affine(3), Width(5.0)], input_dim=(2,), dtype=np.float64, rng=0, reg=reg)
        return net, net.loss(np.ones((2, 2)), np.array([0, 1]))[0]

    net, with_penalty = loss(2.0)
    assert with_penalty - loss(0.0)[1] == pytest.approx(np.square(net.params["W1"]).sum())


def test_buffers_keep_a_dtype_that_is_no_float():
    net = Sequential([PReLU()], input_dim=(3,), dtype=np.float32)
    assert net.buffers["calls1"].dtype == np.array(0).dtype
    assert net.buffers["mean1"].dtype == net.params["alpha1"].dtype == np.float32


def test_a_frozen_user_s_layer_keeps_its_buffers():
    net = Sequential([PReLU(trainable=False)], input_dim=(3,))
    net.loss(np.zeros((2, 3)), np.zeros(2, int))
    assert int(net.buffers["calls1"]) == 0
    assert set(net.buffers) == {"alpha1", "calls1", "mean1"}
    assert frozen(Plain()).trainable is False
    assert Plain().trainable is True


@pytest.mark.parametrize(
    ("wrong", "call", "error", "message"),
    [
        (
            "shape",
            "train",
            ShapeError,
            "forward must return an array of shape (2, 4), found (2, 1)",
        ),
        ("none", "infer", ShapeError, "infer must return an array of shape (2, 4), found NoneType"),
        ("dtype", "train", DtypeError, "forward must return float32, not float16"),
        (
            "gradient",
            "train",
            ConvkitError,
            "backward must return a gradient for 'shift', found",
        ),
        ("dx", "train", ShapeError, "backward must return an array of shape (2, 4), found NoneTy"),
    ],
)
def test_a_layer_that_misbehaves_is_named(wrong, call, error, message):
    net = Sequential([Affine(4), Plain(wrong)], input_dim=(3,))
    with pytest.raises(error) as caught:
        net.loss(np.zeros((2, 3)), None if call == "infer" else np.zeros(2, int))
    assert str(caught.value).startswith(f"layers[1], Plain(wrong={wrong!r}): {message}")


def test_a_name_with_a_slash_is_refused():
    with pytest.raises(ParameterError, match=r"the array's name \(='a/b'\) must have no / and"):
        Sequential([Plain("name")], input_dim=(3,))


def test_names_that_would_be_equal_are_refused():
    @dataclass(repr=False)
    class Odd(ReLU):
        def create(self, shape, rng):
            return {"W": np.zeros(1), "W1": np.zeros(1)}

    with pytest.raises(ParameterError, match=r"the array's name \(='W'\) must have no / and, with"):
        Sequential([Odd(), *[Affine(1)] * 9, Affine(1)], input_dim=(1,))


def test_config_makes_an_equal_layer():
    for layer in (Conv(4, (3, 1), pad="same", trainable=False), Dropout(keep=0.5), PReLU(0.5)):
        assert type(layer)(**layer.config()) == layer
    assert Flatten().config() == {"trainable": True}
    assert Plain("x").config() == {"wrong": "x"}


def test_a_layer_that_does_not_keep_an_argument_is_told_so():
    class Forgetful(ReLU):
        def __init__(self, slope):
            pass

    with pytest.raises(TypeError, match=r"^Forgetful must keep its argument 'slope' as an attribu"):
        Forgetful(1).config()


def test_repr_shows_what_is_no_default():
    assert repr(Conv(4, 3)) == "Conv(4, 3)"
    assert repr(Conv(4, (3, 1), stride=2, trainable=False)) == (
        "Conv(4, (3, 1), stride=2, trainable=False)"
    )
    assert repr(Dropout(keep=0.5)) == "Dropout(keep=0.5)"
    assert repr(Residual([ReLU()], relu=False)) == "Residual((ReLU(),), relu=False)"
