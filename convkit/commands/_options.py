"""The options that every training command takes, defined once.

An option that is not given is None here and gets the data set's preset later, so that
``convkit train --help`` needs no data and a preset can differ from one data set to the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from convkit.commands._folder import FOLDER_OPTIONS, FolderChoices
from convkit.errors import ParameterError
from convkit.files import check_destination
from convkit.models import MODELS
from convkit.report.folders import FOLDER_NAME_RULE, is_folder_name
from convkit.training.data import DATASETS
from convkit.training.optim import DEFAULTS, UPDATE_RULES


class FiniteFloat(click.ParamType[float]):
    """A finite number of at least ``low`` (more than it with ``open_low``), less than ``high``."""

    name = "number"

    def __init__(
        self, low: float | None = None, high: float | None = None, *, open_low: bool = False
    ) -> None:
        self.low, self.high, self.open_low = low, high, open_low

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not finite", param, ctx)
        if self.low is not None and (number < self.low or (self.open_low and number == self.low)):
            word = "more than" if self.open_low else "at least"
            self.fail(f"{value} must be {word} {self.low:g}", param, ctx)
        if self.high is not None and number >= self.high:
            self.fail(f"{value} must be less than {self.high:g}", param, ctx)
        return number


class FolderName(click.ParamType[str]):
    """A name that a run's folder may have."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_folder_name(value):
            self.fail(f"{value!r} must be {FOLDER_NAME_RULE}", param, ctx)
        return str(value)


def check_writable(option: str, path: Path | None) -> None:
    """Refuse a file that could not be written at the end, before anything is computed for it."""
    if path is None:
        return
    try:
        check_destination(option, path)
    except ParameterError as error:
        raise click.UsageError(str(error)) from error


COUNT = click.IntRange(min=1)
POSITIVE = FiniteFloat(0, open_low=True)
NOT_NEGATIVE = FiniteFloat(0)
FRACTION = FiniteFloat(0, 1)


@dataclass(frozen=True)
class TrainOptions(FolderChoices):
    """The options as given; None where the preset decides."""

    data: str
    data_dir: Path | None
    backend: str | None
    threads: int | None
    model: str
    num_filters: int | None
    filter_size: int | None
    hidden_dim: int | None
    weight_scale: float | None
    reg: float | None
    dtype: str
    epochs: int | None
    iterations: int | None
    batch_size: int | None
    update_rule: str | None
    learning_rate: float | None
    lr_decay: float | None
    momentum: float | None
    decay_rate: float | None
    beta1: float | None
    beta2: float | None
    epsilon: float | None
    num_train: int | None
    num_train_samples: int | None
    num_val_samples: int | None
    print_every: int | None
    seed: int
    out: Path
    name: str | None


_OPTIONS = [
    click.option(
        "--data",
        default="digits",
        show_default=True,
        metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, an .npz file, or a folder with a folder of images per class.",
    ),
    click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        help="The folder of cifar10's files or archive; otherwise it is downloaded.",
    ),
    *FOLDER_OPTIONS,
    click.option("--backend", help="Backend, or a comma list of them; otherwise the fastest."),
    click.option("--threads", type=COUNT, help="Threads of the backend."),
    click.option(
        "--model",
        type=click.Choice(list(MODELS)),
        default="three_layer",
        show_default=True,
        help="The network; every one but three_layer gets standardised images.",
    ),
    click.option("--num-filters", type=COUNT, help="Filters of the (first) convolution."),
    click.option("--filter-size", type=COUNT, help="Height and width of a filter, in pixels."),
    click.option("--hidden-dim", type=COUNT, help="Units of the hidden layer."),
    click.option(
        "--weight-scale", type=NOT_NEGATIVE, help="Standard deviation of the first weights."
    ),
    click.option("--reg", type=NOT_NEGATIVE, help="L2 regularisation strength."),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "float64"]),
        default="float32",
        show_default=True,
        help="Of all arrays.",
    ),
    click.option("--epochs", type=COUNT, help="Times through the training images."),
    click.option("--iterations", type=COUNT, help="Mini-batches in all, instead of --epochs."),
    click.option("--batch-size", type=COUNT, help="Images per mini-batch."),
    click.option(
        "--update-rule", type=click.Choice(list(UPDATE_RULES)), help="How a step is taken."
    ),
    click.option("--learning-rate", type=POSITIVE, help="Size of a step."),
    click.option("--lr-decay", type=POSITIVE, help="Factor on the learning rate after each epoch."),
    click.option("--momentum", type=FRACTION, help="Of sgd_momentum."),
    click.option("--decay-rate", type=FRACTION, help="Of rmsprop."),
    click.option("--beta1", type=FRACTION, help="Of adam: decay of the mean."),
    click.option("--beta2", type=FRACTION, help="Of adam: decay of the mean square."),
    click.option("--epsilon", type=POSITIVE, help="Of rmsprop and adam: keeps divisors from 0."),
    click.option("--num-train", type=COUNT, help="Use the first so many training images only."),
    click.option("--num-train-samples", type=COUNT, help="Images of each training accuracy."),
    click.option("--num-val-samples", type=COUNT, help="Images of each validation accuracy."),
    click.option("--print-every", type=COUNT, help="Iterations between two lines of output."),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of everything that is random: the same one gives the same run to the bit.",
    ),
    click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("runs"),
        show_default=True,
        help="The folder that gets a new folder with what was learned.",
    ),
    click.option(
        "--name",
        type=FolderName(),
        help="The new folder's name; otherwise data set, date and time.",
    ),
]


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every training option, bundled as its argument ``options``.

    Options that do not go together are a click.UsageError.
    """
    names = [f.name for f in fields(TrainOptions)]

    @wraps(command)
    def bundled(**values: Any) -> Any:
        options = TrainOptions(**{name: values.pop(name) for name in names})
        if options.iterations is not None and options.epochs is not None:
            raise click.UsageError("--iterations and --epochs do not go together; leave one out")
        if options.data_dir is not None and options.data != "cifar10":
            raise click.UsageError(
                f"--data-dir goes with --data cifar10, not with --data {options.data}; leave it out"
            )
        return command(options=options, **values)

    for option in reversed(_OPTIONS):
        bundled = option(bundled)
    return bundled


RULE_OPTIONS = ("momentum", "decay_rate", "beta1", "beta2", "epsilon")


def rule_config(options: TrainOptions, rule: str) -> dict[str, float]:
    """The given options of the update rule.

    Raises click.UsageError where one is given that the rule does not have.
    """
    given = {key: getattr(options, key) for key in RULE_OPTIONS}
    config = {key: value for key, value in given.items() if value is not None}
    for key in config:
        if key not in DEFAULTS[rule]:
            known = ", ".join("--" + name.replace("_", "-") for name in DEFAULTS[rule])
            raise click.UsageError(
                f"--{key.replace('_', '-')} is no option of the update rule {rule!r}, "
                f"which has {known}"
            )
    return config
