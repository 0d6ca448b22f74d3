"""What the solver needs of a model, and what it reports of a run in progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy.typing as npt

from convkit.preprocessing import Preprocessing

__all__ = ["Model", "Progress", "Weights", "adopt_usage", "weights_of"]

Array: TypeAlias = npt.NDArray[Any]
Weights: TypeAlias = tuple[dict[str, Array], dict[str, Array]]
"""Parameters and buffers, each by name."""


class Model(Protocol):
    """What the solver needs of a model. ``buffers`` (name -> array) and ``rng`` are optional."""

    params: dict[str, Array]

    def loss(self, X: Any, y: Any = None) -> Any:
        """Return the scores (N, C), or with labels (loss, gradient by parameter name)."""


def weights_of(model: Model) -> Weights:
    """Return the model's parameters and buffers in new dictionaries, without copying arrays."""
    return dict(model.params), dict(getattr(model, "buffers", {}))


def adopt_usage(model: Model, data: Mapping[str, Any]) -> None:
    """Tell a model how the images that it is trained on were prepared, and their classes' names.

    A model keeps them where it has the attributes ``preprocessing`` and ``class_names``, for
    predicting from raw images. Data that do not say how they were prepared leave both as they are.
    """
    keeper: Any = model
    if not hasattr(model, "preprocessing") or not {"mean", "scale", "white"} <= set(data):
        return
    keeper.preprocessing = Preprocessing.of(data)
    keeper.class_names = tuple(map(str, data["class_names"])) if "class_names" in data else None


@dataclass(frozen=True)
class Progress:
    """The progress of a run after an iteration; the accuracies are the last ones measured.

    Before the first iteration the loss is NaN. ``learning_rate`` is that of the last step.
    """

    iteration: int
    num_iterations: int
    epoch: int
    num_epochs: int
    loss: float
    images_per_second: float
    train_acc: float | None
    val_acc: float | None
    learning_rate: float | None = None
