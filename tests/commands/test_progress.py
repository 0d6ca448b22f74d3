"""The progress bar: what it says after each step, and where it is drawn."""

from __future__ import annotations

import io
import sys

import pytest

from convkit.commands._progress import LEAST_BAR, on_terminal, postfix, progress_bar
from convkit.training.solver import Progress


def progress(**changes):
    facts = {"iteration": 3, "num_iterations": 10, "epoch": 0, "num_epochs": 2, "loss": 1.23456,
             "images_per_second": 12345.6, "train_acc": None, "val_acc": None}  # fmt: skip
    return Progress(**(facts | changes))


def test_accuracies_are_said_once_they_are_measured():
    assert postfix(progress()) == "loss 1.235, 12,346 images/s"
    said = postfix(progress(train_acc=0.5, val_acc=0.4321))
    assert said == "loss 1.235, train 50.0%, val 43.2%, 12,346 images/s"


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (52, "loss 1.235, train 50.0%, val 43.2%, 12,346 images/s"),
        (50, "loss 1.235, val 43.2%, 12,346 images/s"),
        (30, "loss 1.235, val 43.2%"),
        (12, "loss 1.235"),
        (0, "loss 1.235"),
    ],
)
def test_in_a_narrow_line_the_least_telling_is_left_out(room, said):
    assert postfix(progress(train_acc=0.5, val_acc=0.4321), room) == said


@pytest.mark.parametrize(("out", "err"), [(True, True), (True, False), (False, True)])
def test_both_streams_must_be_terminals(monkeypatch, out, err):
    for name, terminal in (("stdout", out), ("stderr", err)):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr(sys, name, stream)
    assert on_terminal() == (out and err)


def test_it_draws_epochs_and_steps(capsys):
    pytest.importorskip("tqdm", reason="the progress bar needs tqdm (extra 'train')")
    with progress_bar() as step:
        step(progress())
        step(progress(iteration=10, epoch=2))
    drawn = capsys.readouterr().err.split("\r")
    assert any("10/10" in line for line in drawn)
    assert "epoch 2/2" in drawn[-1]  # and not 3 of 2 after the last
    assert "loss 1.235" in drawn[-1]


def test_at_80_columns_the_bar_is_wide_enough_to_see(capsys, monkeypatch):
    pytest.importorskip("tqdm", reason="the progress bar needs tqdm (extra 'train')")
    monkeypatch.setenv("COLUMNS", "80")
    with progress_bar("2/6 ") as step:
        step(progress(iteration=1000, num_iterations=1000, train_acc=0.5, val_acc=0.5))
    line = capsys.readouterr().err.split("\r")[-1]
    assert line.startswith("2/6 epoch 1/2 100%|")
    assert "val 50.0%" in line
    if len(line.rstrip()) == 79:  # where it has found the width that was set
        assert len(line.split("|")[1]) >= LEAST_BAR
