"""From a trained solver to the record of its run: the test, the results, the versions."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit.names import printable
from convkit.report.record import Mistakes, RunRecord
from convkit.training.data import Dataset, picture
from convkit.training.evaluation import confusion_matrix
from convkit.training.solver import Solver
from convkit.version import DISTRIBUTION

MOST_MISTAKES = 20
"""As many misclassified images are kept."""
PACKAGES = (
    DISTRIBUTION,
    "numpy",
    "pluggy",
    "click",
    "matplotlib",
    "scikit-learn",
    "safetensors",
)


def record_of(
    solver: Solver,
    data: Dataset,
    *,
    started: datetime,
    seconds: float,
    settings: dict[str, Any],
    backend: str,
    backends: Sequence[dict[str, Any]],
    speedups: Sequence[dict[str, Any]],
    metadata: dict[str, str],
) -> RunRecord:
    """Return everything that the report shows but a name and the results of the test.

    ``settings`` are the run's, with ``data`` and ``batch_size`` among them; see `RunRecord` for the
    others.
    """
    model: Any = solver.model
    classes = list(data["class_names"])
    return RunRecord(
        name="",
        started=f"{started:%Y-%m-%d %H:%M}",
        seconds=seconds,
        stopped=solver.stopped,
        backend=backend,
        settings=settings,
        data={
            "name": printable(settings["data"]),
            "shape": "×".join(map(str, data["X_train"].shape[1:])),
            **data_counts(data),
        },
        classes=classes,
        results=results_of(solver, settings["batch_size"], seconds),
        confusion=np.zeros((len(classes), len(classes)), np.int64).tolist(),
        backends=list(backends),
        speedups=list(speedups),
        versions=versions(),
        history=solver.history,
        weights=model.params | model.buffers,
        metadata=metadata,
    )


def results_of(solver: Solver, batch_size: int, seconds: float) -> dict[str, float]:
    """Return the numbers of a run so far, but for those of the test.

    There is no best validation accuracy without validation images.
    """
    model: Any = solver.model
    best = {"best_val_acc": float(solver.best_val_acc)} if len(solver.X_val) else {}
    return {
        **best,
        "images_per_second": solver.iteration * batch_size / max(seconds, 1e-9),
        "parameters": sum(value.size for value in model.params.values()),
    }


def add_test(record: RunRecord, data: Dataset, solver: Solver) -> None:
    """Test the trained network, and put the results into the record."""
    true = data["y_test"]
    # Where training diverged, the weights may be too large for what is computed with them.
    with np.errstate(over="ignore", invalid="ignore"):
        predicted = solver.predict(data["X_test"])
    wrong = some_mistakes(true, predicted)
    others = {name: value for name, value in record.results.items() if name != "test_acc"}
    record.results = {"test_acc": float(np.mean(true == predicted)), **others}
    record.confusion = confusion_matrix(true, predicted, len(record.classes)).tolist()
    record.mistakes = Mistakes(picture(data, data["X_test"][wrong]), true[wrong], predicted[wrong])


def some_mistakes(
    true: npt.NDArray[np.integer[Any]], predicted: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.intp]:
    """Return where labels differ, at most ``MOST_MISTAKES`` places, evenly spread over all.

    A folder's images are sorted by class, and the first mistakes would be those of one class.
    """
    wrong = np.flatnonzero(true != predicted)
    kept = np.linspace(0, len(wrong) - 1, min(len(wrong), MOST_MISTAKES)).astype(np.intp)
    return wrong[kept]


def data_counts(data: Dataset) -> dict[str, int]:
    """Return the number of images in each part of a data set."""
    return {
        "training": len(data["y_train"]),
        "validation": len(data["y_val"]),
        "test": len(data["y_test"]),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, the system and the packages that a run uses."""
    found = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
