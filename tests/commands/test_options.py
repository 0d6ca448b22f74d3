"""The options of every training command: which values they take, and what goes together."""

from __future__ import annotations

import dataclasses

import click
import pytest
from click.testing import CliRunner

from convkit.commands._options import RULE_OPTIONS, TrainOptions, given_options, training_options
from convkit.training.optim import DEFAULTS


@click.command()
@training_options
def command(options):
    command.given, command.names = options, given_options()


def run(*line):
    command.given = None
    done = CliRunner().invoke(command, line)
    return done.exit_code, done.output.splitlines()[-1] if done.output else "", command.given


def test_every_option_is_a_field_and_what_is_not_given_is_none():
    status, _, options = run()
    assert status == 0
    assert {param.name for param in command.params} == {
        f.name for f in dataclasses.fields(TrainOptions)
    }
    given = {name for name, value in dataclasses.asdict(options).items() if value is not None}
    assert given == {"data", "model", "dtype", "seed", "out"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--iterations", "3", "--epochs", "2"], "--iterations and --epochs do not go together"),
        (["--data-dir", "x"], "--data-dir goes with --data cifar10, not with --data digits"),
        (["--epochs", "0"], "0 is not in the range x>=1"),
        (["--learning-rate", "0"], "0 must be more than 0"),
        (["--learning-rate", "nan"], "'nan' is not finite"),
        (["--reg", "-1"], "-1 must be at least 0"),
        (["--momentum", "1"], "1 must be less than 1"),
        (["--momentum", "x"], "'x' is not a number"),
        (["--name", "a/b"], "'a/b' must be"),
        (["--seed", "-1"], "-1 is not in the range x>=0"),
        (["--model", "huge"], "'huge' is not one of"),
        (["--augment", "turn"], "augment (='turn') must be one of flip, shift, crop, cutout"),
        (["--class-weights", "1,x"], "'x' is not a number"),
        (["--class-weights", "1,-1"], "-1 must be at least 0"),
        (["--valid", "-1"], "-1 is not in the range x>=0"),
        (["--dropout", "1"], "1 must be less than 1"),
        (["--lr-decay", "0.9", "--schedule", "step"], "--lr-decay and --schedule do not go togeth"),
        (["--warm-up", "9"], "--warm-up needs --schedule, such as constant, or leave it out"),
        (
            ["--schedule", "one-cycle", "--momentum", "0.5"],
            "--momentum is moved by --schedule one-cycle; leave one out",
        ),
        (["--valid", "0", "--early-stop", "3"], "--early-stop needs validation images, and --val"),
        (["--valid", "0", "--num-val-samples", "3"], "--num-val-samples needs validation images"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_one_line(line, message):
    status, said, options = run(*line)
    assert (status, options) == (2, None)
    assert message in said


def test_limits_that_are_taken():
    assert run("--reg", "0")[2].reg == 0
    assert run("--momentum", "0")[2].momentum == 0
    assert run("--learning-rate", "1e-300")[2].learning_rate == 1e-300
    assert run("--data", "cifar10", "--data-dir", "x")[2].data_dir.name == "x"


def test_every_setting_of_an_update_rule_has_an_option():
    settings = {name for defaults in DEFAULTS.values() for name in defaults} - {"learning_rate"}
    assert settings == set(RULE_OPTIONS)


def test_what_stands_on_the_command_line_is_told_from_defaults():
    run("--data", "digits", "--no-batch-norm")
    assert command.names == {"data", "batch_norm"}
    assert run("--batch-norm")[2].batch_norm is True
