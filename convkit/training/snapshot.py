"""The whole state of a solver in one safetensors file, so that a run can go on to the bit.

Arrays are tensors; everything else (the random generators, the history, the counters) is one JSON
text, in which Python's floats and integers come back exactly.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.training.checkpoint import load_weights, save_weights
from convkit.training.history import History, Row

if TYPE_CHECKING:
    from convkit.training.solver import Solver

__all__ = ["restore", "save"]

KEY = "convkit.solver"
SETTINGS = ("update_rule", "lr_decay", "batch_size", "iterations_per_epoch")


def save(solver: Solver, path: str | os.PathLike[str]) -> None:
    """Write the state of a solver; see the module."""
    params, buffers = solver.latest
    groups: dict[str, dict[str, Any]] = {
        "params": params,
        "buffers": buffers,
        "best_params": solver.best_params,
        "best_buffers": solver.best_buffers,
    }
    numbers: dict[str, dict[str, Any]] = {}
    for name, config in solver.optim_configs.items():
        arrays = {key: value for key, value in config.items() if isinstance(value, np.ndarray)}
        groups[f"optim.{name}"] = arrays
        numbers[name] = {key: value for key, value in config.items() if key not in arrays}
    tensors = {
        f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()
    }
    model_rng = getattr(solver.model, "rng", None)
    state = {
        "settings": {name: getattr(solver, name) for name in SETTINGS},
        "iteration": solver.iteration,
        "best_val_acc": solver.best_val_acc,
        "optim": numbers,
        "rows": [list(vars(row).values()) for row in solver.history.rows],
        "rng": solver.rng.bit_generator.state,
        "model_rng": None if model_rng is None else model_rng.bit_generator.state,
    }
    text = json.dumps(state, default=lambda value: value.tolist())
    save_weights(path, tensors, {KEY: text})


def restore(solver: Solver, path: str | os.PathLike[str]) -> None:
    """Take over a saved state; DataError, and nothing changed, where it is of another run."""
    tensors, metadata = load_weights(path)
    if KEY not in metadata:
        raise DataError(f"{path}: expected a solver's checkpoint, found weights alone")
    state = json.loads(metadata[KEY])
    for name, saved in state["settings"].items():
        if getattr(solver, name) != saved:
            raise DataError(
                f"{path}: expected {name}={getattr(solver, name)!r}, as this solver has, "
                f"found {saved!r}"
            )
    groups: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for tensor, array in tensors.items():
        group, _, name = tensor.partition("/")
        groups.setdefault(group, {})[name] = array
    _check_shapes(path, solver.model.params, groups.get("params", {}))

    solver.iteration = state["iteration"]
    solver.best_val_acc = state["best_val_acc"]
    solver.best_params, solver.best_buffers = groups["best_params"], groups.get("best_buffers", {})
    solver.optim_configs = {
        name: {**numbers, **groups.get(f"optim.{name}", {})}
        for name, numbers in state["optim"].items()
    }
    solver.history = History(Row(*values) for values in state["rows"])
    solver.rng.bit_generator.state = state["rng"]
    if state["model_rng"] is not None:
        solver.model.rng.bit_generator.state = state["model_rng"]  # type: ignore[attr-defined]
    solver.use((groups["params"], groups.get("buffers", {})))


def _check_shapes(
    path: str | os.PathLike[str],
    mine: dict[str, npt.NDArray[Any]],
    saved: dict[str, npt.NDArray[Any]],
) -> None:
    for name in sorted({*mine, *saved}):
        expected, found = (
            f"{named[name].shape} {named[name].dtype}" if name in named else "no such parameter"
            for named in (mine, saved)
        )
        if expected != found:
            raise DataError(f"{path}: expected {name} of shape {expected}, found {found}")
