"""A network as one safetensors file: its architecture as JSON, its arrays by name.

The JSON, under the metadata key ``convkit.model``, has the number of its format, convkit's version,
and the network as ``{"class": name, "config": arguments}``, as is each layer among the arguments. A
class that is not convkit's has the module it is from, under ``"from"``. A function has its name.
Beside them are the network's ``"preprocessing"`` and ``"class_names"``, where it has them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from convkit.errors import ParameterError
from convkit.layers import mse_loss, softmax_loss, svm_loss
from convkit.models.common import Array
from convkit.models.modules.layer import Described
from convkit.preprocessing import Preprocessing
from convkit.tensors import save_weights
from convkit.version import __version__

__all__ = ["FORMAT", "KEY", "LOSSES", "Saveable", "encoded", "metadata", "write"]

KEY = "convkit.model"
FORMAT = 1
LOSSES = {loss.__name__: loss for loss in (softmax_loss, svm_loss, mse_loss)}


class Saveable(Protocol):
    """What is written of a network."""

    params: dict[str, Array]
    buffers: dict[str, Array]
    preprocessing: Preprocessing | None
    class_names: tuple[str, ...] | None

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""


def metadata(model: Saveable) -> dict[str, str]:
    """Return a network's architecture, and how it is used, as the metadata of its file.

    Raises ParameterError for what cannot be written.
    """
    content = {"format": FORMAT, "convkit": __version__, **_object(model, model.config())}
    if model.preprocessing is not None:
        content["preprocessing"] = model.preprocessing.config()
    if model.class_names is not None:
        content["class_names"] = [str(name) for name in model.class_names]
    return {KEY: json.dumps(content, ensure_ascii=False)}


def write(model: Saveable, path: str | os.PathLike[str]) -> None:
    """Write a network, whole or not at all; errors are those of :func:`metadata`."""
    save_weights(path, model.params | model.buffers, metadata(model))


def encoded(value: Any, where: str) -> Any:
    """Return an argument as JSON has it."""
    if isinstance(value, Described):
        return _object(value, value.config())
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [encoded(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if callable(value) and hasattr(value, "__qualname__"):
        known = LOSSES.get(value.__name__) is value
        return {"function": value.__name__ if known else f"{value.__module__}.{value.__qualname__}"}
    raise ParameterError(
        f"{where} (={value!r}) cannot be saved: the arguments of a network and its layers must be "
        "numbers, strings, None, layers, or tuples of them"
    )


def _object(thing: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    kind = type(thing)
    module = kind.__module__
    own = module.startswith("convkit.models.")
    return {
        "class": kind.__name__,
        **({} if own else {"from": module}),
        "config": {name: encoded(v, f"{kind.__name__}.{name}") for name, v in config.items()},
    }
