"""Tables of text."""

from __future__ import annotations

from collections.abc import Sequence


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
