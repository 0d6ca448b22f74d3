"""``convkit explain``: which backend computes a problem, what chose it, why no other does."""

from __future__ import annotations

import json
from typing import Any

import click

from convkit.operations import OPERATIONS, Operation
from convkit.selection.resolve import explain


class Ints(click.ParamType[Any]):
    """``3``, ``3,3`` (one per axis) or ``1:0,2:1`` (a begin:end pair per axis)."""

    name = "ints"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in ("same", "valid"):
            return value
        try:
            parts: list[Any] = [
                tuple(map(int, p.split(":"))) if ":" in p else int(p) for p in value.split(",")
            ]
        except ValueError:
            self.fail(f"{value!r} must be ints with commas between them", param, ctx)
        return parts[0] if len(parts) == 1 and param and param.name not in ("x", "w") else (*parts,)


@click.command(name="explain")
@click.option("--op", type=click.Choice(list(OPERATIONS)), default="conv", show_default=True)
@click.option("--x", type=Ints(), required=True, help="Shape of x, as in 8,64,56,56.")
@click.option("--w", type=Ints(), help="Shape of w, as in 64,64,3,3.")
@click.option("--no-bias", is_flag=True, help="A convolution without b.")
@click.option("--kernel", type=Ints(), help="The pooling window, as in 2 or 3,3.")
@click.option("--stride", type=Ints(), help="Of the convolution, or of the pooling.")
@click.option("--pad", type=Ints(), help="As 1, 1,2, 1:0,2:1, same or valid.")
@click.option("--pool-stride", type=Ints(), help="Of conv_relu_pool's pooling.")
@click.option("--dilation", type=Ints())
@click.option("--groups", type=click.IntRange(min=1))
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32")
@click.option("--backend", help="As the backend argument of the call.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(op: str, backend: str | None, as_json: bool, **options: Any) -> None:
    """Say which backend would compute a problem, who chose it, and why each other one would not."""
    operation = OPERATIONS[op]
    found = explain(*_specs(operation, **options), operation=op, backend=backend)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))


def _specs(
    operation: Operation, x: Any, w: Any, no_bias: bool, dtype: str, **geometry: Any
) -> tuple[Any, ...]:
    """Return the specs that the options describe; an option that does not belong is an error.

    Where an operation has a convolution and a pool, --stride and the like are the convolution's.
    """
    given = {name: value for name, value in geometry.items() if value is not None}
    _check_needed(operation, "w", w, "w" in operation.inputs)
    kernel = any("kernel" in one.defaults for one in operation.parameters)
    _check_needed(operation, "kernel", given.get("kernel"), kernel)
    parameters: list[dict[str, Any]] = []
    for i, one in enumerate(operation.parameters):
        prefix = "pool_" if i else ""
        names = {key: key if key == "kernel" else f"{prefix}{key}" for key in one.defaults}
        parameters.append({k: given.pop(name) for k, name in names.items() if name in given})
    for name in given:
        option = name.replace("_", "-")
        raise click.UsageError(f"--{option} does not belong to --op {operation.name}")
    shapes = {"x": x, "w": w, "b": w[:1] if w and not no_bias else None}
    return operation.make_specs([shapes[name] for name in operation.inputs], parameters, dtype)


def _check_needed(operation: Operation, name: str, value: Any, needed: bool) -> None:
    if needed and value is None:
        raise click.UsageError(f"--{name} is needed for --op {operation.name}")
    if not needed and value is not None:
        raise click.UsageError(f"--{name} does not belong to --op {operation.name}")
