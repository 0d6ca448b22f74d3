"""Sequential: scores, loss and gradients, names and numbers, frozen layers, what it refuses."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from model_cases import worst_errors

import convkit
from convkit import DtypeError, ParameterError, ShapeError, layers
from convkit.models import (
    Affine,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GroupNorm,
    MaxPool,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
)


def small(**arguments):
    block = Residual([Conv(4, 3, stride=2, pad=1), BatchNorm(), ReLU(), Conv(4, 3, pad=1)])
    parts = [Conv(3, 3, pad=1), BatchNorm(), ReLU(), block, GlobalAvgPool(), Affine(5)]
    return Sequential(parts, **{"input_dim": (2, 7, 6), "rng": 1, **arguments})


def examples(net, n=4, classes=5):
    rng = np.random.default_rng(2)
    return rng.standard_normal((n, *net.input_dim)), rng.integers(classes, size=n)


def test_scores_by_the_layer_functions():
    net = Sequential(
        [Conv(3, 3, pad=1), ReLU(), MaxPool(2), Flatten(), Affine(4)],
        input_dim=(2, 6, 6), dtype=np.float64, rng=0,
    )  # fmt: skip
    X, y = examples(net, classes=4)
    p = net.params
    hidden = convkit.max_pool(np.maximum(convkit.conv(X, p["W1"], p["b1"], pad=1), 0), kernel=2)
    scores = hidden.reshape(4, -1) @ p["W2"] + p["b2"]
    np.testing.assert_allclose(net.loss(X), scores, rtol=1e-12, atol=1e-12)
    assert net.loss(X, y)[0] == pytest.approx(layers.softmax_loss(scores, y)[0], rel=1e-12)
    assert net.output_dim == (4,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_is_of_the_dtype(dtype):
    net = small(dtype=dtype)
    X, y = examples(net)
    _, grads = net.loss(X, y)
    found = [*net.params.values(), *net.buffers.values(), *grads.values(), net.loss(X)]
    assert {array.dtype for array in found} == {np.dtype(dtype)}
    assert {name: g.shape for name, g in grads.items()} == {
        name: w.shape for name, w in net.params.items()
    }


def test_gradients_of_every_parameter_of_a_residual_net(backend):
    net = small(dtype=np.float64, reg=0.1, backend=backend)
    net.num_classes = 5
    assert max(worst_errors(net).values()) < 1e-6


def test_any_loss_and_its_gradient():
    def absolute(scores, y):
        return np.abs(scores - y).sum(), np.sign(scores - y)

    net = Sequential([Affine(3), Sigmoid()], input_dim=(4,), dtype=np.float64, rng=0, loss=absolute)
    X = np.random.default_rng(0).standard_normal((5, 4))
    y = np.full((5, 3), 2.0)
    loss, grads = net.loss(X, y)
    assert isinstance(loss, float)
    assert loss == pytest.approx(np.abs(net.loss(X) - y).sum())
    report = convkit.gradcheck.gradcheck(
        lambda _: net.loss(X, y)[0], net.params["W1"], grads["W1"], h=1e-5
    )
    assert report.error < 1e-6


def test_a_loss_with_a_gradient_of_another_shape_is_refused():
    net = Sequential([Affine(3)], input_dim=(4,), loss=lambda scores, y: (0.0, scores[:, 0]))
    with pytest.raises(ShapeError, match=r"^loss must return a gradient of the scores' shape"):
        net.loss(np.ones((2, 4)), np.zeros(2, int))


def test_arrays_are_numbered_in_the_order_in_which_the_layers_run():
    inner = Residual([Conv(4, 1), BatchNorm(), Conv(4, 1), BatchNorm()], shortcut=[Conv(4, 1)])
    net = Sequential(
        [BatchNorm(), Conv(4, 3, pad=1), ReLU(), GroupNorm(2), inner, BatchNorm(), Affine(3)],
        input_dim=(2, 5, 5),
    )
    assert list(net.params) == [
        "gamma1", "beta1",           # nothing before it: the next free number
        "W2", "b2", "gamma2", "beta2",  # the number of the layer before, also past a relu
        "W3", "gamma3", "beta3", "W4", "gamma4", "beta4",  # the main path
        "W5", "b5",                  # then the shortcut
        "gamma6", "beta6",           # after a Residual, the next free number
        "W7", "b7",
    ]  # fmt: skip
    assert list(net.buffers) == [
        f"running_{what}{i}" for i in (1, 3, 4, 6) for what in ("mean", "var")
    ]


def test_a_norm_at_the_start_of_a_shortcut_has_no_layer_before_it():
    block = Residual([Conv(2, 1)], shortcut=[BatchNorm(), Conv(2, 1)])
    net = Sequential([block], input_dim=(1, 3, 3))
    assert list(net.params) == ["W1", "b1", "gamma2", "beta2", "W3", "b3"]


def test_a_second_norm_after_one_layer_takes_the_next_number():
    net = Sequential([Conv(2, 1), BatchNorm(), ReLU(), BatchNorm()], input_dim=(1, 2, 2))
    assert list(net.params) == ["W1", "gamma1", "beta1", "gamma2", "beta2"]


def test_a_bias_is_left_out_before_a_norm_alone():
    def names(*parts):
        return list(Sequential(parts, input_dim=(2, 3, 3)).params)

    assert names(Conv(2, 1), BatchNorm()) == ["W1", "gamma1", "beta1"]
    assert names(Affine(2), GroupNorm(1)) == ["W1", "gamma1", "beta1"]
    assert names(ConvTranspose(2, 1), ReLU()) == ["W1", "b1"]
    assert names(Conv(2, 1, bias=True), BatchNorm()) == ["W1", "b1", "gamma1", "beta1"]
    assert names(Conv(2, 1, bias=False)) == ["W1"]
    assert names(Affine(2, bias=False)) == ["W1"]


def test_one_layer_object_may_stand_in_several_places():
    conv = Conv(2, 3, pad=1)
    net = Sequential([conv, ReLU(), conv], input_dim=(2, 4, 4), rng=0)
    assert sorted(net.params) == ["W1", "W2", "b1", "b2"]
    assert (net.params["W1"] != net.params["W2"]).any()


def test_the_weights_start_at_he_s_scale_or_the_given_one():
    net = Sequential(
        [Conv(64, 3), ReLU(), Conv(200, 5, groups=2), Affine(50, weight_scale=0.25)],
        input_dim=(10, 9, 9), rng=0,
    )  # fmt: skip
    assert net.params["W1"].std() == pytest.approx(np.sqrt(2 / 90), rel=0.05)
    assert net.params["W2"].std() == pytest.approx(np.sqrt(2 / 800), rel=0.05)
    assert net.params["W3"].std() == pytest.approx(0.25, rel=0.05)
    assert not net.params["b1"].any()


def test_transposed_convolutions_start_at_a_scale_that_keeps_the_variance():
    net = Sequential(
        [ConvTranspose(30, 4, stride=2, pad=1)], input_dim=(40, 20, 20), rng=0, dtype=np.float64
    )
    x = np.random.default_rng(1).standard_normal((4, 40, 20, 20))
    assert net.loss(x)[:, :, 5:-5, 5:-5].var() == pytest.approx(2, rel=0.1)


def test_training_moves_the_running_statistics_and_inference_uses_them():
    net = small(dtype=np.float64)
    X, y = examples(net)
    before = dict(net.buffers)
    net.loss(X)
    assert all(net.buffers[name] is array for name, array in before.items())
    net.loss(X, y)
    z = convkit.conv(X, net.params["W1"], pad=1)
    np.testing.assert_allclose(net.buffers["running_mean1"], 0.1 * z.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(net.buffers["running_var1"], 0.9 + 0.1 * z.var(axis=(0, 2, 3)))
    assert not before["running_mean1"].any()  # replaced, never written into


def test_a_frozen_layer_s_arrays_are_buffers_and_stay():
    net = Sequential(
        [
            Conv(3, 3, trainable=False), BatchNorm(trainable=False), ReLU(),
            Conv(4, 3), BatchNorm(), ReLU(), GlobalAvgPool(), Affine(5),
        ],
        input_dim=(2, 7, 6), dtype=np.float64, reg=0.1, rng=1,
    )  # fmt: skip
    assert not {"W1", "gamma1", "beta1"} & set(net.params)
    net.buffers["running_mean1"] = np.array([0.1, -0.2, 0.3])
    net.num_classes = 5
    X, y = examples(net)
    before = dict(net.buffers)
    _, grads = net.loss(X, y)
    assert sorted(grads) == sorted(net.params) == sorted(["W2", "gamma2", "beta2", "W3", "b3"])
    for name in ("W1", "gamma1", "beta1", "running_mean1", "running_var1"):
        assert net.buffers[name] is before[name]
    assert net.buffers["running_mean2"] is not before["running_mean2"]
    assert max(worst_errors(net).values()) < 1e-6


def test_a_frozen_norm_uses_its_running_statistics_in_training():
    net = Sequential(
        [BatchNorm(trainable=False), Affine(3)], input_dim=(4,), dtype=np.float64, rng=0
    )
    net.buffers["running_mean1"] = np.array([1.0, 2, 3, 4])
    net.buffers["running_var1"] = np.array([0.5, 2, 4, 8])
    X, y = examples(net, classes=3)
    expected, _ = layers.softmax_loss(net.loss(X), y)
    assert net.loss(X, y)[0] == pytest.approx(expected, rel=1e-12)


def test_a_frozen_layer_in_the_middle_passes_the_gradient_on():
    frozen = Residual([Conv(3, 3, pad=1), BatchNorm()], trainable=False)
    net = Sequential(
        [Conv(3, 3), ReLU(), frozen, Affine(4)], input_dim=(2, 5, 5), dtype=np.float64, rng=1
    )
    assert list(net.params) == ["W1", "b1", "W3", "b3"]
    assert {"W2", "gamma2", "beta2"} <= set(net.buffers)
    net.num_classes = 4
    assert max(worst_errors(net).values()) < 1e-6


def test_a_net_whose_layers_are_all_frozen_has_no_gradients():
    net = Sequential([Affine(3, trainable=False)], input_dim=(4,), rng=0)
    assert net.params == {}
    assert net.loss(np.ones((2, 4)), np.array([0, 1]))[1] == {}


def test_dropout_is_off_in_inference_and_the_output_is_never_the_input():
    net = Sequential([Dropout(keep=0.5)], input_dim=(4,), rng=0, loss=layers.mse_loss)
    x = np.ones((3, 4), np.float32)
    out = net.loss(x)
    np.testing.assert_array_equal(out, x)
    assert not np.shares_memory(out, x)


def test_an_input_in_any_layout_is_not_changed():
    net = small()
    X, y = examples(net)
    X = np.asfortranarray(X.astype(">f8"))
    before = X.copy()
    loss, _ = net.loss(X, y)
    np.testing.assert_array_equal(X, before)
    assert loss == pytest.approx(small().loss(np.ascontiguousarray(before), y)[0], rel=1e-5)


def test_no_examples_give_no_scores():
    assert small().loss(np.zeros((0, 2, 7, 6))).shape == (0, 5)


@pytest.mark.parametrize("input_dim", [(2, 9), (2, 5, 4, 6)])
def test_one_and_three_spatial_axes(input_dim):
    net = Sequential(
        [Conv(3, 3, pad=1), BatchNorm(), ReLU(), MaxPool(2), Residual([Conv(4, 1)]), Affine(3)],
        input_dim=input_dim, dtype=np.float64, rng=0,
    )  # fmt: skip
    net.num_classes = 3
    assert max(worst_errors(net).values()) < 1e-6


def test_a_copy_and_a_pickle_are_the_same_network():
    net = small()
    X, y = examples(net)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.loss(X), net.loss(X))
        assert repr(other) == repr(net)
        other.params["W1"] = other.params["W1"] + 1
        assert (other.params["W1"] != net.params["W1"]).all()
    again = pickle.loads(pickle.dumps(net))
    assert again.loss(X, y)[0] == net.loss(X, y)[0]


def test_its_repr_makes_the_same_network():
    net = small(dtype=np.float64, reg=0.25)
    names = {name: getattr(convkit.models, name) for name in convkit.models.__all__}
    again = eval(repr(net), names)
    assert repr(again) == repr(net)
    assert again.layers == net.layers
    assert (again.dtype, again.reg, again.input_dim) == (net.dtype, 0.25, (2, 7, 6))
    assert repr(Sequential([Conv(8, 3, pad="same")], input_dim=(1, 4, 4))) == (
        "Sequential([\n    Conv(8, 3, pad='same'),\n], input_dim=(1, 4, 4))"
    )


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        (
            [Conv(4, 3), ReLU(), Conv(4, 9)],
            ShapeError,
            "layers[2], Conv(4, 9), for an input of shape (4, 6, 6): the window (=9,",
        ),
        (
            [Affine(5), Conv(4, 3)],
            ShapeError,
            "layers[1], Conv(4, 3), for an input of shape (5,): the input's shape (=(5,)) must be",
        ),
        (
            [Residual([Conv(4, 3), Conv(4, 3, groups=3)])],
            ShapeError,
            "layers[0].layers[1], Conv(4, 3, groups=3), for an input of shape (4, 6, 6): w.shape",
        ),
        (
            [Residual([Conv(4, 3)], shortcut=[Conv(3, 3)])],
            ShapeError,
            "layers[0], Residual, for an input of shape (3, 8, 8): layers lead to (4, 6, 6) and",
        ),
        (
            [Residual([Conv(4, 3)])],
            ShapeError,
            "layers[0], Residual, for an input of shape (3, 8, 8): layers lead from (3, 8, 8) to",
        ),
        (
            [GroupNorm(2)],
            ShapeError,
            "layers[0], GroupNorm(2), for an input of shape (3, 8, 8): x.shape[1] (=3) must be",
        ),
        ([ReLU], ParameterError, "layers[0] (=<class 'convkit.models.modules.activations.ReLU'>)"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_layer_s_place(parts, error, message):
    with pytest.raises(error) as caught:
        Sequential(parts, input_dim=(3, 8, 8))
    assert str(caught.value).startswith(message)


def test_arguments_are_checked():
    with pytest.raises(ShapeError, match=r"^input_dim \(=\(\)\) must have at least one axis$"):
        Sequential([ReLU()], input_dim=())
    with pytest.raises(ParameterError, match=r"^input_dim \(=\(3, 0\)\) must be an integer of at"):
        Sequential([ReLU()], input_dim=(3, 0))
    with pytest.raises(DtypeError, match=r"^dtype \(=float16\) must be float32 or float64$"):
        Sequential([ReLU()], input_dim=(3,), dtype=np.float16)
    with pytest.raises(ParameterError, match=r"^reg \(=-1\) must be a finite number of at least 0"):
        Sequential([ReLU()], input_dim=(3,), reg=-1)
    with pytest.raises(ShapeError, match=r"^X\.shape \(=\(2, 3\)\) must be \(N, 2, 7, 6\)$"):
        small().loss(np.zeros((2, 3)))
