"""The heat map of a plane: got, expected and difference side by side, as cells for a template.

Blue is negative and orange positive, which colour-blind readers can distinguish; wrong elements
have an outline as well, and a sign where their number has no room. Opacity stands for the size, so
that the same cells are right on a light and on a dark page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from convkit.conformance.planes import Plane

ROOM = 256
"""Pixels that the columns of a panel take at most; it must fit a phone."""
WIDEST, TALLEST = 44, 26
DIGIT = 7.5
"""Pixels that a character of the panel's text takes."""
NARROW = 27
"""A cell narrower than this has no room for "NaN"."""
FAINT, FULL = 0.08, 0.6
"""Opacities of the smallest and the largest value: text over a cell must stay readable."""


@dataclass(frozen=True)
class Cell:
    """An element: its place in pixels, its colour and what it says."""

    x: int
    y: int
    tone: str
    """``plus``, ``minus``, ``odd`` (not finite), or empty."""
    opacity: float
    text: str
    outline: str
    """``first`` for the first wrong element, ``wrong`` for the others, or empty."""
    title: str


@dataclass(frozen=True)
class Wrong:
    """A wrong element in figures."""

    index: str
    got: str
    expected: str
    difference: str


@dataclass(frozen=True)
class HeatMap:
    """What the template draws: panels of one size, with the indices along both axes."""

    where: str
    axes: str
    left: int
    top: int
    width: int
    height: int
    cell_width: int
    cell_height: int
    rows: tuple[tuple[int, int], ...]
    """(pixel, index) of each label."""
    columns: tuple[tuple[int, int], ...]
    panels: tuple[tuple[str, tuple[Cell, ...]], ...]
    wrong: tuple[Wrong, ...]
    shortened: bool
    """Whether the drawing has NaN in cells that have no room for the word."""


def heat_map(plane: Plane) -> HeatMap:
    """Lay out a plane."""
    got, expected = (
        [[float(text) for text in row] for row in rows] for rows in (plane.got, plane.expected)
    )
    difference = [
        [_difference(g, e, bad) for g, e, bad in zip(*rows, strict=True)]
        for rows in zip(got, expected, plane.wrong, strict=True)
    ]
    height, width = len(got), len(got[0])
    cell_width = min(WIDEST, ROOM // width)
    cell_height = min(TALLEST, cell_width)
    first_row, first_column = plane.start
    label = len(str(first_column + width - 1)) * DIGIT
    beside = max(2, math.ceil((label - cell_width) / 2) + 1)  # room for the outermost labels
    left = beside
    if len(plane.axes) > 1:
        left = max(beside, int(len(str(first_row + height - 1)) * DIGIT) + 8)
    layout = _Layout(plane, left, 20, cell_width, cell_height)
    scale = max(_largest(got), _largest(expected))
    every = math.ceil((label + DIGIT / 2) / cell_width)
    return HeatMap(
        where=_where(plane, height, width),
        axes=_axes(plane),
        left=left,
        top=layout.top,
        width=left + width * cell_width + beside,
        height=layout.top + height * cell_height + 2,
        cell_width=cell_width,
        cell_height=cell_height,
        rows=tuple(
            (layout.y(i) + cell_height // 2, first_row + i)
            for i in range(0, height, 1 if cell_height >= 15 else 2)
            if len(plane.axes) > 1
        ),
        columns=tuple(
            (layout.x(j) + cell_width // 2, first_column + j) for j in range(0, width, every)
        ),
        panels=(
            ("got", layout.cells(got, scale)),
            ("expected", layout.cells(expected, scale, outlined=False)),
            ("difference", layout.cells(difference, _largest(difference), zeros=False)),
        ),
        wrong=tuple(_wrong(plane)),
        shortened=cell_width < NARROW
        and any(v != v for rows in (got, expected) for row in rows for v in row),
    )


def _difference(got: float, expected: float, bad: bool) -> float:
    """Return got - expected where that is wrong, else 0: what the bound allows is no difference."""
    return got - expected if bad else 0.0


def _largest(values: list[list[float]]) -> float:
    return max((abs(v) for row in values for v in row if math.isfinite(v)), default=0.0)


def _index(plane: Plane, row: int, column: int) -> tuple[int, ...]:
    """Return the index in the whole result of an element of the window."""
    at = dict(zip(plane.axes[::-1], (plane.start[1] + column, plane.start[0] + row), strict=False))
    return tuple(at.get(axis, i) for axis, i in enumerate(plane.index))


def _where(plane: Plane, height: int, width: int) -> str:
    """Return the window as NumPy would write it."""
    spans = dict(zip(plane.axes[::-1], ((1, width), (0, height)), strict=False))
    parts = [
        f"{plane.start[spans[axis][0]]}:{plane.start[spans[axis][0]] + spans[axis][1]}"
        if axis in spans
        else str(i)
        for axis, i in enumerate(plane.index)
    ]
    return f"[{', '.join(parts)}]"


def _axes(plane: Plane) -> str:
    shape = f"of shape ({', '.join(map(str, plane.shape))}{',' * (len(plane.shape) == 1)})"
    if len(plane.axes) == 1:
        return f"columns: axis 0, {shape}"
    return f"rows: axis {plane.axes[0]}, columns: axis {plane.axes[1]}, {shape}"


def _wrong(plane: Plane) -> list[Wrong]:
    return [
        Wrong(
            ", ".join(map(str, _index(plane, i, j))),
            plane.got[i][j],
            plane.expected[i][j],
            f"{float(plane.got[i][j]) - float(plane.expected[i][j]):.6g}",
        )
        for i, row in enumerate(plane.wrong)
        for j, bad in enumerate(row)
        if bad
    ]


@dataclass(frozen=True)
class _Layout:
    """Where the cells of a panel are."""

    plane: Plane
    left: int
    top: int
    width: int
    height: int

    def x(self, column: int) -> int:
        return self.left + column * self.width

    def y(self, row: int) -> int:
        return self.top + row * self.height

    def cells(
        self, values: list[list[float]], scale: float, *, outlined: bool = True, zeros: bool = True
    ) -> tuple[Cell, ...]:
        """Return a panel's cells, with numbers where all of them have room."""
        texts = [[_short(v) if v or zeros else "" for v in row] for row in values]
        room = all(len(t) * DIGIT + 4 <= self.width for row in texts for t in row)
        return tuple(
            self._cell(i, j, value, texts[i][j] if room else "", scale, outlined)
            for i, row in enumerate(values)
            for j, value in enumerate(row)
        )

    def _cell(self, i: int, j: int, value: float, text: str, scale: float, outlined: bool) -> Cell:
        index = _index(self.plane, i, j)
        bad = self.plane.wrong[i][j]
        outline = "" if not (bad and outlined) else "wrong"
        if outline and index == self.plane.index:
            outline = "first"
        said = f"got {self.plane.got[i][j]}, expected {self.plane.expected[i][j]}"
        return Cell(
            x=self.x(j),
            y=self.y(i),
            tone=_tone(value),
            opacity=_opacity(value, scale),
            text=text or _sign(value, bad and outlined, self.width),
            outline=outline,
            title=f"[{', '.join(map(str, index))}] {said}",
        )


def _tone(value: float) -> str:
    if not math.isfinite(value):
        return "odd"
    return "plus" if value > 0 else "minus" if value < 0 else ""


def _opacity(value: float, scale: float) -> float:
    if not math.isfinite(value) or not scale:
        return FULL if not math.isfinite(value) else 0.0
    return round(FAINT + (FULL - FAINT) * abs(value) / scale, 2) if value else 0.0


def _short(value: float) -> str:
    """Return a number in few characters, with a real minus sign."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return "NaN" if value != value else f"{value:.3g}".replace("-", "−")


def _sign(value: float, bad: bool, width: int) -> str:
    """Return what a cell says whose number has no room: its sign where it is wrong."""
    if value != value:
        return "N" if width < NARROW else "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return ("+" if value > 0 else "−" if value < 0 else "0") if bad else ""
