"""The state of a solver as one safetensors file, from which a run continues to the bit.

Arrays are tensors named ``<group>/<name>``; everything else (the random generators, the history,
the counters) is one JSON text, in which Python's floats and integers are exact.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from convkit.errors import DataError
from convkit.training.checkpoint import load_weights, save_weights
from convkit.training.checks import check_state
from convkit.training.protocol import Model

__all__ = ["check_same_run", "read", "write"]

KEY = "convkit.solver"
OPTIM = "optim."
"""What begins the group of an update rule's arrays; the parameter's name follows."""
GROUPS = ("params", "buffers", "best_params", "best_buffers", "sampling")
"""The entries of the state that are dictionaries of arrays."""

UNSAID: dict[str, Any] = {
    "clip_norm": None,
    "schedule": None,
    "sampling": "replacement",
    "augment": None,
    "label_smoothing": 0.0,
    "class_weights": None,
}
"""The settings of states that were written before there was a choice."""


def write(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write what ``Solver.state_dict`` returned, whole or not at all."""
    groups: dict[str, dict[str, Any]] = {group: state[group] for group in GROUPS}
    optim: dict[str, dict[str, Any]] = {}
    for name, config in state["optim"].items():
        arrays = {key: value for key, value in config.items() if isinstance(value, np.ndarray)}
        groups[OPTIM + name] = arrays
        optim[name] = {key: value for key, value in config.items() if key not in arrays}
    tensors = {
        f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()
    }
    rest = {key: value for key, value in state.items() if key not in GROUPS} | {"optim": optim}
    text = json.dumps(rest, default=lambda value: value.tolist())
    save_weights(path, tensors, {KEY: text})


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state that ``write`` wrote; DataError for another file."""
    tensors, metadata = load_weights(path)
    if KEY not in metadata:
        raise DataError(f"{path}: expected a solver's checkpoint, found weights alone")
    state: dict[str, Any] = json.loads(metadata[KEY])
    state |= {group: {} for group in GROUPS}
    for tensor, array in tensors.items():
        target, name = _place(state, tensor)
        target[name] = array
    return state


def check_same_run(
    state: Mapping[str, Any],
    settings: Mapping[str, Any],
    model: Model,
    rng: np.random.Generator,
) -> None:
    """Raise DataError where a state is that of a run with other settings, model or generator."""
    for name, own in settings.items():
        saved = state["settings"].get(name, UNSAID.get(name, own))
        if saved != own:
            raise DataError(f"expected {name}={own!r}, as this solver has, found {saved!r}")
    check_state(model, rng, state)


def _place(state: dict[str, Any], tensor: str) -> tuple[dict[str, Any], str]:
    """Return the dictionary that a tensor belongs to, and its name there.

    A parameter's name may hold slashes, and an update rule's names of its arrays hold none.
    """
    if tensor.startswith(OPTIM):
        parameter, _, name = tensor.removeprefix(OPTIM).rpartition("/")
        return state["optim"][parameter], name
    group, _, name = tensor.partition("/")
    return state[group], name
