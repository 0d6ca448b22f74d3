"""Targets of smoothed labels and weighted classes."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import ParameterError
from convkit.layers import softmax_loss
from convkit.training.targets import Targets, class_weights_of, make_targets


def test_they_are_what_pytorch_s_loss_computes(rng):
    """CrossEntropyLoss's documented formula, with weights and label_smoothing, class by class."""
    x, y = rng.standard_normal((6, 4)), np.array([0, 1, 1, 2, 3, 3])
    w, eps = np.array([1.0, 2.0, 0.5, 3.0]), 0.2
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    hard = -(w[y] * log_p[np.arange(6), y]).sum()
    smooth = -(w * log_p).sum() / 4
    expected = ((1 - eps) * hard + eps * smooth) / w[y].sum()
    assert softmax_loss(x, Targets(4, eps, w)(y))[0] == pytest.approx(expected, rel=1e-12)


def test_pytorch_agrees(rng):
    torch = pytest.importorskip("torch")
    x, y, w = rng.standard_normal((6, 4)), np.array([0, 1, 1, 2, 3, 3]), np.arange(1.0, 5)
    loss = torch.nn.CrossEntropyLoss(torch.tensor(w), label_smoothing=0.3)
    expected = loss(torch.tensor(x), torch.tensor(y)).item()
    assert softmax_loss(x, Targets(4, 0.3, w)(y))[0] == pytest.approx(expected, rel=1e-12)


def test_balanced_weights_give_every_class_the_same_sum():
    y = np.array([0, 0, 0, 2])
    weights = class_weights_of("balanced", y, 3)
    np.testing.assert_allclose(weights, [4 / 9, 0, 4 / 3])
    np.testing.assert_allclose(np.bincount(y, weights[y]), [4 / 3, 0, 4 / 3])


def test_a_batch_without_weight_teaches_nothing():
    target = Targets(2, 0.0, np.array([1.0, 0.0]))(np.array([1, 1]))
    np.testing.assert_array_equal(target, np.zeros((2, 2)))
    loss, dx = softmax_loss(np.ones((2, 2)), target)
    assert loss == 0
    assert (dx == 0).all()


class Scores:
    def __init__(self):
        self.params = {}

    def loss(self, X, y=None):
        return np.zeros((len(X), 3))


def test_labels_stay_labels_where_nothing_is_asked():
    assert make_targets(Scores(), np.zeros((4, 2)), np.array([0, 1, 2, 0]), 0.0, None) is None


@pytest.mark.parametrize(
    ("y", "weights", "message"),
    [
        ([0, 3], None, r"^data: y_train \(int64, from 0 to 3\) must be integer labels in \[0, 3\)"),
        ([0.0, 1.0], None, r"^data: y_train \(float64, from 0.0 to 1.0\) must be integer labels"),
        ([0, 1], [1, np.nan, 1], "^class_weights .* must be 3 finite numbers of at least 0"),
        ([0, 1], [0, 0, 0], "^class_weights .* not all 0$"),
    ],
)
def test_bad_labels_and_weights_are_refused(y, weights, message):
    with pytest.raises(ParameterError, match=message):
        make_targets(Scores(), np.zeros((2, 2)), np.array(y), 0.1, weights)
