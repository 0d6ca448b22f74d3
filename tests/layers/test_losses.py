"""Losses: values by hand, gradients by differences, every refusal."""

from __future__ import annotations

import math

import numpy as np
import pytest

from convkit import ParameterError, ShapeError, layers
from convkit.gradcheck import eval_numerical_gradient, gradcheck


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


def test_mse_loss_by_hand():
    loss, dx = layers.mse_loss(np.array([[1.0, 2.0], [3.0, 8.0]]), np.array([[1, 0], [3, 4]]))
    assert loss == 5
    assert dx.tolist() == [[0, 1], [0, 2]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mse_loss_gradient(rng, dtype):
    x, y = rng.standard_normal((2, 3, 2, 4, 5))
    before = x.copy()
    _, dx = layers.mse_loss(x, y)
    np.testing.assert_array_equal(x, before)
    assert gradcheck(lambda x: layers.mse_loss(x, y)[0], x, dx, floor=1e-2).error < 1e-7
    assert layers.mse_loss(x.astype(dtype), y)[1].dtype == dtype


def test_mse_loss_checks_shapes():
    with pytest.raises(ShapeError, match=r"^y\.shape \(=\(2,\)\) must be that of x \(=\(2, 3\)\)"):
        layers.mse_loss(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ShapeError, match=r"with at least one element$"):
        layers.mse_loss(np.ones((0, 3)), np.ones((0, 3)))


def test_softmax_loss_of_targets(rng):
    x = rng.standard_normal((5, 4))
    labels = rng.integers(4, size=5)
    loss, dx = layers.softmax_loss(x, labels)
    soft, dsoft = layers.softmax_loss(x, np.eye(4)[labels])
    assert soft == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(dsoft, dx, rtol=1e-12, atol=1e-16)
    q = rng.random((5, 4)) * 3
    _, dx = layers.softmax_loss(x, q)
    numeric = eval_numerical_gradient(lambda x: layers.softmax_loss(x, q)[0], x)
    np.testing.assert_allclose(dx, numeric, rtol=1e-6, atol=1e-9)
    far = np.array([[0.0, -np.inf]])
    assert layers.softmax_loss(far, np.array([[1.0, 0.0]]))[0] == 0
    assert layers.softmax_loss(x.astype(np.float32), q)[1].dtype == np.float32


def test_targets_of_another_shape_or_sign_are_refused():
    with pytest.raises(ShapeError, match=r"^y \(shape \(2, 2\), float64\) must be a floating-poi"):
        layers.softmax_loss(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(ShapeError, match="must be a floating-point target"):
        layers.softmax_loss(np.ones((2, 3)), np.ones((2, 3), int))
    with pytest.raises(ParameterError, match="must hold targets of at least 0"):
        layers.softmax_loss(np.ones((1, 2)), np.array([[1.5, -0.5]]))


def test_pytorch_s_loss_of_targets_agrees(rng):
    torch = pytest.importorskip("torch")
    x, q = rng.standard_normal((2, 6, 4))
    q = np.abs(q)
    scores = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor(q))
    expected.backward()
    loss, dx = layers.softmax_loss(x, q)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(dx, scores.grad, rtol=1e-10, atol=1e-14)


def test_pytorch_s_losses_agree(rng):
    torch = pytest.importorskip("torch")
    x, y = rng.standard_normal((2, 6, 4))
    labels = rng.integers(4, size=6)
    functions = torch.nn.functional
    for ours, theirs, target in (
        (layers.mse_loss, functions.mse_loss, y),
        (layers.softmax_loss, functions.cross_entropy, labels),
        (layers.svm_loss, lambda x, y: functions.multi_margin_loss(x, y) * 4, labels),
    ):
        scores = torch.tensor(x, requires_grad=True)
        expected = theirs(scores, torch.tensor(target))
        expected.backward()
        loss, dx = ours(x, target)
        assert loss == pytest.approx(expected.item(), rel=1e-12)
        np.testing.assert_allclose(dx, scores.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("scale", [200.0, 1e-30])
@pytest.mark.parametrize("name", ["softmax_loss", "svm_loss", "mse_loss"])
def test_no_loss_trips_where_numpy_raises_for_what_is_no_error(name, scale):
    x = (np.random.default_rng(0).standard_normal((4, 10)) * scale).astype(np.float32)
    y = np.zeros_like(x) if name == "mse_loss" else np.arange(4)
    expected, _ = getattr(layers, name)(x, y)
    with np.errstate(all="raise"):
        loss, dx = getattr(layers, name)(x, y)
    assert loss == expected
    assert np.isfinite(dx).all()


def test_an_overflow_is_still_an_error_where_numpy_raises():
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        layers.mse_loss(np.full((2, 2), 1e30, np.float32), np.zeros((2, 2)))
