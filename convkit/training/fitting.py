"""What the estimators of scikit-learn share: images from X, the network, the loop.

It needs scikit-learn, which is optional. What trains is :mod:`convkit.training.optim`, as in a
Solver; unlike a Solver it shuffles, and needs no validation images.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from convkit.images import WHITE
from convkit.layers import softmax_loss
from convkit.models import Affine, Conv, MaxPool, ReLU, Sequential
from convkit.models.modules.residual import Element
from convkit.preprocessing import Preprocessing
from convkit.training import optim
from convkit.training.checks import check_at_least

__all__ = ["ConvNetEstimator", "Weighted", "accepted", "dtype_of"]

Array: TypeAlias = npt.NDArray[Any]


class ConvNetEstimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators share. A subclass says what y is."""

    loss = staticmethod(softmax_loss)

    def __init__(
        self,
        layers: Sequence[Element] | None = None,
        *,
        image_shape: tuple[int, int, int] | None = None,
        num_filters: int = 32,
        filter_size: int = 3,
        hidden_dim: int = 100,
        epochs: int = 20,
        batch_size: int = 32,
        update_rule: str = "adam",
        learning_rate: float = 1e-3,
        reg: float = 0.0,
        standardise: bool = True,
        warm_start: bool = False,
        dtype: str | None = None,
        backend: Any = None,
        random_state: Any = None,
    ) -> None:
        self.layers = layers
        self.image_shape = image_shape
        self.num_filters = num_filters
        self.filter_size = filter_size
        self.hidden_dim = hidden_dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.update_rule = update_rule
        self.learning_rate = learning_rate
        self.reg = reg
        self.standardise = standardise
        self.warm_start = warm_start
        self.dtype = dtype
        self.backend = backend
        self.random_state = random_state

    def _images(self, X: Any, *, reset: bool) -> Array:
        """Return checked X as (N, C, H, W)."""
        return self._shaped(validate_data(self, X, reset=reset, **accepted(X)))

    def _shaped(self, X: Array) -> Array:
        shape = None if self.image_shape is None else tuple(self.image_shape)
        if shape is None and X.ndim == 2:
            return X.reshape(*X.shape, 1, 1)
        if shape is None and X.ndim == 4:
            return X
        if shape is not None and len(shape) == 3:
            if X.shape[1:] in (shape, (int(np.prod(shape)),)):
                return X.reshape(len(X), *shape)
            if X.shape[1:] == (*shape[1:], shape[0]):
                return np.moveaxis(X, -1, 1)
        raise ValueError(
            f"X (shape {X.shape}) must be (N, F) or (N, C, H, W), or images of image_shape "
            f"(={self.image_shape!r}), which is (C, H, W) or None"
        )

    def _start(self, X: Array, dtype: np.dtype[Any], outputs: int) -> None:
        """Make the network for images X, which came in a dtype."""
        self._rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        shape = X.shape[1:]
        layers = self._default_layers(shape) if self.layers is None else self.layers
        self.network_ = Sequential(
            [*layers, Affine(outputs)],
            input_dim=shape,
            dtype=self.dtype or X.dtype,
            rng=self._rng,
            backend=self.backend,
            loss=self.loss,
            reg=self.reg,
        )
        axes = (0, 2, 3)
        mean, std = np.zeros((2, len(X[0]), 1, 1))
        std[:] = 1
        if self.standardise:
            mean = X.mean(axis=axes, dtype=np.float64).reshape(mean.shape)
            std = X.std(axis=axes, dtype=np.float64).reshape(mean.shape)
            std[std <= 1e-7 * np.abs(mean)] = 1  # the same everywhere, but for rounding
        self.network_.preprocessing = Preprocessing(
            shape, 1 / std, mean / std, WHITE.get(dtype, 1.0)
        )
        config = {"learning_rate": self.learning_rate}
        optim.check_rule(self.update_rule, config)
        self._configs = {name: dict(config) for name in self.network_.params}
        self.loss_curve_: list[float] = []

    def _default_layers(self, shape: tuple[int, ...]) -> list[Element]:
        kernel = tuple(min(self.filter_size, size) for size in shape[1:])
        pool = [MaxPool(2)] if min(shape[1:]) >= 2 else []
        return [
            Conv(self.num_filters, kernel, pad="same"),
            ReLU(),
            *pool,
            Affine(self.hidden_dim),
            ReLU(),
        ]

    def _train(self, X: Array, y: Array, epochs: int) -> None:
        """Go through X and y so often; a loss that is not finite ends it with a warning."""
        check_at_least(1, epochs=epochs, batch_size=self.batch_size)
        network = self.network_
        assert network.preprocessing is not None
        for _ in range(epochs):
            order = self._rng.permutation(len(X))
            total = 0.0
            for start in range(0, len(X), self.batch_size):
                batch = order[start : start + self.batch_size]
                loss, grads = network.loss(network.preprocessing.apply(X[batch]), y[batch])
                if not np.isfinite(loss):
                    warnings.warn(
                        f"training diverged in epoch {len(self.loss_curve_) + 1} and was ended; a "
                        f"smaller learning_rate (={self.learning_rate}) may help",
                        ConvergenceWarning,
                        stacklevel=3,
                    )
                    return
                params, self._configs = optim.step(
                    self.update_rule, network.params, grads, self._configs
                )
                network.params.update(params)
                total += loss * len(batch)
            self.loss_curve_.append(total / len(X))

    def _goes_on(self, X: Array) -> bool:
        """Whether there is a network to go on with, for images X."""
        return hasattr(self, "network_") and X.shape[1:] == self.network_.input_dim

    def _known(self, X: Any) -> Array:
        """Return X to predict from, as (N, *the shape in training)."""
        check_is_fitted(self, "network_")
        images = self._images(X, reset=False)
        if images.shape[1:] != self.network_.input_dim:
            raise ValueError(
                f"X (shape {np.shape(X)}) must hold examples of shape {self.network_.input_dim}, "
                "as in fit"
            )
        return images


class Weighted:
    """The softmax loss with a weight for each class."""

    def __init__(self, weights: Array) -> None:
        self.weights = weights

    def __call__(self, scores: Array, y: Array) -> tuple[float, Array]:
        """Return the mean of the examples' losses times their weights, and its gradient."""
        targets = np.zeros_like(scores)
        targets[np.arange(len(y)), y] = self.weights[y]
        return softmax_loss(scores, targets)


def dtype_of(X: Any) -> np.dtype[Any]:
    return np.dtype(X.dtype) if hasattr(X, "dtype") else np.asarray(X).dtype


def accepted(X: Any) -> dict[str, Any]:
    """Return how X is checked: 8 and 16 bits become float32, which holds them."""
    floats: list[Any] = [np.float64, np.float32]
    small = getattr(X, "dtype", None) in (*WHITE, np.dtype(np.float16))
    return {"dtype": floats[::-1] if small else floats, "allow_nd": True, "order": "C"}
