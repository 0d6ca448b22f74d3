"""Targets: labels as the distributions that smoothing and class weights make of them.

A model's loss takes them in place of labels, as (N, C): the softmax loss does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError
from convkit.training.protocol import Model

__all__ = ["Targets", "class_weights_of", "make_targets"]

Array: TypeAlias = npt.NDArray[Any]
Weights: TypeAlias = str | Sequence[float] | Array | None


class Targets:
    """Labels (N,) -> targets (N, C), whose rows sum to the weight of the image in the batch's mean.

    As PyTorch's CrossEntropyLoss: the target is (1 - smoothing) at the label and smoothing / C in
    every class besides (Szegedy et al., 2016, section 7), each times its class's weight; the loss
    is divided by the sum of the weights of the batch's labels.
    """

    def __init__(self, classes: int, smoothing: float, weights: Array | None) -> None:
        self.classes, self.smoothing = classes, smoothing
        self.weights = np.ones(classes) if weights is None else weights

    def __call__(self, y: Array) -> npt.NDArray[np.float64]:
        """Return the targets of integer labels y (N,) in [0, C)."""
        target = np.full((len(y), self.classes), self.smoothing / self.classes)
        target[np.arange(len(y)), y] += 1 - self.smoothing
        target *= self.weights
        own = self.weights[y].sum()
        # A batch of classes of weight 0 alone teaches nothing.
        target *= len(y) / own if own > 0 else 0.0
        return target


def make_targets(
    model: Model, X: Array, y: Array, smoothing: float, class_weights: Weights
) -> Targets | None:
    """Return what turns labels into targets, or None where labels are what is wanted.

    Raises ParameterError for a smoothing outside [0, 1), for weights that are not one for each
    class, and for labels outside [0, C).
    """
    number = isinstance(smoothing, (int, float, np.number)) and not isinstance(smoothing, bool)
    if not number or not 0 <= smoothing < 1:
        raise ParameterError(f"label_smoothing (={smoothing!r}) must be at least 0 and less than 1")
    if not smoothing and class_weights is None:
        return None
    classes = np.shape(model.loss(X[:1]))[1]
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= classes:
        raise ParameterError(
            f"data: y_train ({y.dtype}, from {y.min()} to {y.max()}) must be integer labels in "
            f"[0, {classes}), for label_smoothing and class_weights"
        )
    return Targets(classes, float(smoothing), class_weights_of(class_weights, y, classes))


def class_weights_of(weights: Weights, y: Array, classes: int) -> Array | None:
    """Return the weight of each class; ``"balanced"``: N / (C * its number of images).

    A class without images gets the weight 0 then.
    """
    if weights is None:
        return None
    if isinstance(weights, str):
        if weights != "balanced":
            raise ParameterError(
                f"class_weights (={weights!r}) must be 'balanced' or a number for each class"
            )
        counts = np.bincount(y, minlength=classes)
        return np.where(counts > 0, len(y) / (classes * np.maximum(counts, 1)), 0.0)
    found = np.asarray(weights, np.float64)
    usable = bool(np.isfinite(found).all() and (found >= 0).all() and found.sum() > 0)
    if found.shape != (classes,) or not usable or not math.isfinite(found.sum()):
        raise ParameterError(
            f"class_weights (={weights!r}) must be {classes} finite numbers of at least 0, one for "
            "each class, not all 0"
        )
    return found
