"""The record of a trained solver: results of the test images, the mistakes, the versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from convkit.report import evaluation
from convkit.report.evaluation import MOST_MISTAKES, some_mistakes
from convkit.report.record import RunRecord
from convkit.training.solver import Solver


class Brightest:
    """A model that says which of the three pixels of an image is the brightest."""

    def __init__(self) -> None:
        self.params = {"w": np.ones(2)}
        self.buffers = {"mean": np.zeros(3)}

    def loss(self, X: Any, y: Any = None) -> Any:
        scores = X.reshape(len(X), 3)
        return scores if y is None else (1.0, {"w": np.zeros(2)})


def images(*labels: int) -> Any:
    return np.eye(3, dtype=np.float32)[list(labels)].reshape(-1, 1, 1, 3)


@pytest.fixture
def record() -> RunRecord:
    right, said = [0, 1, 2, 2, 1], [0, 1, 2, 0, 2]
    data: Any = {
        "X_train": images(0, 1, 2, 0), "y_train": np.array([0, 1, 2, 0]),
        "X_val": images(1, 2), "y_val": np.array([1, 2]),
        "X_test": images(*said), "y_test": np.array(right),
        "class_names": ("a", "b", "c"), "scale": 1.0, "white": 1,
        "mean": np.zeros((1, 1, 3), np.float32),
    }  # fmt: skip
    solver = Solver(Brightest(), data, batch_size=2, num_iterations=3, verbose=False, rng=0)
    solver.train()
    made = evaluation.record_of(
        solver,
        data,
        started=datetime(2026, 5, 4, 12, 30),
        seconds=2.0,
        settings={"data": "mine", "batch_size": 2},
        backend="naive",
        backends=[{"name": "naive"}],
        speedups=[],
        metadata={"model": "brightest"},
    )
    assert made.confusion == [[0] * 3] * 3  # a run is recorded before its network is tested
    assert "test_acc" not in made.results
    evaluation.add_test(made, data, solver)
    return made


def test_results_are_those_of_the_test_images(record: RunRecord) -> None:
    assert record.confusion == [[1, 0, 0], [0, 1, 1], [1, 0, 1]]
    assert record.results == {
        "test_acc": 0.6, "best_val_acc": 1.0, "images_per_second": 3.0, "parameters": 2
    }  # fmt: skip
    assert record.mistakes.true.tolist() == [2, 1]
    assert record.mistakes.predicted.tolist() == [0, 2]
    assert record.mistakes.images.shape == (2, 1, 1, 3)


def test_it_says_what_was_trained_on_what(record: RunRecord) -> None:
    counts = {"training": 4, "validation": 2, "test": 5}
    assert record.data == {"name": "mine", "shape": "1×1×3", **counts}
    assert (record.started, record.backend, record.stopped) == ("2026-05-04 12:30", "naive", None)
    assert record.weights.keys() == {"w", "mean"}
    assert len(record.history.losses) == 3


def test_mistakes_are_cut_to_so_many(monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    monkeypatch.setattr(evaluation, "MOST_MISTAKES", 1)
    assert request.getfixturevalue("record").mistakes.true.tolist() == [2]


def test_a_package_that_is_not_installed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "PACKAGES", ("numpy", "no-such-package-of-anyone"))
    found = evaluation.versions()
    assert found["numpy"] == np.__version__
    assert found["no-such-package-of-anyone"] == "not installed"


def test_the_mistakes_shown_are_of_all_classes_where_images_are_sorted_by_class():
    true = np.repeat(np.arange(4), 30)
    found = some_mistakes(true, (true + 1) % 4)
    assert len(found) == MOST_MISTAKES
    assert np.bincount(true[found]).tolist() == [5, 5, 5, 5]
    assert some_mistakes(true, np.where(true == 2, 0, true)).tolist()[::19] == [60, 89]
    assert some_mistakes(true, np.where(np.arange(120) == 7, 3, true)).tolist() == [7]
    assert some_mistakes(true, true).tolist() == []
