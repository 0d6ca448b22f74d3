"""The progress bar of a training run, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from convkit.optional import require
from convkit.training.solver import Progress

BAR = "{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


def on_terminal() -> bool:
    """Whether both output streams are terminals."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def postfix(progress: Progress) -> str:
    """Loss, accuracies once measured, and speed."""
    parts = [f"loss {progress.loss:.3f}"]
    if progress.train_acc is not None:
        parts.append(f"train {progress.train_acc:.1%}")
    if progress.val_acc is not None:
        parts.append(f"val {progress.val_acc:.1%}")
    parts.append(f"{progress.images_per_second:,.0f} images/s")
    return ", ".join(parts)


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Yield a function for ``Solver(on_step=…)`` that draws the bar with the remaining time."""
    tqdm: Any = require("tqdm", "the progress bar")
    bar = tqdm.tqdm(bar_format=BAR, dynamic_ncols=True, desc="training ")

    def step(progress: Progress) -> None:
        bar.total = progress.num_iterations
        current = min(progress.epoch + 1, progress.num_epochs)
        bar.set_description_str(f"epoch {current}/{progress.num_epochs} ", refresh=False)
        bar.set_postfix_str(postfix(progress), refresh=False)
        bar.update(progress.iteration - bar.n)

    with bar:
        yield step
