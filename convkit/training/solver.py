"""The training loop: batches, steps, accuracies, the best parameters.

It sees a model's ``params``, ``loss`` and (where it has them) ``buffers`` and ``rng``, and never a
layer or a backend. Parameters are replaced, never written into, so keeping the best ones is
keeping references; see :mod:`convkit.training.optim`. What can be chosen of a run has a module of
its own: :mod:`~convkit.training.optimiser`, :mod:`~convkit.training.schedules`,
:mod:`~convkit.training.sampling`, :mod:`~convkit.training.augment`,
:mod:`~convkit.training.targets`, :mod:`~convkit.training.callbacks`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError
from convkit.files import check_destination
from convkit.training.augment import Augmentation, make_augmentation
from convkit.training.callbacks import Callbacks, EarlyStopping
from convkit.training.checks import check_at_least, images_and_labels
from convkit.training.history import History, Row
from convkit.training.optimiser import Optimiser
from convkit.training.protocol import Model, Progress, adopt_usage, weights_of
from convkit.training.run import Run
from convkit.training.sampling import make_sampler
from convkit.training.schedules import Schedule, check_warm_up
from convkit.training.targets import make_targets

__all__ = ["Model", "Progress", "Solver"]

Array: TypeAlias = npt.NDArray[Any]


class Solver(Run):
    """Train a model on mini-batches; keep what did best on validation images.

    After ``train()`` the model holds the parameters with the best validation accuracy, or the last
    ones where there are no validation images. Accuracies are measured after the first iteration,
    every epoch and the last iteration.

    Parameters
    ----------
    model:
        See :class:`Model`.
    data:
        A mapping with X_train, y_train, X_val, y_val; the latter two may be empty.
    update_rule, optim_config:
        A name of ``optim.UPDATE_RULES`` and its numbers, e.g. ``{"learning_rate": 1e-3}``.
    weight_decay:
        For every parameter, biases too: coupled, and decoupled in adamw; None: the rule's own. See
        :mod:`convkit.training.optim`.
    clip_norm:
        The norm that all gradients together are scaled down to where it is larger; None: any.
    lr_decay:
        The learning rate is multiplied by this after every epoch.
    schedule:
        A name of ``schedules.SCHEDULES``, an object of one, or ``f(step, steps) -> factor`` of the
        learning rate; it goes with no ``lr_decay``. One-cycle moves the momentum (beta1) too.
    batch_size, num_epochs:
        An epoch is max(1, num_train // batch_size) iterations.
    num_iterations:
        How many to run in all; None: num_epochs epochs.
    sampling:
        "replacement": each batch is drawn from all images; "shuffle": each epoch has a new order.
    augment:
        ``f(batch, rng) -> batch``, or names of ``augment.AUGMENTATIONS`` as "flip,shift".
    label_smoothing, class_weights:
        The share of the target that all classes divide; "balanced" or a number for each class. With
        either, the model's loss gets targets (N, C), as the softmax loss takes them; see
        :mod:`convkit.training.targets`.
    early_stop:
        Stop after so many epochs without a better validation accuracy; None: never.
    num_train_samples, num_val_samples:
        How many images, drawn anew each time, an accuracy is measured on; None: all.
    checkpoint_name:
        Writes ``<checkpoint_name>_epoch_<n>.safetensors`` after every epoch, for ``resume``.
    print_every, verbose:
        A line with the loss every so many iterations, and one for every accuracy.
    rng:
        A seed or a Generator: the same one, model and data give the same run to the bit. NumPy's
        global ``np.random.seed`` has no effect.
    on_step:
        Called with a :class:`Progress` after every iteration.
    callbacks:
        Objects with methods of :class:`convkit.training.callbacks.Callback`.

    Attributes: ``loss_history``, ``train_acc_history``, ``val_acc_history``, ``history``,
    ``best_val_acc``, ``best_params``, ``epoch``, ``iteration``, ``optim_configs``, and ``stopped``:
    None, "interrupted", "diverged" (the loss is not finite, and training has ended) or "early" (a
    callback has ended it).
    """

    def __init__(
        self,
        model: Model,
        data: Mapping[str, Any],
        *,
        update_rule: str = "sgd",
        optim_config: Mapping[str, float] | None = None,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
        lr_decay: float = 1.0,
        schedule: str | Schedule | None = None,
        batch_size: int = 100,
        num_epochs: int = 10,
        num_iterations: int | None = None,
        sampling: str = "replacement",
        augment: str | Augmentation | Sequence[Augmentation] | None = None,
        label_smoothing: float = 0.0,
        class_weights: str | Sequence[float] | Array | None = None,
        early_stop: int | None = None,
        num_train_samples: int | None = 1000,
        num_val_samples: int | None = None,
        checkpoint_name: str | os.PathLike[str] | None = None,
        print_every: int = 10,
        verbose: bool = True,
        rng: int | np.random.Generator | None = None,
        on_step: Callable[[Progress], None] | None = None,
        callbacks: Iterable[Any] = (),
        **unknown: Any,
    ) -> None:
        if unknown:
            known = ", ".join(Solver.__init__.__kwdefaults__ or ())
            raise ParameterError(f"Solver has no argument {next(iter(unknown))!r}; known: {known}")
        check_at_least(1, batch_size=batch_size, print_every=print_every)
        check_at_least(0, num_epochs=num_epochs)
        check_at_least(
            1,
            num_iterations=num_iterations,
            num_train_samples=num_train_samples,
            num_val_samples=num_val_samples,
            early_stop=early_stop,
        )
        self.model = model
        adopt_usage(model, data)
        self.X_train, self.y_train = images_and_labels(data, "train")
        self.X_val, self.y_val = images_and_labels(data, "val", least=0)
        if early_stop is not None and not len(self.X_val):
            raise ParameterError(f"early_stop (={early_stop}) needs validation images")
        self.update_rule, self.lr_decay = update_rule, lr_decay
        self.optimiser = Optimiser(
            update_rule,
            optim_config,
            model.params,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            lr_decay=lr_decay,
            schedule=schedule,
        )
        self.batch_size, self.print_every, self.verbose = batch_size, print_every, verbose
        self.num_train_samples, self.num_val_samples = num_train_samples, num_val_samples
        self.checkpoint_name, self.on_step = checkpoint_name, on_step
        self.rng = np.random.default_rng(rng)
        self.sampling, self.sampler = sampling, make_sampler(sampling)
        self.augment = make_augmentation(augment)
        self.targets = make_targets(
            model, self.X_train, self.y_train, label_smoothing, class_weights
        )
        stopping = [] if early_stop is None else [EarlyStopping(early_stop)]
        self.callbacks = Callbacks([*stopping, *callbacks])
        self.iterations_per_epoch = max(len(self.X_train) // batch_size, 1)
        self.num_iterations = num_iterations or num_epochs * self.iterations_per_epoch
        self.num_epochs = -(-self.num_iterations // self.iterations_per_epoch)
        check_warm_up(self.optimiser.schedule, self.num_iterations)

        self.iteration = 0
        self.history = History()
        self.best_val_acc = 0.0
        self.best_params, self.best_buffers = weights_of(model)
        self.stopped: str | None = None
        self._latest = self._boundary = None
        self._train_seconds = 0.0
        self._images = 0

    def train(self) -> History:
        """Run the remaining iterations and return the history; the model then holds the best.

        On Ctrl-C the accuracies of the last iteration are measured, the best parameters so far are
        kept, and KeyboardInterrupt is raised to the caller. ``save`` then writes the state of the
        last iteration that was complete, from which the run goes on to the bit.
        """
        self.stopped = None
        if self.checkpoint_name is not None:
            check_destination("checkpoint_name", f"{os.fspath(self.checkpoint_name)}_epoch_1")
        self.use(self.latest)
        boundary = self._capture()
        try:
            self._call("on_train_begin")
            # The loss tells that a run diverges; NumPy's warnings would add nothing.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                while self.iteration < self.num_iterations and self.stopped is None:
                    self._iterate()
                    boundary = self._capture()
                self._measure_once()
        except KeyboardInterrupt:
            self.stopped = "interrupted"
            self._boundary = boundary
            self._measure_once()
            raise
        finally:
            latest = self.latest
            self.use((self.best_params, self.best_buffers))
            # What the closing measurement draws and finds is no part of the run.
            self._latest, self._boundary = latest, boundary
        self._call("on_train_end")
        return self.history

    def _step(self) -> float:
        """One training step on one batch; returns its loss."""
        place = self.iteration % self.iterations_per_epoch
        batch = self.sampler.draw(len(self.X_train), self.batch_size, place, self.rng)
        X, y = self.X_train[batch], self.y_train[batch]
        if self.augment is not None:
            X = self.augment(X, self.rng)
        loss, grads = self.model.loss(X, y if self.targets is None else self.targets(y))
        self._images += len(X)
        if not math.isfinite(loss):
            self.stopped = "diverged"
            return float(loss)
        step = self.iteration, self.num_iterations
        self.model.params.update(self.optimiser.step(self.model.params, grads, *step))
        return float(loss)

    def _iterate(self) -> None:
        """One step, and what follows it: record, decay, accuracies, callbacks, checkpoint."""
        start = time.perf_counter()
        loss = self._step()
        self.iteration += 1
        self._train_seconds += time.perf_counter() - start
        self.history.rows.append(Row(self.iteration, self.epoch, loss))
        if self.verbose and (self.iteration - 1) % self.print_every == 0:
            _say(f"(Iteration {self.iteration} / {self.num_iterations}) loss: {loss:f}")
        epoch_end = self.iteration % self.iterations_per_epoch == 0
        if epoch_end:
            self.optimiser.decay()
        finished = self.iteration == self.num_iterations or self.stopped is not None
        if epoch_end or finished or self.iteration == 1:
            self._measure()
        self._call("on_step_end")
        if epoch_end:
            self._call("on_epoch_end")
        if epoch_end and self.checkpoint_name is not None:
            self.save(f"{os.fspath(self.checkpoint_name)}_epoch_{self.epoch}.safetensors")
        if self.on_step is not None:
            self.on_step(self._progress())

    def _call(self, hook: str) -> None:
        """Call a method of the callbacks; training ends where one wants it to."""
        if self.callbacks.all and self.callbacks.call(hook, self._progress()):
            self.stopped = self.stopped or "early"

    def _measure_once(self) -> None:
        """Measure the accuracies after the last iteration, unless they are known."""
        if self.history.rows and self.history.rows[-1].train_acc is None:
            self._measure()

    def _measure(self) -> None:
        """Put both accuracies into the last row, print them, and remember the best parameters."""
        train_acc = self.check_accuracy(self.X_train, self.y_train, self.num_train_samples)
        val_acc = None
        if len(self.X_val):
            val_acc = self.check_accuracy(self.X_val, self.y_val, self.num_val_samples)
        # Before the row is written: an interruption in between leads to another measurement.
        if val_acc is None or not self.val_acc_history or val_acc > self.best_val_acc:
            self.best_val_acc = val_acc or 0.0
            self.best_params, self.best_buffers = weights_of(self.model)
        row = self.history.rows[-1]
        self.history.rows[-1] = Row(row.iteration, row.epoch, row.loss, train_acc, val_acc)
        if self.verbose:
            _say(
                f"(Epoch {self.epoch} / {self.num_epochs}, iteration {self.iteration} / "
                f"{self.num_iterations}) train acc: {train_acc:f}"
                + ("" if val_acc is None else f"; val_acc: {val_acc:f}")
            )

    def _progress(self) -> Progress:
        train_accs, val_accs = self.train_acc_history, self.val_acc_history
        return Progress(
            iteration=self.iteration,
            num_iterations=self.num_iterations,
            epoch=self.epoch,
            num_epochs=self.num_epochs,
            loss=self.history.rows[-1].loss if self.history.rows else math.nan,
            images_per_second=self._images / max(self._train_seconds, 1e-9),
            train_acc=train_accs[-1] if train_accs else None,
            val_acc=val_accs[-1] if val_accs else None,
            learning_rate=self.optimiser.learning_rate,
        )


def _say(line: str) -> None:
    print(line, flush=True)  # a pipe would buffer it
