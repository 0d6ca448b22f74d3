"""``convkit sweep``: one training per value of a hyper-parameter, and one plot of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from convkit.commands._build import choose_backend, limit_threads, load, make_solver, settings_of
from convkit.commands._options import TrainOptions, training_options
from convkit.report.folders import check_free, new_folder
from convkit.report.sweeps import draw_sweep, write_tables
from convkit.training.sweeps import SWEEPS, SweepResult, run_sweep

CHOICES = [name.replace("_", "-") for name in SWEEPS]


@click.command()
@click.option("--over", type=click.Choice(CHOICES), required=True, help="What to vary.")
@training_options
def sweep(options: TrainOptions, over: str) -> None:
    """Train once per value of a hyper-parameter and plot one curve per value.

    All other hyper-parameters, the seed among them, are the same in each training. Ctrl-C ends the
    sweep early and keeps the trainings that were done.
    """
    parameter = over.replace("-", "_")
    if getattr(options, parameter) is not None:
        raise click.UsageError(f"--{over} is what the sweep varies; leave it out")
    check_free(options.out, options.name)
    data = load(options)
    backend = choose_backend(settings_of(options), data)

    def build(**value: Any) -> Any:
        settings = settings_of(replace(options, **value))
        return make_solver(settings, data, verbose=False)

    stem = f"sweep-{over}-{Path(options.data).stem}"
    with (
        new_folder(options.out, options.name, stem) as target,
        limit_threads(settings_of(options), backend),
    ):
        results = _results(over, run_sweep(parameter, build))
        write_tables(target.work, parameter, results)
        target.worth_keeping = True
        draw_sweep(target.work, parameter, results)
    click.echo(f"Plots: {target.final / 'loss.png'} and {target.final / 'accuracy.png'}")


def _results(over: str, trainings: Iterator[SweepResult]) -> list[SweepResult]:
    """Every result, with a line for each once it is known; after an interruption, those so far."""
    results: list[SweepResult] = []
    try:
        for result in trainings:
            results.append(result)
            click.echo(_line(over, result))
    except KeyboardInterrupt:
        if not results:
            raise
        click.echo(f"\nInterrupted: keeping the {len(results)} trainings that were done.")
    return results


def _line(over: str, result: SweepResult) -> str:
    note = f" ({result.stopped})" if result.stopped else ""
    return (
        f"{over} {result.label}: best val_acc {result.best_val_acc:.4f} "
        f"in {result.seconds:.1f} s{note}"
    )
