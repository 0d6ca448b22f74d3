"""A run's folder while the run goes on: what is written into it, and when."""

from __future__ import annotations

import time
from typing import Any

from convkit.commands._signals import Signals
from convkit.models import archive
from convkit.report.evaluation import results_of
from convkit.report.folders import NewFolder
from convkit.report.record import (
    MISTAKES_FILE,
    RESUME_FILE,
    RunRecord,
    save_learned,
    save_plain,
    save_record,
)
from convkit.training.callbacks import Callback
from convkit.training.protocol import Progress
from convkit.training.solver import Solver

__all__ = ["Keeper"]


class Keeper(Callback):
    """Writes the run into its folder before the first step, after every epoch, and at the end.

    Every file is replaced in one step, so that each is whole at every moment, and
    ``resume.safetensors`` is all that is needed to go on.
    """

    def __init__(
        self, folder: NewFolder, record: RunRecord, signals: Signals, solver: Solver
    ) -> None:
        self.folder, self.record, self.signals, self.solver = folder, record, signals, solver
        self.steps = 0
        self._before = record.seconds
        self._start = time.perf_counter()

    def on_train_begin(self, progress: Progress) -> None:
        """Give the folder its name, with the files of a run that has learned nothing yet."""
        self._start = time.perf_counter()
        self.save()
        self.folder.publish()

    def on_step_end(self, progress: Progress) -> None:
        """Count the iterations of this process."""
        self.steps += 1

    def on_epoch_end(self, progress: Progress) -> None:
        """Keep what was learned."""
        self.save()

    def save(self) -> None:
        """Write the state, the best weights, the history and the record."""
        solver, work = self.solver, self.folder.work
        model: Any = solver.model
        record = self.record
        record.seconds = self._before + time.perf_counter() - self._start
        record.history = solver.history
        record.weights = solver.best_params | solver.best_buffers
        record.metadata = archive.metadata(model)
        kept = {k: v for k, v in record.results.items() if k == "test_acc"}
        batch_size = record.settings["batch_size"]
        record.results = kept | results_of(solver, batch_size, record.seconds)
        with self.signals.held():
            solver.save(work / RESUME_FILE)
            if not (work / MISTAKES_FILE).exists():
                save_record(record, work)
                return
            save_learned(record.name, record.history, record.weights, work, record.metadata)
            save_plain(record, work)
