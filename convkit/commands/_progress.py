"""The progress bar of a training run, on a terminal only."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from convkit.optional import require
from convkit.training.solver import Progress

BAR = "{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"

LEAST_BAR = 12
"""Cells of the bar: fewer show no progress."""


def on_terminal() -> bool:
    """Whether both output streams are terminals."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def postfix(progress: Progress, room: int | None = None) -> str:
    """Loss, accuracies once measured, and speed; in ``room`` characters, the most telling ones."""
    parts = {"loss": f"loss {progress.loss:.3f}"}
    if progress.train_acc is not None:
        parts["train"] = f"train {progress.train_acc:.1%}"
    if progress.val_acc is not None:
        parts["val"] = f"val {progress.val_acc:.1%}"
    parts["speed"] = f"{progress.images_per_second:,.0f} images/s"
    for least in ("train", "speed", "val"):
        if room is None or len(", ".join(parts.values())) <= room:
            break
        parts.pop(least, None)
    return ", ".join(parts.values())


@contextmanager
def progress_bar(what: str = "") -> Iterator[Callable[[Progress], None]]:
    """Yield a function for ``Solver(on_step=…)`` that draws the bar with the remaining time.

    ``what`` stands before it. The bar itself has at least ``LEAST_BAR`` cells where the line holds
    the rest.
    """
    tqdm: Any = require("tqdm", "the progress bar")
    bar = tqdm.tqdm(bar_format=BAR, dynamic_ncols=True, desc="training ")

    def step(progress: Progress) -> None:
        bar.total = progress.num_iterations
        current = min(progress.epoch + 1, progress.num_epochs)
        start = f"{what}epoch {current}/{progress.num_epochs} "
        bar.set_description_str(start, refresh=False)
        digits = len(str(progress.num_iterations))
        others = len(start) + 2 * digits + len("100%|| / [00:00<00:00, ]")
        columns = shutil.get_terminal_size().columns
        bar.set_postfix_str(postfix(progress, columns - others - LEAST_BAR), refresh=False)
        bar.update(progress.iteration - bar.n)

    with bar:
        yield step
