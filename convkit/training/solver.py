"""The training loop: batches, steps, accuracies, the best parameters.

It sees a model's ``params``, ``loss`` and (where it has them) ``buffers`` and ``rng``, and never a
layer or a backend. Parameters are replaced, never written into, so keeping the best ones is
keeping references; see :mod:`convkit.training.optim`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError, ParameterError
from convkit.files import check_destination
from convkit.training import evaluation, optim, snapshot
from convkit.training.checks import check_at_least, images_and_labels
from convkit.training.history import History, Row
from convkit.training.protocol import Model, Progress, Weights, adopt_usage, weights_of

__all__ = ["Model", "Progress", "Solver"]

Array: TypeAlias = npt.NDArray[Any]

SETTINGS = ("update_rule", "lr_decay", "batch_size", "iterations_per_epoch")
"""The attributes that a saved state must agree in, or the run would not be continued."""


class Solver:
    """Train a model on batches drawn with replacement; keep what did best on validation images.

    After ``train()`` the model holds the parameters with the best validation accuracy. Accuracies
    are measured after the first iteration, every epoch and the last iteration.

    Parameters
    ----------
    model:
        See :class:`Model`.
    data:
        A mapping with X_train, y_train, X_val, y_val.
    update_rule, optim_config:
        A name of ``optim.UPDATE_RULES`` and its numbers, e.g. ``{"learning_rate": 1e-3}``.
    lr_decay:
        The learning rate is multiplied by this after every epoch.
    batch_size, num_epochs:
        An epoch is max(1, num_train // batch_size) iterations.
    num_iterations:
        How many to run in all; None: num_epochs epochs.
    num_train_samples, num_val_samples:
        How many images, drawn anew each time, an accuracy is measured on; None: all.
    checkpoint_name:
        Writes ``<checkpoint_name>_epoch_<n>.safetensors`` after every epoch, for ``resume``.
    print_every, verbose:
        A line with the loss every so many iterations, and one for every accuracy.
    rng:
        A seed or a Generator: the same one, model and data give the same run to the bit.
    on_step:
        Called with a :class:`Progress` after every iteration.

    Attributes: ``loss_history``, ``train_acc_history``, ``val_acc_history``, ``history``,
    ``best_val_acc``, ``best_params``, ``epoch``, ``iteration``, ``optim_configs``, and ``stopped``:
    None, "interrupted" or "diverged" (the loss is not finite, and training has ended).
    """

    def __init__(
        self,
        model: Model,
        data: Mapping[str, Any],
        *,
        update_rule: str = "sgd",
        optim_config: Mapping[str, float] | None = None,
        lr_decay: float = 1.0,
        batch_size: int = 100,
        num_epochs: int = 10,
        num_iterations: int | None = None,
        num_train_samples: int | None = 1000,
        num_val_samples: int | None = None,
        checkpoint_name: str | os.PathLike[str] | None = None,
        print_every: int = 10,
        verbose: bool = True,
        rng: int | np.random.Generator | None = None,
        on_step: Callable[[Progress], None] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            known = ", ".join(Solver.__init__.__kwdefaults__ or ())
            raise ParameterError(f"Solver has no argument {next(iter(unknown))!r}; known: {known}")
        optim.check_rule(update_rule, optim_config or {})
        check_at_least(1, batch_size=batch_size, print_every=print_every)
        check_at_least(0, num_epochs=num_epochs)
        check_at_least(
            1,
            num_iterations=num_iterations,
            num_train_samples=num_train_samples,
            num_val_samples=num_val_samples,
        )
        if not 0 < lr_decay < math.inf:
            raise ParameterError(f"lr_decay (={lr_decay!r}) must be a finite number above 0")
        self.model = model
        adopt_usage(model, data)
        self.X_train, self.y_train = images_and_labels(data, "train")
        self.X_val, self.y_val = images_and_labels(data, "val")
        self.update_rule, self.lr_decay = update_rule, lr_decay
        self.batch_size, self.print_every, self.verbose = batch_size, print_every, verbose
        self.num_train_samples, self.num_val_samples = num_train_samples, num_val_samples
        self.checkpoint_name, self.on_step = checkpoint_name, on_step
        self.rng = np.random.default_rng(rng)
        self.iterations_per_epoch = max(len(self.X_train) // batch_size, 1)
        self.num_iterations = num_iterations or num_epochs * self.iterations_per_epoch
        self.num_epochs = -(-self.num_iterations // self.iterations_per_epoch)

        self.iteration = 0
        self.history = History()
        self.best_val_acc = 0.0
        self.best_params, self.best_buffers = weights_of(model)
        config = {**optim.DEFAULTS[update_rule], **(optim_config or {})}
        self.optim_configs: dict[str, dict[str, Any]] = {
            name: dict(config) for name in model.params
        }
        self.stopped: str | None = None
        self._latest: Weights | None = None
        self._train_seconds = 0.0
        self._images = 0

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

    def train(self) -> None:
        """Run the remaining iterations; the model then holds the best parameters.

        On Ctrl-C the accuracies of the last iteration are measured, the best parameters so far are
        kept, and KeyboardInterrupt is raised to the caller.
        """
        self.stopped = None
        if self.checkpoint_name is not None:
            check_destination("checkpoint_name", f"{os.fspath(self.checkpoint_name)}_epoch_1")
        self.use(self.latest)
        try:
            # The loss tells that a run diverges; NumPy's warnings would add nothing.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                while self.iteration < self.num_iterations and self.stopped is None:
                    self._iterate()
        except KeyboardInterrupt:
            self.stopped = "interrupted"
            if self.history.rows and self.history.rows[-1].val_acc is None:
                self._measure()
            raise
        finally:
            latest = self.latest
            self.use((self.best_params, self.best_buffers))
            self._latest = latest

    @property
    def latest(self) -> Weights:
        """The parameters and buffers of the last iteration, from which training continues."""
        return self._latest or weights_of(self.model)

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

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Load the state that ``save`` wrote, for a solver made with the same arguments.

        Raises DataError, and changes nothing, where the file holds another run.
        """
        state = snapshot.read(path)
        try:
            self.load_state_dict(state)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def state_dict(self) -> dict[str, Any]:
        """Return everything from which a run continues to the bit, as plain data and arrays."""
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
            "rows": [astuple(row) for row in self.history.rows],
            "rng": self.rng.bit_generator.state,
            "model_rng": None if model_rng is None else model_rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what ``state_dict`` returned.

        Raises DataError, and changes nothing, where it is the state of another run.
        """
        snapshot.check_same_run(state, self._settings, self.model, self.rng)
        # Nothing above changes the solver, and nothing below raises.
        self.iteration = state["iteration"]
        self.best_val_acc = state["best_val_acc"]
        self.best_params = dict(state["best_params"])
        self.best_buffers = dict(state["best_buffers"])
        self.optim_configs = {name: dict(config) for name, config in state["optim"].items()}
        self.history = History(Row(*values) for values in state["rows"])
        self.rng.bit_generator.state = state["rng"]
        if state["model_rng"] is not None:
            self.model.rng.bit_generator.state = state["model_rng"]  # type: ignore[attr-defined]
        self.use((state["params"], state["buffers"]))

    @property
    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS}

    def _step(self) -> float:
        """One training step on one batch; returns its loss."""
        batch = self.rng.integers(len(self.X_train), size=self.batch_size)
        loss, grads = self.model.loss(self.X_train[batch], self.y_train[batch])
        if not math.isfinite(loss):
            self.stopped = "diverged"
            return float(loss)
        params, self.optim_configs = optim.step(
            self.update_rule, self.model.params, grads, self.optim_configs
        )
        self.model.params.update(params)
        return float(loss)

    def _iterate(self) -> None:
        """One step, and what follows it: record, decay, accuracies, checkpoint, callback."""
        start = time.perf_counter()
        loss = self._step()
        self.iteration += 1
        self._train_seconds += time.perf_counter() - start
        self._images += self.batch_size
        self.history.rows.append(Row(self.iteration, self.epoch, loss))
        if self.verbose and (self.iteration - 1) % self.print_every == 0:
            _say(f"(Iteration {self.iteration} / {self.num_iterations}) loss: {loss:f}")
        epoch_end = self.iteration % self.iterations_per_epoch == 0
        if epoch_end:
            for config in self.optim_configs.values():
                config["learning_rate"] *= self.lr_decay
        finished = self.iteration == self.num_iterations or self.stopped is not None
        if epoch_end or finished or self.iteration == 1:
            self._measure()
        if epoch_end and self.checkpoint_name is not None:
            self.save(f"{os.fspath(self.checkpoint_name)}_epoch_{self.epoch}.safetensors")
        if self.on_step is not None:
            self.on_step(self._progress())

    def _measure(self) -> None:
        """Put both accuracies into the last row, print them, and remember the best parameters."""
        train_acc = self.check_accuracy(self.X_train, self.y_train, self.num_train_samples)
        val_acc = self.check_accuracy(self.X_val, self.y_val, self.num_val_samples)
        # Before the row is written: an interruption in between leads to another measurement.
        if not self.val_acc_history or val_acc > self.best_val_acc:
            self.best_val_acc = val_acc
            self.best_params, self.best_buffers = weights_of(self.model)
        row = self.history.rows[-1]
        self.history.rows[-1] = Row(row.iteration, row.epoch, row.loss, train_acc, val_acc)
        if self.verbose:
            _say(
                f"(Epoch {self.epoch} / {self.num_epochs}, iteration {self.iteration} / "
                f"{self.num_iterations}) train acc: {train_acc:f}; val_acc: {val_acc:f}"
            )

    def use(self, kept: Weights) -> None:
        """Put parameters and buffers into the model, to continue from."""
        params, buffers = kept
        self.model.params = dict(params)
        if buffers:
            self.model.buffers = dict(buffers)  # type: ignore[attr-defined]
        self._latest = None

    def _progress(self) -> Progress:
        train_accs, val_accs = self.train_acc_history, self.val_acc_history
        return Progress(
            iteration=self.iteration,
            num_iterations=self.num_iterations,
            epoch=self.epoch,
            num_epochs=self.num_epochs,
            loss=self.history.rows[-1].loss,
            images_per_second=self._images / max(self._train_seconds, 1e-9),
            train_acc=train_accs[-1] if train_accs else None,
            val_acc=val_accs[-1] if val_accs else None,
        )


def _say(line: str) -> None:
    print(line, flush=True)  # a pipe would buffer it
