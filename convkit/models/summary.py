"""The summary of a network as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convkit.models.modules.layer import Shape
from convkit.models.placing import Branches, Place, Placed, Storage

__all__ = ["summary"]

Row = tuple[str, str, str, str]
HEADER: Row = ("layer", "output shape", "parameters", "multiply-adds")


def summary(chain: Sequence[Placed], storage: Storage, input_dim: Shape) -> str:
    """Return a table of layers, shapes of one example, numbers of values and multiply-adds.

    Arrays that are not trained are counted below the table.
    """
    rows = [HEADER, ("input", _dimensions(input_dim), "", ""), *_rows(chain, storage, "")]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    lines = [
        "  ".join((*map(str.ljust, row[:2], widths), *map(str.rjust, row[2:], widths[2:])))
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    trained = sum(array.size for array in storage.params.values())
    others = sum(array.size for array in storage.buffers.values())
    work = sum(multiply_adds(placed) for placed in chain)
    lines.append(lines[1])
    lines.append(f"{trained:,} parameters, {others:,} other values, {work:,} multiply-adds")
    return "\n".join(line.rstrip() for line in lines)


def multiply_adds(placed: Placed) -> int:
    """Return the multiply-adds of one example."""
    if isinstance(placed, Branches):
        return sum(map(multiply_adds, (*placed.main, *placed.shortcut)))
    return placed.layer.multiply_adds(placed.shape)


def _rows(chain: Sequence[Placed], storage: Storage, indent: str) -> Iterator[Row]:
    for placed in chain:
        shape = _dimensions(placed.out_shape)
        if isinstance(placed, Place):
            count = sum(storage.params[name].size for _, name in placed.params)
            count += sum(storage.buffers[name].size for _, name in placed.fixed)
            work = multiply_adds(placed)
            yield (
                f"{indent}{placed.layer!r}",
                shape,
                f"{count:,}" if count else "",
                f"{work:,}" if work else "",
            )
            continue
        relu = "" if placed.layer.relu else ", relu=False"
        plural = "" if len(placed.main) == 1 else "s"
        yield f"{indent}Residual({len(placed.main)} layer{plural}{relu})", shape, "", ""
        yield from _rows(placed.main, storage, f"{indent}  ")
        if placed.shortcut:
            yield f"{indent}  shortcut", "", "", ""
            yield from _rows(placed.shortcut, storage, f"{indent}    ")


def _dimensions(shape: Shape) -> str:
    return " x ".join(map(str, shape))
