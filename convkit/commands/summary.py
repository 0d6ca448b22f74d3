"""``convkit summary``: what is in the file of a network?"""

from __future__ import annotations

from pathlib import Path

import click

from convkit.commands._model import model_argument, open_model
from convkit.names import printable


@click.command()
@model_argument
def summary(model: Path) -> None:
    """Print a network's layers, its preprocessing and its classes.

    MODEL is a file that was saved, or the folder of a run of convkit train.
    """
    network = open_model(model)
    click.echo(f"{type(network).__name__}, {network.dtype}\n")
    click.echo(network.summary())
    click.echo(f"\npreprocessing: {network.preprocessing or 'none in the file'}")
    names = network.class_names
    listed = "no names in the file" if names is None else ", ".join(map(printable, names))
    click.echo(f"classes: {listed}")
