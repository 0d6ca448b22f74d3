"""The training step that is timed is the same one in convkit and in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from convkit.bench import training_step
from convkit.bench.subjects import Ours, Subject, Torch
from convkit.models import ThreeLayerConvNet


def test_steps_are_the_same_and_change_every_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(training_step, "BATCH", 3)
    monkeypatch.setattr(training_step, "LEARNING_RATE", 0.5)
    subjects: list[Subject] = [Ours("im2col_numpy"), Torch()]
    ours, peer = training_step.steps(subjects, "float64").values()
    before = ThreeLayerConvNet(dtype=np.float64, rng=0).params
    for _ in range(2):  # the second starts from what the first one left
        after = ours()
        peers = peer()
    for name, value in before.items():
        assert not np.array_equal(after[name], value), name
        np.testing.assert_allclose(after[name], peers[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_every_subject_has_a_row_of_each_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_step, "BATCH", 2)
    rows = training_step.training_rows([Ours("im2col_numpy")], rounds=1)
    assert [(row["dtype"], row["subject"]) for row in rows] == [
        ("float32", "im2col_numpy"),
        ("float64", "im2col_numpy"),
    ]
    assert all(row["seconds"] > 0 for row in rows)
