"""``convkit sweep``: one training per value of one option or several, and a page of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from convkit.commands._build import choose_backend, limit_threads, load, make_solver, settings_of
from convkit.commands._options import TrainOptions, check_together, flag, training_options
from convkit.commands._progress import on_terminal, progress_bar
from convkit.commands._signals import stopping
from convkit.errors import ParameterError
from convkit.models import archive
from convkit.report.folders import NewFolder, check_free, new_folder
from convkit.report.sweeps import PAGE_FILE, draw_sweep, save_best, write_tables
from convkit.tensors import WEIGHTS_FILE
from convkit.training.solver import Solver
from convkit.training.sweeps import SWEEPS, Range, SweepResult, combinations, trained

_FIXED = {"threads", "print_every"}
"""Numbers that change nothing of what is learned."""
_OF_DATA = {"num_train", "valid"}
"""Options of the data, which is read anew for each value of them."""
_NUMBERS = inspect.get_annotations(TrainOptions)
CHOICES = sorted(
    flag(name)[2:]
    for name, kind in _NUMBERS.items()
    if (name not in _FIXED and ("int" in kind or "float" in kind))
    or name in (*SWEEPS, "schedule", "sampling", "batch_norm")
)


@click.command()
@click.option(
    "--over",
    type=click.Choice(CHOICES),
    required=True,
    multiple=True,
    metavar="OPTION",
    help="The option to vary; several for all combinations of their values.",
)
@click.option(
    "--values",
    multiple=True,
    metavar="A,B,…|LOW..HIGH",
    help="What it takes, one --values for each --over; LOW..HIGH goes with --random. "
    "learning-rate, reg and update-rule have values of their own.",
)
@click.option(
    "--random",
    "count",
    type=click.IntRange(min=1),
    help="Draw so many combinations at random instead of taking all.",
)
@training_options
def sweep(
    options: TrainOptions, over: tuple[str, ...], values: tuple[str, ...], count: int | None
) -> int:
    """Train once per value of an option, and write a page with one curve per value.

    All other options, the seed among them, are the same in each training. The folder gets the
    weights of the best one. Ctrl-C and SIGTERM end the sweep early and keep the trainings that were
    done.
    """
    parameters = [name.replace("-", "_") for name in over]
    given = _axes(options, parameters, values)
    try:
        settings = combinations(given, count, options.seed)
    except ParameterError as error:
        raise click.UsageError(str(error)) from None
    varied = [_with(options, value) for value in settings]
    for one in varied:
        check_together(one)
        settings_of(one)  # what does not fit is refused before the first training
    if any(one.valid == 0 for one in varied):
        raise click.UsageError("--valid 0 leaves no validation images to tell the trainings apart")
    check_free(options.out, options.name)
    data = load(options)
    backend = choose_backend(settings_of(options), data)
    chosen = [value if len(parameters) > 1 else value[parameters[0]] for value in settings]

    def build(value: Any) -> Solver:
        own = _with(options, value if isinstance(value, Mapping) else {parameters[0]: value})
        images = load(own) if _OF_DATA & set(parameters) else data
        return make_solver(settings_of(own), images, verbose=False)

    stem = f"sweep-{'-'.join(over)}-{Path(options.data).stem}"
    threads = limit_threads(settings_of(options), backend)
    with new_folder(options.out, options.name, stem) as target, stopping() as signals, threads:
        found = _Sweep(target, over, parameters, len(chosen))
        status = 0
        try:
            found.run(build, chosen)
        except KeyboardInterrupt:
            status = signals.status
            if not found.results:
                raise click.exceptions.Exit(status) from None  # which leaves no folder
            done = len(found.results)
            click.echo(f"\nInterrupted: keeping the {done} trainings that were done.")
        for problem in draw_sweep(target.work, _names(parameters), found.results):
            click.echo(f"A picture could not be drawn: {problem}", err=True)
        best = save_best(target.work, found.results)
    if best is not None:
        click.echo(f"Best: {found.name(best)}, kept in {target.final / WEIGHTS_FILE}")
    click.echo(f"Page: {target.final / PAGE_FILE}")
    return status


class _Sweep:
    """The trainings so far, and what is said and written of them."""

    def __init__(
        self, target: NewFolder, over: Sequence[str], parameters: Sequence[str], count: int
    ) -> None:
        self.target, self.over, self.count = target, over, count
        self.parameters = _names(parameters)
        self.results: list[SweepResult] = []

    def run(self, build: Any, values: Sequence[Any]) -> None:
        """Train once per value; after each one the folder holds all there is so far."""
        for result in self._trainings(build, values):
            self.results.append(result)
            write_tables(self.target.work, self.parameters, self.results)
            save_best(self.target.work, self.results)
            self.target.worth_keeping = True
            self.target.publish()
            click.echo(self._line(result))

    def _trainings(self, build: Any, values: Sequence[Any]) -> Iterator[SweepResult]:
        for number, value in enumerate(values, 1):
            with ExitStack() as stack:
                solver = build(value)
                if on_terminal():
                    what = f"{number}/{self.count} "
                    solver.on_step = stack.enter_context(progress_bar(what))
                model: Any = solver.model
                yield replace(trained(solver, value), metadata=archive.metadata(model))

    def name(self, result: SweepResult) -> str:
        """Return what was varied, with the value."""
        return result.label if len(self.over) > 1 else f"{self.over[0]} {result.label}"

    def _line(self, result: SweepResult) -> str:
        note = f" ({result.stopped})" if result.stopped else ""
        return (
            f"{self.name(result)}: best val_acc {result.best_val_acc:.4f} "
            f"in {result.seconds:.1f} s{note}, {len(self.results)} of {self.count}"
        )


def _names(parameters: Sequence[str]) -> str | list[str]:
    return parameters[0] if len(parameters) == 1 else list(parameters)


def _with(options: TrainOptions, values: Mapping[str, Any]) -> TrainOptions:
    return replace(options, **values)


def _axes(
    options: TrainOptions, parameters: Sequence[str], texts: Sequence[str]
) -> dict[str, Sequence[Any] | Range]:
    """The values of every option that is varied, checked as on the command line."""
    if len(set(parameters)) < len(parameters):
        raise click.UsageError("each --over must name another option")
    if len(texts) > len(parameters):
        raise click.UsageError("there must be one --over for each --values")
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    axes: dict[str, Sequence[Any] | Range] = {}
    for place, name in enumerate(parameters):
        if context.get_parameter_source(name) is source:
            raise click.UsageError(f"{flag(name)} is what the sweep varies; leave it out")
        if place < len(texts):
            axes[name] = _values(context, name, texts[place])
        elif name in SWEEPS:
            axes[name] = SWEEPS[name]
        else:
            raise click.UsageError(f"--over {flag(name)[2:]} needs --values")
    return axes


def _values(context: click.Context, name: str, text: str) -> Sequence[Any] | Range:
    """The values of one option: a list, or a range to draw from."""
    option = next(param for param in context.command.params if param.name == name)
    low, dots, high = text.partition("..")
    if dots:
        ends = [option.type.convert(end, option, context) for end in (low, high)]
        if not all(isinstance(end, (int, float)) for end in ends):
            raise click.UsageError(f"--values {text} must be of numbers for {flag(name)}")
        try:
            return Range(float(ends[0]), float(ends[1]), integer=isinstance(ends[0], int))
        except ParameterError as error:
            raise click.UsageError(f"--values {text}: {error}") from None
    found = [option.type.convert(word.strip(), option, context) for word in text.split(",")]
    if len(set(found)) < len(found):
        raise click.UsageError(f"--values {text} must hold each value once")
    return found
