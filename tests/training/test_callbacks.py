"""The protocol of callbacks, and early stopping."""

from __future__ import annotations

import pytest

from convkit import ParameterError
from convkit.training.callbacks import HOOKS, Callback, Callbacks, EarlyStopping
from convkit.training.protocol import Progress


def progress(val_acc):
    return Progress(1, 9, 1, 3, 0.5, 100.0, 0.1, val_acc)


def test_every_callback_is_called_also_where_one_wants_the_end():
    called = []

    class Ending:
        def on_epoch_end(self, progress):
            called.append("ending")
            return True

    class Plain(Callback):
        def on_epoch_end(self, progress):
            called.append("plain")

    both = Callbacks([Ending(), Plain()])
    assert both.call("on_epoch_end", progress(0.5)) is True
    assert called == ["ending", "plain"]
    assert both.call("on_step_end", progress(0.5)) is False
    assert not any(Callbacks([Callback()]).call(hook, progress(0.5)) for hook in HOOKS)


def test_early_stopping_counts_epochs_without_a_better_accuracy():
    stopping = EarlyStopping(patience=2)
    answers = [stopping.on_epoch_end(progress(acc)) for acc in (0.5, 0.5, 0.6, 0.6, 0.1)]
    assert answers == [False, False, False, False, True]
    assert stopping.on_train_begin(progress(0.1)) is True


def test_states_return_to_the_callbacks_they_are_of():
    first, second = EarlyStopping(3), EarlyStopping(9)
    first.on_epoch_end(progress(0.4))
    second.on_epoch_end(progress(0.7))
    second.on_epoch_end(progress(0.6))
    states = Callbacks([first, Callback(), second]).state_dict()
    third, fourth = EarlyStopping(3), EarlyStopping(9)
    Callbacks([third, fourth, Callback()]).load_state_dict(states)
    assert (third.best, third.waited) == (0.4, 0)
    assert (fourth.best, fourth.waited) == (0.7, 1)


def test_what_cannot_be_is_refused():
    with pytest.raises(ParameterError, match=r"^callbacks: 'x' must have one of the methods on_tr"):
        Callbacks(["x"])
    with pytest.raises(ParameterError, match=r"^patience \(=0\) must be an integer of at least 1"):
        EarlyStopping(0)
    with pytest.raises(ParameterError, match=r"^early stopping needs validation images;"):
        EarlyStopping(1).on_epoch_end(progress(None))
