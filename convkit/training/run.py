"""A run at one moment: its arrays and counters, how they are kept, and how it is taken up again.

The state is that of the end of an iteration. It holds references and copies nothing, for arrays
are replaced in training, never written into.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.training import evaluation, snapshot
from convkit.training.augment import Augmentation, described
from convkit.training.callbacks import Callbacks
from convkit.training.history import History, Row
from convkit.training.optimiser import Optimiser
from convkit.training.protocol import Model, Weights, weights_of
from convkit.training.sampling import Sampler
from convkit.training.targets import Targets

__all__ = ["Run"]

Array: TypeAlias = npt.NDArray[Any]


class Run:
    """What a solver has learned so far; :class:`convkit.training.solver.Solver` goes on with it."""

    model: Model
    rng: np.random.Generator
    optimiser: Optimiser
    sampling: str
    sampler: Sampler
    augment: Augmentation | None
    targets: Targets | None
    callbacks: Callbacks
    batch_size: int
    iterations_per_epoch: int
    iteration: int
    history: History
    best_val_acc: float
    best_params: dict[str, Any]
    best_buffers: dict[str, Any]
    _latest: Weights | None
    _boundary: dict[str, Any] | None

    @property
    def epoch(self) -> int:
        """The number of completed epochs."""
        return self.iteration // self.iterations_per_epoch

    @property
    def loss_history(self) -> list[float]:
        """The loss of every iteration."""
        return self.history.losses

    @property
    def train_acc_history(self) -> list[float]:
        """The training accuracies, in the order they were measured."""
        return self.history.train_accs

    @property
    def val_acc_history(self) -> list[float]:
        """The validation accuracies, in the order they were measured."""
        return self.history.val_accs

    @property
    def optim_configs(self) -> dict[str, dict[str, Any]]:
        """The update rule's dictionary of every parameter."""
        return self.optimiser.configs

    @property
    def latest(self) -> Weights:
        """The parameters and buffers of the last iteration, from which training continues."""
        return self._latest or weights_of(self.model)

    def use(self, kept: Weights) -> None:
        """Put parameters and buffers into the model, to continue from."""
        params, buffers = kept
        self.model.params = dict(params)
        if buffers:
            self.model.buffers = dict(buffers)  # type: ignore[attr-defined]
        self._latest = self._boundary = None

    def predict(self, X: Array, batch_size: int = 100) -> npt.NDArray[np.intp]:
        """Return the label with the highest score for every image of X, batch by batch."""
        return evaluation.predict(self.model, X, batch_size)

    def check_accuracy(
        self, X: Array, y: Array, num_samples: int | None = None, batch_size: int = 100
    ) -> float:
        """Return the accuracy on images X with labels y, on num_samples random ones of them.

        y is (N,) or (N, 1). Raises ShapeError for another shape and where there is no image, and
        DtypeError where y does not hold numbers.
        """
        return evaluation.accuracy(self.model, X, y, num_samples, batch_size, self.rng)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, for ``resume``."""
        snapshot.write(self.state_dict(), path)

    def resume(self, path: str | os.PathLike[str], *, override: bool = False) -> None:
        """Load the state that ``save`` wrote, for a solver made with the same arguments.

        With ``override``, also for one made with other arguments, which hold from then on. Raises
        DataError, and changes nothing, where the file holds another run.
        """
        state = snapshot.read(path)
        try:
            self.load_state_dict(state, override=override)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def state_dict(self) -> dict[str, Any]:
        """Return everything from which a run continues to the bit, as plain data and arrays.

        It is the state at the end of the last complete iteration, before what an interruption or
        the end of the run made the solver measure besides.
        """
        state = dict(self._boundary or self._capture())
        count, last = state["rows"]
        rows = self.history.rows[:count]
        state["rows"] = [astuple(row) for row in [*rows[:-1], *last]]
        return state

    def load_state_dict(self, state: Mapping[str, Any], *, override: bool = False) -> None:
        """Load what ``state_dict`` returned; ``override`` as in ``resume``.

        Raises DataError, and changes nothing, where it is the state of another run.
        """
        snapshot.check_same_run(state, {} if override else self._settings, self.model, self.rng)
        # Nothing above changes the solver, and nothing below raises.
        self.iteration = state["iteration"]
        self.best_val_acc = state["best_val_acc"]
        self.best_params = dict(state["best_params"])
        self.best_buffers = dict(state["best_buffers"])
        self.optimiser.load(state["optim"], state["settings"])
        self.history = History(Row(*values) for values in state["rows"])
        self.sampler.state = dict(state.get("sampling", {}))
        self.callbacks.load_state_dict(state.get("callbacks", ()))
        self.rng.bit_generator.state = state["rng"]
        if state["model_rng"] is not None:
            self.model.rng.bit_generator.state = state["model_rng"]  # type: ignore[attr-defined]
        self.use((state["params"], state["buffers"]))

    def _capture(self) -> dict[str, Any]:
        """Return the state of this moment, with the number of the rows and the last one."""
        params, buffers = self.latest
        model_rng = getattr(self.model, "rng", None)
        return {
            "settings": self._settings,
            "iteration": self.iteration,
            "best_val_acc": self.best_val_acc,
            "params": params,
            "buffers": buffers,
            "best_params": self.best_params,
            "best_buffers": self.best_buffers,
            "optim": {name: dict(config) for name, config in self.optim_configs.items()},
            "rows": (len(self.history.rows), self.history.rows[-1:]),
            "sampling": dict(self.sampler.state),
            "callbacks": self.callbacks.state_dict(),
            "rng": self.rng.bit_generator.state,
            "model_rng": None if model_rng is None else model_rng.bit_generator.state,
        }

    @property
    def _settings(self) -> dict[str, Any]:
        """What a saved state must agree in, or the run would not be continued."""
        targets = self.targets
        return {
            **self.optimiser.settings,
            "batch_size": self.batch_size,
            "iterations_per_epoch": self.iterations_per_epoch,
            "sampling": self.sampling,
            "augment": described(self.augment),
            "label_smoothing": 0.0 if targets is None else targets.smoothing,
            "class_weights": None if targets is None else targets.weights.tolist(),
        }
