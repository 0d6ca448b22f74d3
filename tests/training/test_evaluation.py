"""Predictions and the confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convkit.errors import ParameterError
from convkit.training.evaluation import confusion_matrix, predict


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


def test_the_confusion_matrix_has_a_row_for_each_true_label() -> None:
    true, predicted = np.array([0, 0, 0, 2]), np.array([0, 1, 1, 2])
    assert confusion_matrix(true, predicted, 3).tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]
