"""Training: the loop, update rules, data sets, checkpoints and history.

Nothing here imports the layer API or a backend. A solver uses only a model's ``loss`` and
``params``, so it trains any object that has both. :class:`ConvNetClassifier` and
:class:`ConvNetRegressor` make networks of their own, for scikit-learn, and are imported on first
use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convkit.training.estimator import ConvNetClassifier, ConvNetRegressor

__all__ = ["ConvNetClassifier", "ConvNetRegressor"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'convkit.training' has no attribute {name!r}")
    from convkit.optional import require

    require("sklearn", name)
    from convkit.training import estimator

    return getattr(estimator, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
