"""The argument MODEL of the commands that use a trained network."""

from __future__ import annotations

import json
from pathlib import Path

import click

from convkit.errors import DataError
from convkit.models import Sequential, load
from convkit.preprocessing import Preprocessing
from convkit.report.record import RUN_FILE

__all__ = [
    "backend_option",
    "class_names",
    "model_argument",
    "open_model",
    "prepared_by",
    "seed_of",
]

model_argument = click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
backend_option = click.option("--backend", help="Backend, or a comma list; otherwise the fastest.")


def open_model(path: Path, backend: str | None = None) -> Sequential:
    """Return the network of a file, or of the folder of a run."""
    network: Sequential = load(path, backend=backend)
    return network


def prepared_by(path: Path, network: Sequential) -> Preprocessing:
    """Return a network's preprocessing; DataError where its file has none."""
    if network.preprocessing is None:
        raise DataError(
            f"{path}: expected the preprocessing of the training images beside the network, found "
            "none: train it again, or set model.preprocessing and save it"
        )
    return network.preprocessing


def class_names(network: Sequential) -> list[str]:
    """Return a name for every label: its number where it has none."""
    numbers = [str(label) for label in range(network.output_dim[0])]
    named = list(network.class_names or ())
    return named + numbers[len(named) :]


def seed_of(path: Path) -> int:
    """Return the seed by which a run divided its data; 0 where a path is no run's folder."""
    try:
        seed = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))["settings"]["seed"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return seed if isinstance(seed, int) else 0
