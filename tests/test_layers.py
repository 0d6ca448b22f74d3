"""The plain NumPy layers: values by hand, gradients by differences, every refusal."""

from __future__ import annotations

import math

import numpy as np
import pytest

from convkit import ParameterError, ShapeError, layers
from convkit.gradcheck import eval_numerical_gradient_array, gradcheck, rel_error


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def check_array_gradients(forward, backward, arrays, dout):
    """Compare backward's gradients with numerical ones, one per array, in order."""
    _, cache = forward(*arrays)
    gradients = backward(dout, cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for i, analytic in enumerate(gradients):
        report = gradcheck(lambda _: forward(*arrays)[0], arrays[i], analytic, dout, floor=1e-2)
        assert report.error < 1e-7, (i, str(report))


def test_affine_forward_by_hand():
    x = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
    w = np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]])
    out, _ = layers.affine_forward(x, w, np.array([10.0, 20.0, 30.0]))
    assert out.tolist() == [[15, 22, 29], [21, 24, 27]]


def test_affine_known_answer():
    x = np.linspace(-0.1, 0.5, num=2 * 4 * 5 * 6).reshape(2, 4, 5, 6)
    w = np.linspace(-0.2, 0.3, num=120 * 3).reshape(120, 3)
    out, _ = layers.affine_forward(x, w, np.linspace(-0.3, 0.1, num=3))
    expected = [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]]
    assert rel_error(out, expected) < 1e-8


def test_affine_gradients(rng):
    arrays = [rng.standard_normal(shape) for shape in ((5, 2, 3), (6, 4), (4,))]
    check_array_gradients(
        layers.affine_forward, layers.affine_backward, arrays, rng.standard_normal((5, 4))
    )


def test_affine_relu_gradients(rng):
    arrays = [rng.standard_normal(shape) for shape in ((5, 2, 3), (6, 4), (4,))]
    check_array_gradients(
        layers.affine_relu_forward,
        layers.affine_relu_backward,
        arrays,
        rng.standard_normal((5, 4)),
    )


def test_affine_of_no_examples():
    w = np.ones((6, 4), np.float32)
    out, cache = layers.affine_forward(np.ones((0, 2, 3), np.float32), w, np.ones(4, np.float32))
    dx, dw, db = layers.affine_backward(out, cache)
    assert out.shape == (0, 4)
    assert dx.shape == (0, 2, 3)
    assert not dw.any()
    assert not db.any()


def test_affine_shapes_are_checked():
    with pytest.raises(ShapeError, match=r"^w\.shape \(=\(5, 4\)\) must be \(6, M\): x\.shape"):
        layers.affine_forward(np.ones((2, 2, 3)), np.ones((5, 4)), np.ones(4))
    with pytest.raises(ShapeError, match=r"^b\.shape \(=\(3,\)\) must be \(4,\)"):
        layers.affine_forward(np.ones((2, 2, 3)), np.ones((6, 4)), np.ones(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_keeps_nan_and_is_flat_at_zero(dtype):
    x = np.array([-1, 0, 2, np.nan], dtype)
    out, cache = layers.relu_forward(x)
    np.testing.assert_array_equal(out, np.array([0, 0, 2, np.nan], dtype))
    dx = layers.relu_backward(np.array([np.inf, 5, 7, 9], dtype), cache)
    assert dx.tolist() == [0, 0, 7, 0]
    assert out.dtype == dx.dtype == dtype


def test_softmax_loss_by_hand():
    loss, dx = layers.softmax_loss(np.log([[1.0, 3.0], [1.0, 1.0]]), np.array([1, 0]))
    assert loss == pytest.approx((math.log(4 / 3) + math.log(2)) / 2, rel=1e-14)
    np.testing.assert_allclose(dx, [[0.125, -0.125], [-0.25, 0.25]], rtol=1e-14)


def test_softmax_loss_of_huge_scores_is_finite():
    loss, dx = layers.softmax_loss(np.array([[1e30, -1e30, 0]], np.float32), np.array([0]))
    assert loss == 0
    assert dx.dtype == np.float32
    assert not dx.any()


@pytest.mark.parametrize("loss", [layers.softmax_loss, layers.svm_loss])
def test_loss_gradients_and_inputs_untouched(rng, loss):
    x, y = rng.standard_normal((6, 4)), rng.integers(4, size=6)
    before = x.copy()
    _, dx = loss(x, y)
    np.testing.assert_array_equal(x, before)
    assert gradcheck(lambda x: loss(x, y)[0], x, dx, floor=1e-2).error < 1e-7


def test_svm_loss_by_hand():
    loss, dx = layers.svm_loss(np.array([[1.0, 2.0, -5.0]]), np.array([0]))
    assert loss == 2
    assert dx.tolist() == [[-1, 1, 0]]


@pytest.mark.parametrize("loss", [layers.softmax_loss, layers.svm_loss])
@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.ones((0, 3)), np.ones(0, int), ShapeError, "x.shape (=(0, 3)) must be (N, C) with N"),
        (np.ones(3), np.ones(3, int), ShapeError, "x.shape (=(3,)) must be (N, C) with N at"),
        (np.ones((2, 3)), np.ones(3, int), ShapeError, "y (shape (3,), int64) must be 2 integer"),
        (np.ones((2, 3)), np.ones(2), ShapeError, "y (shape (2,), float64) must be 2 integer"),
        (np.ones((2, 3)), np.array([0, 3]), ParameterError, "y[1] (=3) must be a label in [0, 3)"),
        (np.ones((2, 3)), np.array([-1, 0]), ParameterError, "y[0] (=-1) must be a label in"),
    ],
)
def test_labels_are_checked(loss, x, y, error, message):
    with pytest.raises(error) as caught:
        loss(x, y)
    assert str(caught.value).startswith(message)


def test_batchnorm_normalises_and_keeps_running_statistics(rng):
    x = 3 * rng.standard_normal((200, 4)) + 5
    param = {"mode": "train"}
    out, _ = layers.batchnorm_forward(x, np.full(4, 2.0), np.full(4, 11.0), param)
    np.testing.assert_allclose(out.mean(axis=0), 11, rtol=1e-12)
    np.testing.assert_allclose(out.std(axis=0), 2, rtol=1e-5)
    np.testing.assert_allclose(param["running_mean"], 0.1 * x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(param["running_var"], 0.1 * x.var(axis=0), rtol=1e-12)


def test_batchnorm_in_test_mode_uses_the_running_statistics():
    param = {
        "mode": "test",
        "eps": 0.0,
        "running_mean": np.array([1.0, 2.0]),
        "running_var": np.array([4.0, 9.0]),
    }
    out, _ = layers.batchnorm_forward(np.array([[5.0, 8.0]]), np.ones(2), np.zeros(2), param)
    assert out.tolist() == [[2, 2]]
    assert param["running_mean"].tolist() == [1, 2]


@pytest.mark.parametrize("mode", ["train", "test"])
def test_batchnorm_gradients(rng, mode):
    arrays = [rng.standard_normal(shape) for shape in ((6, 3), (3,), (3,))]
    statistics = {"running_mean": rng.standard_normal(3), "running_var": rng.random(3) + 1}

    def forward(*arrays):
        return layers.batchnorm_forward(*arrays, {"mode": mode, **statistics})

    check_array_gradients(forward, layers.batchnorm_backward, arrays, rng.standard_normal((6, 3)))


def test_spatial_batchnorm_gradients(rng):
    arrays = [rng.standard_normal(shape) for shape in ((2, 3, 4, 5), (3,), (3,))]

    def forward(*arrays):
        return layers.spatial_batchnorm_forward(*arrays, {"mode": "train"})

    check_array_gradients(
        forward, layers.spatial_batchnorm_backward, arrays, rng.standard_normal((2, 3, 4, 5))
    )


def test_spatial_batchnorm_normalises_each_channel(rng):
    x = 4 * rng.standard_normal((2, 3, 4, 5)) + 10
    out, _ = layers.spatial_batchnorm_forward(x, np.ones(3), np.zeros(3), {"mode": "train"})
    assert out.flags.c_contiguous
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(out.std(axis=(0, 2, 3)), 1, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_layer_stays_in_its_dtype(dtype):
    x, vector = np.ones((2, 3, 4, 4), dtype), np.ones(3, dtype)
    out, cache = layers.spatial_batchnorm_forward(x, vector, vector, {"mode": "train"})
    results = [out, *layers.spatial_batchnorm_backward(out, cache)]
    out, cache = layers.dropout_forward(x, {"mode": "train", "p": 0.3, "seed": 1})
    results += [out, layers.dropout_backward(out, cache)]
    out, cache = layers.affine_relu_forward(x, np.ones((48, 5), dtype), np.ones(5, dtype))
    results += [out, *layers.affine_relu_backward(out, cache)]
    results += [loss(out, np.array([0, 1]))[1] for loss in (layers.softmax_loss, layers.svm_loss)]
    assert {array.dtype for array in results} == {np.dtype(dtype)}


def test_dropout_keeps_the_share_and_the_mean(rng):
    x = np.full((500, 500), 10.0)
    out, cache = layers.dropout_forward(x, {"mode": "train", "p": 0.25, "rng": rng})
    assert np.mean(out != 0) == pytest.approx(0.25, abs=0.01)
    assert set(np.unique(out)) == {0, 40}
    np.testing.assert_array_equal(layers.dropout_backward(np.full_like(x, 10.0), cache), out)


def test_dropout_with_a_seed_repeats_and_passes_a_gradient_check(rng):
    x, dout = rng.standard_normal((5, 6)), rng.standard_normal((5, 6))
    param = {"mode": "train", "p": 0.6, "seed": 3}
    _, cache = layers.dropout_forward(x, param)
    numerical = eval_numerical_gradient_array(
        lambda x: layers.dropout_forward(x, param)[0], x, dout
    )
    np.testing.assert_allclose(layers.dropout_backward(dout, cache), numerical, atol=1e-9)


def test_dropout_in_test_mode_is_a_copy():
    x = np.arange(4.0)
    out, cache = layers.dropout_forward(x, {"mode": "test", "p": 0.5})
    np.testing.assert_array_equal(out, x)
    assert not np.shares_memory(out, x)
    np.testing.assert_array_equal(layers.dropout_backward(x, cache), x)


@pytest.mark.parametrize("p", [0, 1.5, None])
def test_dropout_share_is_checked(p):
    with pytest.raises(ParameterError, match=r"^dropout_param\['p'\] \(=.*\) must be greater than"):
        layers.dropout_forward(np.ones(3), {"mode": "train", "p": p})


def test_modes_are_checked():
    with pytest.raises(ParameterError, match=r"^bn_param\['mode'\] \(='x'\) must be 'train' or"):
        layers.batchnorm_forward(np.ones((2, 2)), np.ones(2), np.ones(2), {"mode": "x"})
    with pytest.raises(ParameterError, match=r"^dropout_param\['mode'\] \(=None\) must be"):
        layers.dropout_forward(np.ones(3), {"p": 0.5})
