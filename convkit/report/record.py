"""The record of a run, from which its report can be rendered again without training.

A run's folder holds ``run.json`` (everything below but the arrays), ``history.csv``,
``weights.safetensors`` and ``misclassified.npz``. Nothing is pickled. Beside them is
``resume.safetensors``, the state from which training goes on. Each file is whole at every moment.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import DataError
from convkit.files import write_bytes, write_text
from convkit.tensors import WEIGHTS_FILE, load_weights, save_weights
from convkit.training.history import History

Array: TypeAlias = npt.NDArray[np.floating[Any]]

RUN_FILE = "run.json"
HISTORY_FILE = "history.csv"
MISTAKES_FILE = "misclassified.npz"
RESUME_FILE = "resume.safetensors"

UNFINISHED = "unfinished"
"""``RunRecord.stopped`` of a run that is in progress, or was killed."""


@dataclass
class Mistakes:
    """Some misclassified test images (K, C, H, W), with both labels (K,)."""

    images: npt.NDArray[Any] = field(default_factory=lambda: np.empty((0, 1, 1, 1)))
    true: npt.NDArray[np.integer[Any]] = field(default_factory=lambda: np.empty(0, np.int64))
    predicted: npt.NDArray[np.integer[Any]] = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass
class RunRecord:
    """One run: its settings, its results and its environment.

    ``confusion[i][j]`` counts the test images of class i predicted as class j. ``speedups`` has one
    row per backend and operation: backend, operation, seconds, speedup (over naive). ``weights``
    are the model's arrays, and ``metadata`` strings that are written beside them.
    """

    name: str
    started: str
    seconds: float
    stopped: str | None
    backend: str
    settings: dict[str, Any]
    data: dict[str, Any]
    classes: list[str]
    results: dict[str, float]
    confusion: list[list[int]]
    backends: list[dict[str, Any]]
    speedups: list[dict[str, Any]]
    versions: dict[str, str]
    history: History = field(default_factory=History)
    weights: dict[str, Array] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    mistakes: Mistakes = field(default_factory=Mistakes)

    @property
    def confusion_array(self) -> npt.NDArray[np.integer[Any]]:
        """The confusion matrix as an array (classes, classes)."""
        size = len(self.classes)
        return np.asarray(self.confusion, dtype=np.int64).reshape(size, size)


_ELSEWHERE = ("history", "weights", "metadata", "mistakes")
"""Fields that are not in run.json but in files of their own."""


def save_record(record: RunRecord, folder: Path) -> None:
    """Write the record's four files into ``folder``."""
    save_plain(record, folder)
    save_learned(record.name, record.history, record.weights, folder, record.metadata)
    arrays = io.BytesIO()
    np.savez_compressed(arrays, **asdict(record.mistakes))
    write_bytes(folder / MISTAKES_FILE, arrays.getvalue())


def save_plain(record: RunRecord, folder: Path) -> None:
    """Write all of the record but its arrays and its history."""
    plain = {f.name: getattr(record, f.name) for f in fields(record) if f.name not in _ELSEWHERE}
    write_text(folder / RUN_FILE, json.dumps(plain, indent=2) + "\n")


def save_learned(
    name: str,
    history: History,
    weights: Mapping[str, Array],
    folder: Path,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write weights and history alone, before anything is derived from them."""
    history.to_csv(folder / HISTORY_FILE)
    save_weights(folder / WEIGHTS_FILE, weights, {**(metadata or {}), "run": name})


def load_record(folder: Path) -> RunRecord:
    """Read back what `save_record` wrote.

    Raises DataError where a file is missing or is not what was written.
    """
    if not (folder / RUN_FILE).is_file():
        raise DataError(f"RUN (={str(folder)!r}) must be a run's folder, with a {RUN_FILE} in it")
    plain = _load_plain(folder / RUN_FILE)
    weights, metadata = load_weights(folder / WEIGHTS_FILE)
    metadata.pop("run", None)
    return RunRecord(
        **plain,
        history=History.from_csv(folder / HISTORY_FILE),
        weights=weights,
        metadata=metadata,
        mistakes=_load_mistakes(folder / MISTAKES_FILE),
    )


def _load_plain(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} must be the JSON that a run wrote: {error}") from error
    expected = {f.name for f in fields(RunRecord)} - set(_ELSEWHERE)
    if not isinstance(plain, dict) or set(plain) != expected:
        odd = sorted(set(plain) ^ expected) if isinstance(plain, dict) else [type(plain).__name__]
        raise DataError(f"{path} is not a run's: its keys differ in {', '.join(odd)}")
    return plain


def _load_mistakes(path: Path) -> Mistakes:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Mistakes(arrays["images"], arrays["true"], arrays["predicted"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"{path} must be the arrays that a run wrote: {error}") from error
