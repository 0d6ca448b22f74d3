"""Networks read from the files that ``save`` wrote.

A file names classes and never holds code: convkit's own are built, and those that the caller
passes; any other is refused.
"""

from __future__ import annotations

import inspect
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convkit.errors import ConvkitError, DataError
from convkit.models import modules
from convkit.models.archive import FORMAT, KEY, LOSSES
from convkit.models.autoencoder import ConvAutoencoder
from convkit.models.deep import DeepConvNet
from convkit.models.fully_connected import FullyConnectedNet
from convkit.models.mobilenet import MobileNet
from convkit.models.resnet import ResNet
from convkit.models.sequential import FusedNetwork, Loss, Sequential
from convkit.models.three_layer import ThreeLayerConvNet
from convkit.preprocessing import Preprocessing
from convkit.tensors import WEIGHTS_FILE, load_weights

if TYPE_CHECKING:
    from convkit.selection.request import Choice

__all__ = ["load", "model_file"]

MODELS = (
    Sequential,
    FusedNetwork,
    ThreeLayerConvNet,
    DeepConvNet,
    FullyConnectedNet,
    ResNet,
    MobileNet,
    ConvAutoencoder,
)
KNOWN: Mapping[str, Any] = {
    **{
        name: getattr(modules, name) for name in modules.__all__ if name not in ("Context", "Layer")
    },
    **{model.__name__: model for model in MODELS},
}


def load(
    path: str | os.PathLike[str],
    classes: Iterable[type] = (),
    *,
    loss: Loss | None = None,
    rng: int | np.random.Generator | None = None,
    backend: Choice | None = None,
) -> Any:
    """Return the network that ``save`` wrote, with the same class, arrays and settings.

    Parameters
    ----------
    path:
        The file, or the folder of a run that ``convkit train`` wrote.
    classes:
        The user's own layers and models in it.
    loss:
        The loss function, needed where it is not one of :mod:`convkit.layers`.
    rng, backend:
        As in :class:`convkit.models.Sequential`; neither is saved.

    Raises
    ------
    DataError:
        Where the file is not a network's, is damaged, or holds what is not known here.
    """
    surroundings = {"rng": np.random.default_rng(rng), "backend": backend}
    path = model_file(path)
    tensors, metadata = load_weights(path)
    try:
        content = _content(metadata)
        model = _Builder(classes, loss).model(content, surroundings)
        _put(model, tensors)
        _put_usage(model, content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (ConvkitError, TypeError, ValueError, KeyError, MemoryError, RecursionError) as error:
        raise DataError(f"{path}: expected a network, but it cannot be built: {error}") from error
    return model


def model_file(path: str | os.PathLike[str]) -> Path:
    """Return the file of a network: the path, or the file of weights in the folder of a run."""
    file = Path(path)
    if not file.is_dir():
        return file
    if not (file / WEIGHTS_FILE).is_file():
        raise DataError(
            f"{file}: expected the file of a network, or the folder of a run with "
            f"{WEIGHTS_FILE} in it, found a folder without it"
        )
    return file / WEIGHTS_FILE


def _content(metadata: Mapping[str, str]) -> dict[str, Any]:
    if KEY not in metadata:
        raise DataError("expected a network that save wrote, found arrays without an architecture")
    try:
        content = json.loads(metadata[KEY])
    except ValueError as error:
        raise DataError(f"expected JSON under {KEY}, found {error}") from None
    number = content.get("format") if isinstance(content, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise DataError(f"expected a format number under {KEY}, found {number!r}")
    if number > FORMAT:
        raise DataError(
            f"expected format {FORMAT} at most, found {number}, written by convkit "
            f"{content.get('convkit')}; a newer convkit reads it"
        )
    assert isinstance(content, dict)
    return content


class _Builder:
    """Builds what the JSON describes."""

    def __init__(self, classes: Iterable[type], loss: Loss | None) -> None:
        self.own = {kind.__name__: kind for kind in classes}
        self.loss = loss

    def model(self, content: Mapping[str, Any], surroundings: Mapping[str, Any]) -> Any:
        kind, config = self._object(content)
        if not issubclass(kind, Sequential):
            raise DataError(f"expected a network, found a {kind.__name__}")
        if self.loss is not None and "loss" in config:
            config["loss"] = self.loss
        taken = inspect.signature(kind).parameters
        config |= {name: value for name, value in surroundings.items() if name in taken}
        return kind(**config)

    def _object(self, content: Mapping[str, Any]) -> tuple[type, dict[str, Any]]:
        name, config = content.get("class"), content.get("config")
        if not isinstance(name, str) or not isinstance(config, dict):
            raise DataError(f"expected a class and its config, found {str(content)[:80]}")
        source = content.get("from")
        kind = (KNOWN if source is None else self.own).get(name)
        if kind is None and source is None:
            raise DataError(f"expected a class of convkit, found {name!r}, which is not known")
        if kind is None:
            raise DataError(
                f"the class {name!r}, of the module {source!r}, is not convkit's; pass it: "
                f"load(path, classes=[{name}])"
            )
        return kind, {key: self._value(value) for key, value in config.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(self._value(item) for item in value)
        if not isinstance(value, dict):
            return value
        if "function" not in value:
            kind, config = self._object(value)
            return kind(**config)
        function = self.loss or LOSSES.get(value["function"])
        if function is None:
            raise DataError(
                f"the loss function {value['function']!r} is not convkit's; pass it: "
                "load(path, loss=...)"
            )
        return function


def _put_usage(model: Sequential, content: Mapping[str, Any]) -> None:
    """Give the model the file's preprocessing and class names; DataError where they are not its."""
    names = content.get("class_names")
    if names is not None:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"expected class_names as texts, found {str(names)[:80]}")
        model.class_names = tuple(names)
    if content.get("preprocessing") is None:
        return
    model.preprocessing = Preprocessing.from_config(content["preprocessing"])
    shape = model.preprocessing.shape
    if shape != model.input_dim and (math.prod(shape),) != model.input_dim:
        raise DataError(
            f"expected a preprocessing for examples of shape {model.input_dim}, found {shape}"
        )


def _put(model: Sequential, tensors: Mapping[str, Any]) -> None:
    """Give the model the file's arrays; DataError where they are not those it has."""
    own = model.params | model.buffers
    for name in sorted({*own, *tensors}):
        expected, found = (
            f"{arrays[name].shape} {arrays[name].dtype}" if name in arrays else "no such array"
            for arrays in (own, tensors)
        )
        if expected != found:
            raise DataError(f"expected {name} to be {expected}, found {found}")
    model.params = {name: tensors[name] for name in model.params}
    model.buffers = {name: tensors[name] for name in model.buffers}
