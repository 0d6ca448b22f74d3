"""Training: the loop, update rules, data sets, checkpoints and history.

Nothing here imports the layer API or a backend. A solver uses only a model's ``loss`` and
``params``, so it trains any object that has both. :class:`ConvNetClassifier` and
:class:`ConvNetRegressor` make networks of their own, for scikit-learn.

The names in ``__all__`` are imported on first use: what is not used needs no package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convkit.training.callbacks import Callback, EarlyStopping
    from convkit.training.data import load_data, load_digits
    from convkit.training.data.cifar10 import get_CIFAR10_data
    from convkit.training.estimator import ConvNetClassifier, ConvNetRegressor
    from convkit.training.history import History
    from convkit.training.solver import Solver

__all__ = [
    "Callback",
    "ConvNetClassifier",
    "ConvNetRegressor",
    "EarlyStopping",
    "History",
    "Solver",
    "get_CIFAR10_data",
    "load_data",
    "load_digits",
]

_HOME = {
    "Callback": "callbacks",
    "ConvNetClassifier": "estimator",
    "ConvNetRegressor": "estimator",
    "EarlyStopping": "callbacks",
    "History": "history",
    "Solver": "solver",
    "get_CIFAR10_data": "data.cifar10",
    "load_data": "data",
    "load_digits": "data",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'convkit.training' has no attribute {name!r}")
    if _HOME[name] == "estimator":
        from convkit.optional import require

        require("sklearn", name)
    return getattr(import_module(f"convkit.training.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
