"""Convolutional networks as scikit-learn's estimators.

Loaded when they are asked for, because scikit-learn is optional.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from convkit.layers import mse_loss, softmax_loss
from convkit.models.modules.residual import Element
from convkit.training.fitting import ConvNetEstimator, Weighted, accepted, dtype_of

__all__ = ["ConvNetClassifier", "ConvNetRegressor"]

Array: TypeAlias = npt.NDArray[Any]


class ConvNetClassifier(ClassifierMixin, ConvNetEstimator):  # type: ignore[misc]
    """A convolutional network as a classifier of scikit-learn.

    Parameters
    ----------
    layers:
        The network's layers, of :mod:`convkit.models`, but for the last one, an Affine, which
        follows from y. None: a convolution with relu and max pool, and a hidden layer.
    image_shape:
        (C, H, W), for images that come as rows of X (N, C*H*W), or as X (N, C, H, W) or
        (N, H, W, C). None: X (N, C, H, W), or X (N, F), which is read as (N, F, 1, 1).
    num_filters, filter_size, hidden_dim:
        Of the default layers.
    epochs, batch_size:
        How often training goes through X, and how many examples a step takes; each epoch shuffles.
    update_rule, learning_rate, reg:
        As in :class:`convkit.training.solver.Solver` and the networks.
    standardise:
        Bring every channel (every column of X (N, F)) to mean 0 and deviation 1.
    class_weight:
        None, "balanced" or a dictionary: what the loss of an example of each class is multiplied
        by.
    warm_start:
        Whether ``fit`` goes on from where the last one ended.
    dtype:
        float32 or float64, of the network. None: float64 where X is of float64 or of integers
        beyond 16 bits, else float32.
    backend:
        The backend of the layers, as in the layer functions.
    random_state:
        A seed or a RandomState, for weights and order.

    Attributes
    ----------
    classes_, network_, loss_curve_:
        The classes, the network (:class:`convkit.models.Sequential`; ``network_.save`` keeps it),
        and the mean loss of each epoch.
    """

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
        class_weight: Mapping[Any, float] | str | None = None,
        warm_start: bool = False,
        dtype: str | None = None,
        backend: Any = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            layers,
            image_shape=image_shape,
            num_filters=num_filters,
            filter_size=filter_size,
            hidden_dim=hidden_dim,
            epochs=epochs,
            batch_size=batch_size,
            update_rule=update_rule,
            learning_rate=learning_rate,
            reg=reg,
            standardise=standardise,
            warm_start=warm_start,
            dtype=dtype,
            backend=backend,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any) -> ConvNetClassifier:
        """Train on X with labels y (N,) of any kind; return self."""
        images, labels = self._checked(X, y, reset=True)
        classes = np.unique(labels)
        if not (self.warm_start and self._goes_on(images)):
            self.classes_ = classes
            self._start(images, dtype_of(X), len(classes))
            self.network_.class_names = tuple(map(str, classes))
        self._learn(images, labels, self.epochs)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Iterable[Any] | None = None
    ) -> ConvNetClassifier:
        """Train for one epoch on X and y; return self.

        The first call needs all classes; a channel's mean and deviation are those of its X.
        """
        first = not hasattr(self, "network_")
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight (='balanced') needs all of y, which partial_fit does not see; give "
                "a dictionary"
            )
        images, labels = self._checked(X, y, reset=first)
        if first:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit")
            self.classes_ = np.unique(np.asarray([*classes]))
            self._start(images, dtype_of(X), len(self.classes_))
            self.network_.class_names = tuple(map(str, self.classes_))
        elif classes is not None and not np.array_equal(self.classes_, np.unique([*classes])):
            raise ValueError(f"classes (={classes!r}) must be those of the first call")
        elif not self._goes_on(images):
            raise ValueError(f"X (shape {np.shape(X)}) must hold examples as in the first call")
        self._learn(images, labels, 1)
        return self

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Array]:
        images, labels = validate_data(self, X, y, reset=reset, **accepted(X))
        check_classification_targets(labels)
        return self._shaped(images), labels

    def _learn(self, X: Array, labels: Array, epochs: int) -> None:
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y must hold the classes {self.classes_.tolist()}, found {unknown.tolist()[0]!r}"
            )
        y = np.searchsorted(self.classes_, labels)
        if self.class_weight is not None:
            # Of all of y, where it is "balanced"; classes that are not in a dictionary weigh 1.
            present = np.unique(labels)
            weights = np.ones(len(self.classes_))
            weights[np.searchsorted(self.classes_, present)] = compute_class_weight(
                self.class_weight, classes=present, y=labels
            )
            self.network_.loss_function = Weighted(weights)
        try:
            self._train(X, y, epochs)
        finally:
            self.network_.loss_function = softmax_loss

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each example, (N,)."""
        images = self._known(X)
        labels: Array = self.classes_[self.network_.predict(images)]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each of ``classes_`` for each example, (N, classes)."""
        images = self._known(X)
        probabilities: Array = self.network_.predict_proba(images)
        return probabilities


class ConvNetRegressor(RegressorMixin, ConvNetEstimator):  # type: ignore[misc]
    """A convolutional network as a regressor of scikit-learn, for y (N,) or (N, K).

    The loss is the mean squared error. Parameters are those of :class:`ConvNetClassifier`, but for
    ``class_weight``.

    Attributes
    ----------
    network_, loss_curve_:
        The network (:class:`convkit.models.Sequential`), whose outputs are y less ``y_mean_``,
        divided by ``y_scale_``; and the mean loss of each epoch.
    """

    loss = staticmethod(mse_loss)

    def fit(self, X: Any, y: Any) -> ConvNetRegressor:
        """Train on X with numbers y (N,) or (N, K); return self."""
        images, values = validate_data(self, X, y, multi_output=True, y_numeric=True, **accepted(X))
        images = self._shaped(images)
        targets = np.asarray(values, np.float64).reshape(len(values), -1)
        if not (self.warm_start and self._goes_on(images)):
            self._flat = np.ndim(values) == 1
            self.y_mean_, self.y_scale_ = targets.mean(axis=0), targets.std(axis=0)
            self.y_scale_[self.y_scale_ == 0] = 1
            self._start(images, dtype_of(X), targets.shape[1])
        self._train(images, (targets - self.y_mean_) / self.y_scale_, self.epochs)
        return self

    def predict(self, X: Any) -> Array:
        """Return y (N,) or (N, K), as in ``fit``."""
        images = self._known(X)
        network, batch = self.network_, 100
        assert network.preprocessing is not None
        outputs = [
            network.loss(network.preprocessing.apply(images[start : start + batch]))
            for start in range(0, len(images), batch)
        ]
        values: Array = np.concatenate(outputs) * self.y_scale_ + self.y_mean_
        return values[:, 0] if self._flat else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
