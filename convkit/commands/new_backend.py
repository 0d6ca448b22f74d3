"""``convkit new-backend NAME``: writes a complete package with a working backend."""

from __future__ import annotations

from pathlib import Path

import click

from convkit.errors import ParameterError
from convkit.names import normalise_name
from convkit.templates import package


@click.command()
@click.argument("name")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="The folder to write; otherwise convkit-NAME here.",
)
def command(name: str, output: Path | None) -> None:
    """Write a package with a new backend: a working first kernel, tests, an entry point."""
    try:
        texts = package.render(name)
    except ParameterError as error:
        raise click.UsageError(str(error)) from error
    folder = output or Path(f"convkit-{normalise_name(name).replace('_', '-')}")
    package.write(texts, folder)
    click.echo(f"wrote {folder}")
    click.echo(f"next: cd {folder} && pip install -e '.[test]' && pytest")
