"""The history of a run: one row per iteration, written as CSV and read back.

It records only; it prints, draws and decides nothing.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from convkit.errors import DataError
from convkit.files import write_text

__all__ = ["History", "Row"]


@dataclass(frozen=True)
class Row:
    """One iteration: its loss, and the accuracies where they were measured after it."""

    iteration: int
    epoch: int
    loss: float
    train_acc: float | None = None
    val_acc: float | None = None


COLUMNS = tuple(field.name for field in fields(Row))


class History:
    """The rows of a run, in order."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows = list(rows)

    @property
    def losses(self) -> list[float]:
        """The loss of every iteration."""
        return [row.loss for row in self.rows]

    @property
    def accuracy_iterations(self) -> list[int]:
        """The iterations after which the accuracies were measured."""
        return [row.iteration for row in self.rows if row.train_acc is not None]

    @property
    def train_accs(self) -> list[float]:
        """The training accuracies, one for each of ``accuracy_iterations``."""
        return [row.train_acc for row in self.rows if row.train_acc is not None]

    @property
    def val_accs(self) -> list[float]:
        """The validation accuracies, one for each of ``accuracy_iterations``.

        None is there where a run has no validation images.
        """
        return [row.val_acc for row in self.rows if row.val_acc is not None]

    @property
    def history(self) -> dict[str, list[float]]:
        """The run by epoch under Keras's names; val_accuracy is empty without validation images.

        ``loss`` is the mean over the epoch's iterations. The accuracies are those that were
        measured last in it. An epoch that was cut short counts as one.
        """
        epochs: dict[int, list[Row]] = {}
        for place, row in enumerate(self.rows):
            # The last row of an epoch already counts it as complete.
            ended = place > 0 and row.epoch > self.rows[place - 1].epoch
            epochs.setdefault(row.epoch - (ended or (not place and row.epoch > 0)), []).append(row)
        found: dict[str, list[float]] = {"loss": [], "accuracy": [], "val_accuracy": []}
        for rows in epochs.values():
            found["loss"].append(sum(row.loss for row in rows) / len(rows))
            for key, own in (("accuracy", "train_acc"), ("val_accuracy", "val_acc")):
                found[key] += [v for row in rows if (v := getattr(row, own)) is not None][-1:]
        return found

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows under a line of column names; a value not measured is an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(row) for row in self.rows)
        write_text(path, text.getvalue())

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> History:
        """Read what ``to_csv`` wrote, exact to the bit. Raises DataError for any other file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read as a history: {error}") from None
        header, *lines = csv.reader(io.StringIO(text)) if text else [[]]
        if tuple(header) != COLUMNS:
            raise DataError(
                f"{path}: the first line must be {','.join(COLUMNS)}, found {','.join(header)!r}"
            )
        return cls(_row(path, number, cells) for number, cells in enumerate(lines, 2))


def _row(path: str | os.PathLike[str], number: int, cells: list[str]) -> Row:
    try:
        iteration, epoch, loss, train_acc, val_acc = cells
        return Row(
            int(iteration),
            int(epoch),
            float(loss),
            float(train_acc) if train_acc else None,
            float(val_acc) if val_acc else None,
        )
    except ValueError:
        raise DataError(
            f"{path}: line {number} must hold {len(COLUMNS)} numbers, found {','.join(cells)!r}"
        ) from None
