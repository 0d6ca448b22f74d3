"""bn_param: what it says besides a problem, and the running statistics that training moves in it.

It is the one argument of the API that is ever written to. Nothing here calls a backend.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np

from convkit.calls.params import merge
from convkit.errors import ParameterError
from convkit.operations import BATCH_NORM_PARAM, Parameters

__all__ = ["MODES", "check_inference", "merged", "momentum_of", "move", "training_of"]

MODES = {"train": True, "test": False}


def merged(parameters: Parameters, bn_param: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return the value of every key, None for what is neither a keyword nor in ``bn_param``."""
    keys = parameters.keys
    values = tuple(given.get(key) for key in keys)
    if bn_param is not None:
        values = merge(parameters, bn_param, values)
    return dict(zip(keys, values, strict=True))


def training_of(values: Mapping[str, Any]) -> bool:
    """Whether the values ask for training, by either of its two names. Raises ParameterError."""
    mode, training = values["mode"], values["training"]
    if mode is not None and mode not in MODES:
        raise ParameterError(f"bn_param['mode'] (={mode!r}) must be 'train' or 'test'")
    if training is None:
        return MODES.get(mode, True)
    training = BATCH_NORM_PARAM.read("training", training)
    if mode is not None and MODES[mode] != training:
        raise ParameterError(
            f"training (={training}) and bn_param['mode'] (={mode!r}) disagree; give one of them"
        )
    return bool(training)


def check_inference(name: str, values: Mapping[str, Any]) -> None:
    """Raise ParameterError where an inference function is asked for training."""
    if values["mode"] == "train" or values["training"]:
        raise ParameterError(
            f"{name} is inference: bn_param must not ask for training; call {name}_forward"
        )


def momentum_of(value: Any) -> float:
    """Return momentum as a float, by default 0.9. Raises ParameterError."""
    if value is None:
        return 0.9
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not number or not 0 <= value <= 1:
        raise ParameterError(f"momentum (={value!r}) must be a number from 0 to 1")
    return float(value)


def move(
    bn_param: MutableMapping[str, Any], batch: list[Any], size: int, momentum: float, unbiased: bool
) -> None:
    """Put the moved running statistics into ``bn_param``, as new arrays."""
    moved = {}
    for name, value in zip(("running_mean", "running_var"), batch, strict=True):
        old = bn_param.get(name)
        old = np.zeros_like(value) if old is None else np.asarray(old, value.dtype)
        if old.shape != value.shape:
            raise ParameterError(
                f"bn_param[{name!r}] (shape {old.shape}) must have one value per channel "
                f"({value.shape[0]})"
            )
        if unbiased and name == "running_var" and size > 1:
            value = value * (size / (size - 1))
        moved[name] = (momentum * old + (1 - momentum) * value).astype(value.dtype)
    bn_param.update(moved)
