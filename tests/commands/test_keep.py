"""What a run's folder holds while the run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from run_records import run_record

from convkit.commands._keep import Keeper
from convkit.commands._signals import Signals
from convkit.models import ThreeLayerConvNet
from convkit.report.folders import new_folder
from convkit.report.record import UNFINISHED, load_record
from convkit.tensors import load_weights
from convkit.training import snapshot
from convkit.training.solver import Solver

FILES = {
    "history.csv",
    "misclassified.npz",
    "resume.safetensors",
    "run.json",
    "weights.safetensors",
}


def make_solver():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 1, 4, 4)), rng.integers(3, size=20)
    data = {"X_train": X, "y_train": y, "X_val": X[:9], "y_val": y[:9]}
    model = ThreeLayerConvNet((1, 4, 4), 2, 3, 4, 3, weight_scale=0.1, rng=1)
    return Solver(model, data, batch_size=5, num_epochs=3, verbose=False, rng=0)


def test_the_folder_has_its_name_and_files_from_the_first_step_on(tmp_path: Path) -> None:
    seen = []
    solver = make_solver()
    record = run_record()
    record.stopped, record.settings = UNFINISHED, {"batch_size": 5}

    def look(progress):
        (run,) = tmp_path.iterdir()
        assert run.name == "a"
        assert {file.name for file in run.iterdir()} == FILES
        seen.append(snapshot.read(run / "resume.safetensors")["iteration"])
        loaded = load_record(run)
        assert (loaded.stopped, len(loaded.history.losses)) == (UNFINISHED, seen[-1])
        weights, metadata = load_weights(run / "weights.safetensors")
        assert "convkit.model" in metadata
        if seen[-1] == solver.iteration:
            for name, w in solver.best_params.items():
                np.testing.assert_array_equal(weights[name], w)

    solver.on_step = look
    with new_folder(tmp_path, "a", "x") as folder:
        solver.callbacks.all.append(Keeper(folder, record, Signals(), solver))
        solver.train()
    assert seen == [0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12]


def test_seconds_of_a_run_that_goes_on_add_up(tmp_path: Path) -> None:
    solver, record = make_solver(), run_record()
    record.seconds, record.settings = 1000.0, {"batch_size": 5}
    with new_folder(tmp_path, "a", "x") as folder:
        Keeper(folder, record, Signals(), solver).save()
    assert 1000 <= load_record(tmp_path / "a").seconds < 1100


def test_a_signal_waits_for_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solver, record, signals = make_solver(), run_record(), Signals()
    record.settings = {"batch_size": 5}
    save = Solver.save

    def signalled(self, path):
        signals.handle(15, None)
        save(self, path)

    monkeypatch.setattr(Solver, "save", signalled)
    with new_folder(tmp_path, "a", "x") as folder:
        with pytest.raises(KeyboardInterrupt):
            Keeper(folder, record, signals, solver).save()
        assert {file.name for file in folder.work.iterdir()} == FILES
    assert signals.status == 143
