"""Predictions, accuracy and the confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convkit.errors import ParameterError, ShapeError
from convkit.training.evaluation import accuracy, confusion_matrix, predict


class Scores:
    """A model whose scores are its images; it notes the size of each batch."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.batches: list[int] = []

    def loss(self, X: Any, y: Any = None) -> Any:
        self.batches.append(len(X))
        return X


def test_the_label_is_the_first_highest_score_whatever_the_batches() -> None:
    scores = np.array([[0, 2, 1], [5, 5, 0], [-3, -2, -1], [1, 0, 0], [0, 0, 9]])
    model = Scores()
    assert predict(model, scores, 2).tolist() == [1, 0, 2, 0, 2]
    assert model.batches == [2, 2, 1]
    with pytest.raises(ParameterError, match="batch_size"):
        predict(model, scores, 0)


def test_accuracy_is_the_share_of_right_labels_on_all_images_or_on_a_sample() -> None:
    scores, labels = np.eye(4), np.array([0, 1, 3, 3])
    model, rng = Scores(), np.random.default_rng(0)
    for samples in (None, 4, 9):
        assert accuracy(model, scores, labels, samples, 3, rng) == 0.75
    assert rng.random() == np.random.default_rng(0).random()  # nothing was drawn for all images
    assert accuracy(model, scores, labels, 1, 3, rng) in (0, 1)
    assert model.batches[-1] == 1
    with pytest.raises(ShapeError, match="at least one image"):
        accuracy(model, scores[:0], labels[:0], None, 3, rng)


def test_the_confusion_matrix_has_a_row_for_each_true_label() -> None:
    true, predicted = np.array([0, 0, 0, 2]), np.array([0, 1, 1, 2])
    assert confusion_matrix(true, predicted, 3).tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]
