"""A small run made by hand, for the tests of what draws and keeps runs."""

from __future__ import annotations

import numpy as np

from convkit.report.record import Mistakes, RunRecord
from convkit.training.history import History, Row


def run_record(*, steps: int = 40, classes: int = 10, wrong: int = 7) -> RunRecord:
    """A run with every part filled in; the same one every time."""
    rng = np.random.default_rng(0)
    history = History()
    for step in range(1, steps + 1):
        measured = step == 1 or step % 10 == 0
        history.rows.append(
            Row(
                iteration=step,
                epoch=step // 10,
                loss=float(2.3 * np.exp(-step / 15) + 0.1 * rng.random()),
                train_acc=step / (step + 5) if measured else None,
                val_acc=step / (step + 6) if measured else None,
            )
        )
    confusion = np.diag(rng.integers(30, 40, classes))
    labels = rng.integers(0, classes, wrong)
    guesses = (labels + 1) % classes
    np.add.at(confusion, (labels, guesses), 1)
    operations = ("conv forward", "conv backward", "pool forward", "pool backward")
    return RunRecord(
        name="digits-test",
        started="2026-05-04 12:00",
        seconds=12.3,
        stopped=None,
        backend="cython",
        settings={"data": "digits", "learning_rate": 1e-3, "threads": None, "seed": 0},
        data={
            "name": "digits",
            "shape": "1×8×8",
            "training": 1257,
            "validation": 180,
            "test": 360,
        },
        classes=[str(i) for i in range(classes)],
        results={
            "test_acc": float(np.trace(confusion) / confusion.sum()),
            "best_val_acc": 0.98,
            "images_per_second": 31234.5,
            "parameters": 12345,
        },
        confusion=confusion.tolist(),
        backends=[
            {
                "name": name,
                "state": "loaded",
                "version": "0.1.0",
                "dtypes": ["float32", "float64"],
                "distribution": "convkit-layers",
                "problem": "",
                "info": {},
            }
            for name in ("cython", "im2col_numpy", "naive")
        ],
        speedups=[
            {"backend": name, "operation": operation, "seconds": 0.1 / factor, "speedup": factor}
            for name, factor in (("cython", 471.0), ("im2col_numpy", 121.5), ("naive", 1.0))
            for operation in operations
        ],
        versions={"python": "3.11.7", "numpy": "2.4.6", "system": "Linux-6.1-x86_64"},
        history=history,
        weights={
            "W1": rng.standard_normal((32, 1, 5, 5)).astype(np.float32),
            "b1": np.zeros(32, np.float32),
        },
        mistakes=Mistakes(rng.random((wrong, 1, 8, 8)), labels, guesses),
    )
