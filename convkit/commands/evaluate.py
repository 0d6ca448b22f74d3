"""``convkit evaluate``: how good is a trained network on these images?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from convkit.commands._folder import skip_bad_option
from convkit.commands._model import (
    backend_option,
    class_names,
    model_argument,
    open_model,
    prepared_by,
    seed_of,
)
from convkit.commands._tables import text_table
from convkit.commands._types import COUNT, FolderName
from convkit.errors import DataError
from convkit.models import Sequential
from convkit.names import printable
from convkit.report.evaluated import Evaluation, evaluation_of, write_evaluation
from convkit.report.folders import check_free, new_folder
from convkit.report.page import REPORT_FILE
from convkit.report.rendering import engine
from convkit.training.data import DATASETS, FolderOptions, Raw, read_data

PARTS = ("test", "val", "train", "all")
MOST_CLASSES = 12
"""A matrix of more classes does not fit on a terminal's line."""
MOST_CONFUSED = 5


@click.command()
@model_argument
@click.option(
    "--data",
    required=True,
    metavar="NAME|PATH",
    help=f"{', '.join(DATASETS)}, an .npz file, or a folder with a folder of images per class.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="The folder of cifar10's files or archive; otherwise it is downloaded.",
)
@click.option(
    "--part",
    type=click.Choice(PARTS),
    default="test",
    show_default=True,
    help="The part that is evaluated; all: every image, for data that were not trained on.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Divides data without parts, as in training; otherwise the run's, or 0.",
)
@skip_bad_option
@click.option("--batch-size", type=COUNT, default=100, show_default=True, help="Images at a time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--report/--no-report", default=True, show_default=True, help="Write a report.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder that gets a new folder with the report.",
)
@click.option("--name", type=FolderName(), help="The new folder's name; otherwise data and time.")
@backend_option
def evaluate(
    model: Path,
    data: str,
    data_dir: Path | None,
    part: str,
    seed: int | None,
    skip_bad: bool | None,
    batch_size: int,
    as_json: bool,
    report: bool,
    out: Path,
    name: str | None,
    backend: str | None,
) -> None:
    """Print accuracy and confusions of a trained network, and write a report of them.

    MODEL is a file that was saved, or the folder of a run of convkit train. Classes are matched by
    their names.
    """
    if report:
        check_free(out, name)
        engine()
    network = open_model(model, backend)
    preprocessing = prepared_by(model, network)
    seed = seed_of(model) if seed is None else seed
    raw = read_data(data, data_dir, preprocessing, FolderOptions(skip_bad=bool(skip_bad)))
    if raw.white != preprocessing.white:
        raise DataError(
            f"data {printable(data)!r}: expected values on the scale of the training data, where "
            f"white is {preprocessing.white:g}, found white at {raw.white:g}"
        )
    images, labels = raw.whole() if part == "all" else raw.divided(seed).parts[part]
    evaluation = evaluation_of(
        _renumbered(labels, raw, network),
        network.predict(images, batch_size=batch_size),
        images,
        white=raw.white,
        classes=class_names(network),
        settings={"model": printable(str(model)), "data": printable(data), "part": part}
        | ({} if part == "all" else {"seed": seed}),
    )
    click.echo(json.dumps(evaluation.plain(), indent=2) if as_json else _described(evaluation))
    if not report:
        return
    with new_folder(out, name, f"evaluation-{Path(data).stem}") as folder:
        evaluation.name = folder.final.name
        for problem in write_evaluation(evaluation, folder.work):
            click.echo(f"A picture could not be drawn: {problem}", err=True)
    click.echo(f"Report: {folder.final / REPORT_FILE}", err=as_json)


def _renumbered(labels: Any, raw: Raw, network: Sequential) -> Any:
    """Return labels as the network numbers its classes, which are matched by name."""
    theirs, ours = raw.class_names, class_names(network)
    numbered = theirs == [str(label) for label in range(len(theirs))]
    if numbered and not set(theirs) & set(ours):  # there are no names on their side
        ours = [str(label) for label in range(len(ours))]
    known = {name: label for label, name in enumerate(ours)}
    used = [theirs[label] for label in np.unique(labels)]
    unknown = [name for name in used if name not in known]
    if unknown:
        raise DataError(
            f"expected images of the network's classes ({', '.join(ours[:20])}"
            f"{', ...' if len(ours) > 20 else ''}), found the class {unknown[0]!r}"
        )
    return np.array([known.get(name, -1) for name in theirs])[labels]


def _described(evaluation: Evaluation) -> str:
    settings = evaluation.settings
    names = [printable(name) for name in evaluation.classes]
    part = "all" if settings["part"] == "all" else f"the {settings['part']} part:"
    rows = [
        [printable(name), str(images), str(right), f"{right / images:.4f}" if images else "-"]
        for name, images, right in evaluation.per_class
    ]
    lines = [text_table(["class", "images", "right", "accuracy"], rows, numbers=3)]
    if len(names) <= MOST_CLASSES:
        cells = [
            [name, *map(str, row)]
            for name, row in zip(names, evaluation.confusion.tolist(), strict=True)
        ]
        header = ["is \\ taken for", *names]
        lines += ["", text_table(header, cells, numbers=len(names))]
    elif evaluation.confused:
        most = [
            [printable(true), printable(taken), str(count)]
            for count, true, taken in evaluation.confused[:MOST_CONFUSED]
        ]
        lines += ["", text_table(["is", "taken for", "images"], most, numbers=1)]
    lines += [
        "",
        f"Accuracy: {evaluation.accuracy:.4f} ({settings['data']}, {part} "
        f"{evaluation.images:,} images)",
    ]
    return "\n".join(lines)
