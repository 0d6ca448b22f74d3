"""``convkit predict``: what is in these images?"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from convkit.commands._model import (
    backend_option,
    class_names,
    model_argument,
    open_model,
    prepared_by,
)
from convkit.commands._tables import text_table
from convkit.commands._types import COUNT
from convkit.names import printable


@click.command()
@model_argument
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", type=COUNT, default=1, show_default=True, help="So many classes per image.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backend_option
def predict(
    model: Path,
    images: tuple[Path, ...],
    top: int,
    as_csv: bool,
    as_json: bool,
    backend: str | None,
) -> None:
    """Print the most probable classes of image files.

    MODEL is a file that was saved, or the folder of a run of convkit train. Images of another size
    or mode are brought to that of the training images.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json do not go together; leave one out")
    network = open_model(model, backend)
    prepared_by(model, network)
    names = class_names(network)
    probabilities = network.predict_proba(list(images))
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    found = [
        (
            printable(str(image)),
            [(names[label], int(label), float(row[label])) for label in best],
        )
        for image, row, best in zip(images, probabilities, order, strict=True)
    ]
    if as_json:
        click.echo(json.dumps([_described(image, best) for image, best in found], indent=2))
    elif as_csv:
        _write_csv(found)
    else:
        click.echo(_table(found))


def _described(image: str, best: Sequence[tuple[str, int, float]]) -> dict[str, Any]:
    classes = [
        {"class": name, "label": label, "probability": probability}
        for name, label, probability in best
    ]
    return {"image": image, "classes": classes}


def _write_csv(found: Sequence[tuple[str, Sequence[tuple[str, int, float]]]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("image", "rank", "class", "label", "probability"))
    for image, best in found:
        for rank, (name, label, probability) in enumerate(best, 1):
            writer.writerow((image, rank, printable(name), label, f"{probability:.6g}"))


def _table(found: Sequence[tuple[str, Sequence[tuple[str, int, float]]]]) -> str:
    rows = [
        [image if rank == 0 else "", printable(name), f"{probability:.4f}"]
        for image, best in found
        for rank, (name, _, probability) in enumerate(best)
    ]
    return text_table(["image", "class", "probability"], rows, numbers=1)
