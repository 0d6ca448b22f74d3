"""The options that every training command takes, defined once.

An option that is not given is None here and gets the data set's preset later, so that
``convkit train --help`` needs no data and a preset can differ from one data set to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from convkit.commands._folder import FOLDER_OPTIONS, FolderChoices
from convkit.commands._types import (
    COUNT,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    Augmentations,
    ClassWeights,
    FolderName,
)
from convkit.models import MODELS
from convkit.training.augment import AUGMENTATIONS
from convkit.training.data import DATASETS
from convkit.training.optim import DEFAULTS, UPDATE_RULES
from convkit.training.sampling import SAMPLERS
from convkit.training.schedules import SCHEDULES


@dataclass(frozen=True)
class TrainOptions(FolderChoices):
    """The options as given; None where the preset decides, or what is not chosen is left out."""

    data: str
    data_dir: Path | None
    backend: str | None
    threads: int | None
    model: str
    num_filters: int | None
    filter_size: int | None
    hidden_dim: int | None
    weight_scale: float | None
    depth: int | None
    batch_norm: bool | None
    dropout: float | None
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
    weight_decay: float | None
    clip_norm: float | None
    schedule: str | None
    warm_up: int | None
    sampling: str | None
    augment: str | None
    label_smoothing: float | None
    class_weights: str | None
    early_stop: int | None
    valid: int | None
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
    click.option(
        "--depth",
        type=COUNT,
        help="Convolutions of deep, hidden layers of fc, layers of resnet (8, 14, 20, …).",
    ),
    click.option(
        "--batch-norm/--no-batch-norm",
        default=None,
        help="Of deep and fc: normalise before each relu.",
    ),
    click.option(
        "--dropout", type=FRACTION, help="Of deep and fc: the share of hidden units left out."
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
    click.option("--momentum", type=FRACTION, help="Of sgd_momentum and nesterov."),
    click.option("--decay-rate", type=FRACTION, help="Of rmsprop."),
    click.option("--beta1", type=FRACTION, help="Of adam and adamw: decay of the mean."),
    click.option("--beta2", type=FRACTION, help="Of adam and adamw: of the mean square."),
    click.option("--epsilon", type=POSITIVE, help="Keeps divisors from 0."),
    click.option(
        "--weight-decay",
        type=NOT_NEGATIVE,
        help="On every parameter; in adamw apart from the gradient.",
    ),
    click.option("--clip-norm", type=POSITIVE, help="The largest norm of all gradients together."),
    click.option(
        "--schedule",
        type=click.Choice([name.replace("_", "-") for name in SCHEDULES]),
        help="How the learning rate moves over the run, in place of --lr-decay.",
    ),
    click.option(
        "--warm-up", type=click.IntRange(min=0), help="Iterations in which --schedule rises."
    ),
    click.option(
        "--sampling", type=click.Choice(list(SAMPLERS)), help="How mini-batches are drawn."
    ),
    click.option(
        "--augment",
        type=Augmentations(),
        help=f"Random changes of each batch, as 'flip,shift=4': {', '.join(AUGMENTATIONS)}.",
    ),
    click.option(
        "--label-smoothing", type=FRACTION, help="The share of the target that all classes divide."
    ),
    click.option(
        "--class-weights", type=ClassWeights(), help="'balanced', or a number for each class: 1,2.5"
    ),
    click.option(
        "--early-stop", type=COUNT, help="Stop after so many epochs without a better validation."
    ),
    click.option(
        "--valid",
        type=click.IntRange(min=0),
        help="Use so many validation images; the others are trained on (0: all).",
    ),
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
        check_together(options)
        return command(options=options, **values)

    for option in reversed(_OPTIONS):
        bundled = option(bundled)
    return bundled


def given_options() -> frozenset[str]:
    """Return which of the training options are on the command line that is being run."""
    context = click.get_current_context()
    line = click.core.ParameterSource.COMMANDLINE
    names = [f.name for f in fields(TrainOptions)]
    return frozenset(name for name in names if context.get_parameter_source(name) is line)


def check_together(options: TrainOptions) -> None:
    """Raise click.UsageError for options that do not go together."""
    given = {f.name for f in fields(options) if getattr(options, f.name) is not None}
    for one, other in _APART:
        if {one, other} <= given:
            raise click.UsageError(
                f"{flag(one)} and {flag(other)} do not go together; leave one out"
            )
    if options.data_dir is not None and options.data != "cifar10":
        raise click.UsageError(
            f"--data-dir goes with --data cifar10, not with --data {options.data}; leave it out"
        )
    if options.warm_up is not None and options.schedule is None:
        raise click.UsageError("--warm-up needs --schedule, such as constant, or leave it out")
    moved = {"momentum", "beta1"} & given if options.schedule == "one-cycle" else ()
    for name in sorted(moved):
        raise click.UsageError(f"{flag(name)} is moved by --schedule one-cycle; leave one out")
    unused = {"early_stop", "num_val_samples"} & given if options.valid == 0 else ()
    for name in sorted(unused):
        raise click.UsageError(f"{flag(name)} needs validation images, and --valid 0 leaves none")


_APART = (("iterations", "epochs"), ("lr_decay", "schedule"))


def flag(name: str) -> str:
    """Return an option as it is written on the command line."""
    return "--" + name.replace("_", "-")


RULE_OPTIONS = ("momentum", "decay_rate", "beta1", "beta2", "epsilon", "weight_decay")


def rule_config(options: TrainOptions, rule: str) -> dict[str, float]:
    """The given options of the update rule.

    Raises click.UsageError where one is given that the rule does not have.
    """
    given = {key: getattr(options, key) for key in RULE_OPTIONS}
    config = {key: value for key, value in given.items() if value is not None}
    for key in config:
        if key not in DEFAULTS[rule]:
            known = ", ".join(map(flag, DEFAULTS[rule]))
            raise click.UsageError(
                f"{flag(key)} is no option of the update rule {rule!r}, which has {known}"
            )
    return config
