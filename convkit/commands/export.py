"""``convkit export``: a trained network for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from convkit.commands._model import model_argument, open_model
from convkit.commands._types import check_writable
from convkit.models.exporting import export_onnx


@click.command()
@model_argument
@click.option("--to", "target", type=click.Choice(["onnx"]), required=True, help="The format.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; otherwise it lies beside the network's.",
)
@click.option(
    "--prepared", is_flag=True, help="Leave the preprocessing out: the file takes prepared images."
)
def export(model: Path, target: str, out: Path | None, prepared: bool) -> None:
    """Write a trained network in another format, checked by another program.

    MODEL is a file that was saved, or the folder of a run of convkit train.
    """
    suffix = f".{target}"
    path = out or (model / f"model{suffix}" if model.is_dir() else model.with_suffix(suffix))
    check_writable("--out", path)
    network = open_model(model)
    done = export_onnx(network, path, prepared=prepared)
    shape = ", ".join(map(str, ("N", *done.shape)))
    kind = "raw images on the scale of the training data" if done.input == "images" else "prepared"
    click.echo(f"input {done.input} ({shape}): {kind}, channels first")
    click.echo(f"outputs {', '.join(done.outputs)}")
    click.echo(f"checked with {done.engine}: largest relative difference {done.difference:.1g}")
    click.echo(f"Written: {path}")
