"""Backends as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import convkit
from convkit import registry
from convkit.errors import ConvkitError

COLUMNS = ("name", "state", "version", "dtypes", "distribution", "problem")


def load_quietly(names: Iterable[str]) -> list[str]:
    """Load each backend; return the names of those that could be."""
    usable = []
    for name in names:
        try:
            registry.load(name)
        except ConvkitError:
            continue
        usable.append(name)
    return usable


def backend_rows() -> list[dict[str, Any]]:
    """One row per advertised backend; what only a loaded one can tell is empty for the others."""
    rows = []
    for record in convkit.backends():
        info = record.method("info")
        facts = info() if info is not None else {}
        rows.append(
            {
                "name": record.name,
                "state": record.state,
                "version": record.version,
                "dtypes": [str(dtype) for dtype in facts.get("dtypes", ())],
                "distribution": record.distribution,
                "problem": record.problem,
                "info": {key: _plain(value) for key, value in facts.items()},
            }
        )
    return rows


def _plain(value: Any) -> Any:
    """What JSON can hold: numbers, strings and lists as they are, all else as its text."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> str:
    """Left-aligned columns, the last ``numbers`` of them right-aligned, two blanks between."""
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    first_number = len(header) - numbers

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if i >= first_number else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join(line(cells) for cells in (header, *rows))
