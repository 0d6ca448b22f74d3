"""Evaluation: labels from a model's scores, accuracy, and the confusion matrix."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ShapeError
from convkit.training.arrays import in_memory, source
from convkit.training.checks import check_at_least, flat_labels
from convkit.training.protocol import Model

Array: TypeAlias = npt.NDArray[Any]
Labels: TypeAlias = npt.NDArray[np.intp]


def predict(model: Model, X: Array, batch_size: int = 100) -> Labels:
    """Return the label with the highest score for every image of X, batch by batch."""
    return _predict(model, X, np.arange(len(X)), batch_size)


def _predict(model: Model, X: Array, chosen: Labels, batch_size: int) -> Labels:
    """Return the labels of the chosen images, of which one batch at a time is read."""
    check_at_least(1, batch_size=batch_size)
    images = source(X)
    labels = np.empty(len(chosen), np.intp)
    for start in range(0, len(chosen), batch_size):
        batch = slice(start, start + batch_size)
        labels[batch] = np.argmax(model.loss(images[chosen[batch]]), axis=1)
    return labels


def accuracy(
    model: Model,
    X: Array,
    y: Array,
    num_samples: int | None,
    batch_size: int,
    rng: np.random.Generator,
) -> float:
    """Return the share of images X that get their label y, on num_samples random ones of them.

    All images count where num_samples is None or not below their number.
    """
    if not len(X):
        raise ShapeError("X must hold at least one image to measure an accuracy on")
    y = flat_labels("y", in_memory(y), len(X))
    chosen = np.arange(len(X))
    if num_samples is not None and num_samples < len(X):
        chosen = rng.choice(len(X), num_samples, replace=False)
    return float(np.mean(_predict(model, X, chosen, batch_size) == y[chosen]))


def confusion_matrix(true: Labels, predicted: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Return (classes, classes) counts: a row per true label, a column per predicted one."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (true, predicted), 1)
    return counts
