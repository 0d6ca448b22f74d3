"""Prediction: from raw images, in whatever form they come, to labels and probabilities.

All networks share it. Images go through the network's preprocessing in batches, so that the memory
does not grow with their number; image files are read batch by batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError, DtypeError, ParameterError, ShapeError
from convkit.layers import mse_loss, softmax_forward, svm_loss
from convkit.models.common import Array, check_counts
from convkit.preprocessing import Preprocessing

__all__ = ["BATCH", "Images", "Predictor"]

Images: TypeAlias = Any
"""Arrays (N, C, H, W), (N, H, W, C), (C, H, W), ...; names of image files; sequences of them."""

BATCH = 100
"""As many images are in memory at a time, unless it is said otherwise."""


class Network(Protocol):
    """What prediction needs of a network."""

    input_dim: tuple[int, ...]
    output_dim: tuple[int, ...]
    preprocessing: Preprocessing | None

    def loss(self, X: Any) -> Array:
        """Return the scores."""


class Predictor:
    """What a network can be asked once it is trained.

    Attributes
    ----------
    preprocessing:
        How raw images become what the network was trained on; None: they are that already.
    class_names:
        The names of the labels 0, 1, ...; None where they have none.
    """

    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] | None = None

    def predict(
        self: Any, X: Images, *, prepared: bool = False, batch_size: int = BATCH
    ) -> npt.NDArray[np.intp]:
        """Return the label with the highest score for each image, (N,); N is 1 for one image.

        X holds raw images as arrays, of values on the scale of the training data, whose dtype says
        nothing: channels first or last, one or many. Or it is the name of an image file, or a list
        of them. ``prepared=True``: it holds what ``loss`` takes.

        Raises ShapeError where images do not have the network's shape, DataError where a file
        cannot be read, and ParameterError where the network has no scores of classes.
        """
        return np.concatenate(
            [
                np.zeros(0, np.intp),
                *(scores.argmax(1) for scores in _scores(self, X, prepared, batch_size)),
            ]
        )

    def predict_proba(
        self: Any, X: Images, *, prepared: bool = False, batch_size: int = BATCH
    ) -> Array:
        """Return the probability of each class for each image, (N, classes): the scores' softmax.

        Arguments and errors are those of ``predict``. ParameterError also where the network was
        trained by a loss whose scores have no such meaning.
        """
        if self.loss_function in (svm_loss, mse_loss):
            raise ParameterError(
                f"predict_proba needs a network with softmax_loss, whose scores are logarithms of "
                f"probabilities, not {self.loss_function.__name__}; use predict"
            )
        empty = np.zeros((0, *self.output_dim), self.dtype)
        return np.concatenate(
            [
                empty,
                *(softmax_forward(scores)[0] for scores in _scores(self, X, prepared, batch_size)),
            ]
        )

    def score(
        self: Any, X: Images, y: Any, *, prepared: bool = False, batch_size: int = BATCH
    ) -> float:
        """Return the share of images that get their label y, which are numbers or class names.

        Arguments and errors are those of ``predict``. ShapeError also where y is not one label for
        each image, and for no image at all.
        """
        predicted = self.predict(X, prepared=prepared, batch_size=batch_size)
        labels = _labels(y, len(predicted), self.class_names)
        return float(np.mean(predicted == labels))


def _scores(
    network: Network, X: Images, prepared: bool, batch_size: int
) -> Iterator[npt.NDArray[Any]]:
    """Yield the scores (n, classes) of each batch."""
    check_counts(batch_size=batch_size)
    if len(network.output_dim) != 1:
        raise ParameterError(
            f"predict needs a network with a score for each class, but the output of this one has "
            f"the shape {network.output_dim}; use loss(X)"
        )
    preprocessing = None if prepared else network.preprocessing
    for batch in _batches(network, X, preprocessing, batch_size):
        yield network.loss(batch if preprocessing is None else preprocessing.apply(batch))


def _batches(
    network: Network, X: Images, preprocessing: Preprocessing | None, size: int
) -> Iterator[npt.NDArray[Any]]:
    names = _file_names(X)
    if names is not None:
        if preprocessing is None:
            raise ParameterError(
                f"X (={names[0]!r}) must be an array: without preprocessing it is not known how "
                "the pixels of image files are scaled; set the network's preprocessing"
            )
        for start in range(0, len(names), size):
            yield np.stack([preprocessing.read(name) for name in names[start : start + size]])
        return
    images = X if hasattr(X, "shape") and hasattr(X, "dtype") else _array(X)
    shape = network.input_dim if preprocessing is None else preprocessing.shape
    form = _form(tuple(images.shape), shape)
    if preprocessing is not None:
        _check_scale(np.asarray(images[:1]).dtype, preprocessing)
    if not form.many:
        images = np.asarray(images)[None]
    for start in range(0, len(images), size):
        batch = form.arrange(np.asarray(images[start : start + size]))
        if preprocessing is not None:
            _check_values(batch, preprocessing)
        yield batch


def _file_names(X: Images) -> list[str | os.PathLike[str]] | None:
    """Return X as a list of names, or None where it is none."""
    if isinstance(X, str | os.PathLike):
        return [X]
    if isinstance(X, np.ndarray) and X.dtype.kind in "UO":
        X = X.tolist()
    if not isinstance(X, Sequence) or not X:
        return None
    if not any(isinstance(item, str | os.PathLike) for item in X):
        return None
    for item in X:
        if not isinstance(item, str | os.PathLike):
            raise DataError(
                f"X must be names of image files or arrays, not both; found {type(item).__name__}"
            )
    return list(X)


def _array(X: Images) -> npt.NDArray[Any]:
    try:
        array = np.asarray(X)
    except ValueError:
        raise ShapeError("X must hold images of one shape") from None
    if array.dtype.kind not in "buif":
        raise DtypeError(f"X (dtype {array.dtype}) must hold numbers or names of image files")
    return array


class _Form:
    """How the axes of X are to be read."""

    def __init__(self, many: bool, arrange: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> None:
        self.many, self.arrange = many, arrange


def _form(found: tuple[int, ...], shape: tuple[int, ...]) -> _Form:
    """Return how X of a shape holds images of another, or raise ShapeError that says what may be.

    Where both orders of the axes fit, the channels are first.
    """
    last = (*shape[1:], shape[0])
    forms = [(shape, lambda x: x)]
    if len(shape) > 1:
        forms.append((last, lambda x: np.moveaxis(x, -1, 1)))
    if len(shape) > 1 and shape[0] == 1:
        forms.append((shape[1:], lambda x: x[:, None]))
    for many in (True, False):
        for expected, arrange in forms:
            if (found[1:] if many and found else found) == expected:
                return _Form(many, arrange)
    if len(shape) == 1 and found and int(np.prod(found[1:])) == shape[0]:
        return _Form(True, lambda x: x.reshape(len(x), *shape))
    options = [f"(N, {', '.join(map(str, expected))})" for expected, _ in forms]
    raise ShapeError(
        f"X.shape (={found}) must be {' or '.join(options)}, or that of one example without N"
    )


def _check_scale(dtype: np.dtype[Any], preprocessing: Preprocessing) -> None:
    """Raise for values that cannot be on the scale of the training data."""
    if dtype.kind not in "buif":
        raise DtypeError(f"X (dtype {dtype}) must hold numbers")
    if dtype == np.uint8 and preprocessing.white > 255:
        raise DtypeError(
            f"X (dtype uint8) must be on the scale of the training data, where white is "
            f"{preprocessing.white:g}: multiply it by {preprocessing.white / 255:g}"
        )


def _check_values(batch: npt.NDArray[Any], preprocessing: Preprocessing) -> None:
    """Raise for whole numbers above white, which no training image can have had."""
    white = preprocessing.white
    if batch.dtype.kind == "u" and batch.size and batch.max() > white:
        raise ParameterError(
            f"X ({batch.dtype}, up to {batch.max()}) must be on the scale of the training data, "
            f"where white is {white:g}: multiply it by {white:g}/{np.iinfo(batch.dtype).max}"
        )


def _labels(y: Any, count: int, names: tuple[str, ...] | None) -> npt.NDArray[Any]:
    """Return ``count`` labels (N,) as numbers."""
    labels = np.asarray(y)
    if labels.shape in ((count, 1), ()) and labels.size == count:
        labels = labels.reshape(count)
    if labels.shape != (count,) or not count:
        raise ShapeError(
            f"y (shape {labels.shape}) must be one label for each of the {count} images, at least 1"
        )
    if labels.dtype.kind in "US":
        known = {name: number for number, name in enumerate(names or ())}
        unknown = [text for text in labels.tolist() if text not in known]
        if unknown:
            raise DataError(f"y must hold classes of the network, found {unknown[0]!r}")
        return np.array([known[text] for text in labels.tolist()])
    if labels.dtype.kind not in "buif":
        raise DtypeError(f"y (dtype {labels.dtype}) must hold numbers or names of the classes")
    return labels
