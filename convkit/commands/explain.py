"""``convkit explain``: which backend computes a problem, who chose it, why the others do not."""

from __future__ import annotations

import json
from typing import Any

import click

from convkit.candidates import explain
from convkit.choice import OPERATIONS
from convkit.spec import ConvSpec, PoolSpec


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
@click.option("--op", type=click.Choice(OPERATIONS), default="conv", show_default=True)
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
def command(backend: str | None, as_json: bool, **options: Any) -> None:
    """Say which backend would compute a problem, who chose it, and why each other one would not."""
    found = explain(*_specs(**options), backend=backend)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))


def _specs(
    op: str,
    x: Any,
    w: Any,
    no_bias: bool,
    kernel: Any,
    pool_stride: Any,
    dtype: str,
    **geometry: Any,
) -> tuple[ConvSpec | PoolSpec, ...]:
    given = {name: value for name, value in geometry.items() if value is not None}
    for name, value, needed in (("w", w, "pool" not in op or "relu" in op),
                                ("kernel", kernel, "pool" in op)):  # fmt: skip
        if needed and value is None:
            raise click.UsageError(f"--{name} is needed for --op {op}")
        if not needed and value is not None:
            raise click.UsageError(f"--{name} does not belong to --op {op}")
    if op in ("max_pool", "avg_pool"):
        if "groups" in given:
            raise click.UsageError(f"--groups does not belong to --op {op}")
        return (PoolSpec.of(x, kind=op[:3], kernel=kernel, dtype=dtype, **given),)
    conv = ConvSpec.of(x, w, None if no_bias else w[:1], dtype=dtype, **given)
    if op == "conv":
        return (conv,)
    return conv, PoolSpec.of(
        conv.out_shape, kind="max", kernel=kernel, stride=pool_stride, dtype=dtype
    )
