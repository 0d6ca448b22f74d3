"""Callbacks: what is called during training, in the manner of Keras.

A callback is any object with one or more of the methods of :class:`Callback`. It sees the progress
of the run, and may end it: where a method returns True, training stops after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from convkit.errors import ParameterError
from convkit.training.checks import check_at_least
from convkit.training.protocol import Progress

__all__ = ["HOOKS", "Callback", "Callbacks", "EarlyStopping"]

HOOKS = ("on_train_begin", "on_step_end", "on_epoch_end", "on_train_end")


class Callback:
    """Does nothing: derive from it, or write an object with the methods that are needed.

    ``state_dict`` and ``load_state_dict`` belong to what remembers something between calls: plain
    data, which a checkpoint keeps with the rest of the run.
    """

    def on_train_begin(self, progress: Progress) -> bool | None:
        """Before the first iteration of ``train()``, also where a run is taken up again."""

    def on_step_end(self, progress: Progress) -> bool | None:
        """After every iteration."""

    def on_epoch_end(self, progress: Progress) -> bool | None:
        """After every epoch, once both accuracies are measured, before its checkpoint."""

    def on_train_end(self, progress: Progress) -> bool | None:
        """After the last iteration, however the run ended; the model holds the best parameters."""

    def state_dict(self) -> dict[str, Any]:
        """Return what ``load_state_dict`` needs, as plain data."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` returned."""


class EarlyStopping(Callback):
    """Stop once the validation accuracy has not risen in ``patience`` epochs."""

    def __init__(self, patience: int = 5) -> None:
        check_at_least(1, patience=patience)
        self.patience = patience
        self.best: float | None = None
        self.waited = 0

    def on_train_begin(self, progress: Progress) -> bool:
        """Where the patience was at its end, a run that is taken up again ends at once."""
        return self.waited >= self.patience

    def on_epoch_end(self, progress: Progress) -> bool:
        """Count the epochs since the best one."""
        if progress.val_acc is None:
            raise ParameterError("early stopping needs validation images; the data has none")
        if self.best is None or progress.val_acc > self.best:
            self.best, self.waited = progress.val_acc, 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """Return the best accuracy and the epochs since."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self.best, self.waited = state["best"], state["waited"]


class Callbacks:
    """Several callbacks as one."""

    def __init__(self, callbacks: Iterable[Any] = ()) -> None:
        self.all = list(callbacks)
        for callback in self.all:
            if not any(callable(getattr(callback, hook, None)) for hook in HOOKS):
                raise ParameterError(
                    f"callbacks: {callback!r} must have one of the methods {', '.join(HOOKS)}"
                )

    def call(self, hook: str, progress: Progress) -> bool:
        """Call a method of every callback that has it; return whether one wants the end."""
        answers = [
            getattr(callback, hook)(progress) for callback in self.all if hasattr(callback, hook)
        ]
        return any(answer is True for answer in answers)

    def state_dict(self) -> list[list[Any]]:
        """Return the name and the state of every callback that has one."""
        return [
            [type(callback).__name__, dict(callback.state_dict())]
            for callback in self.all
            if hasattr(callback, "state_dict")
        ]

    def load_state_dict(self, states: Iterable[Iterable[Any]]) -> None:
        """Give each callback its state back: the first of a class gets the first of its name."""
        waiting = [(name, state) for name, state in states]
        for callback in self.all:
            own = next((pair for pair in waiting if pair[0] == type(callback).__name__), None)
            if own is not None and hasattr(callback, "load_state_dict"):
                waiting.remove(own)
                callback.load_state_dict(own[1])
