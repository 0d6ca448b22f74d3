"""How good predictions are: labels from a model's scores, and the confusion matrix."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.training.checks import check_at_least
from convkit.training.protocol import Model

Array: TypeAlias = npt.NDArray[Any]
Labels: TypeAlias = npt.NDArray[np.intp]


def predict(model: Model, X: Array, batch_size: int = 100) -> Labels:
    """Return the label with the highest score for every image of X, batch by batch."""
    check_at_least(1, batch_size=batch_size)
    labels = np.empty(len(X), np.intp)
    for start in range(0, len(X), batch_size):
        batch = slice(start, start + batch_size)
        labels[batch] = np.argmax(model.loss(X[batch]), axis=1)
    return labels


def confusion_matrix(true: Labels, predicted: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Return (classes, classes) counts: a row per true label, a column per predicted one."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (true, predicted), 1)
    return counts
