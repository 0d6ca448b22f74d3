"""The plots of a run, as matplotlib figures in a given theme.

Functions take arrays and return a figure; `save` writes one and `png_bytes` returns its bytes. None
uses pyplot or a display. The curves over iterations are in `convkit.report.curves`, and have their
names here too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    MaxNLocator,
    NullLocator,
)

from convkit.files import write_bytes
from convkit.report.curves import accuracy_curve, label, loss_curve, short, smooth, sweep_curves
from convkit.report.grid import image_to_unit, tile
from convkit.report.theme import LIGHT, TEXT, WIDTH, Theme

__all__ = [
    "MOST_CLASSES",
    "accuracy_curve",
    "class_accuracy",
    "confusion_matrix",
    "filters",
    "label",
    "loss_curve",
    "misclassified",
    "png_bytes",
    "save",
    "smooth",
    "speedups",
    "sweep_curves",
]

Array: TypeAlias = npt.NDArray[np.floating[Any]]

MOST_CLASSES = 50
"""So many classes have names in a picture; the time for more grows with their number."""


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file's content."""
    buffer = io.BytesIO()
    # Without the software's version in the file, the same figure gives the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write the figure to ``path`` as PNG."""
    write_bytes(path, png_bytes(figure))


def filters(weights: Array, theme: Theme = LIGHT) -> Figure:
    """The filters (F, C, KH, KW) of a layer as tiles; see `convkit.report.grid.tile`."""
    # Every weight becomes a block of pixels, so that seams are thin in proportion to small filters.
    block = -(-24 // max(1, *weights.shape[2:]))
    grid, _shape = tile(weights.repeat(block, axis=2).repeat(block, axis=3), seam=3)
    height, width = grid.shape[:2]
    scale = WIDTH / max(width, height)
    figure = theme.figure(max(1.5, width * scale), max(1.0, height * scale))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    # The seams between tiles are NaN in the grid, and so take the page's colour.
    rgba = np.ones((height, width, 4))
    rgba[..., :3] = grid if grid.ndim == 3 else grid[..., None]
    rgba[..., 3] = np.isfinite(rgba[..., :3]).all(axis=-1)
    axes.imshow(np.nan_to_num(rgba), interpolation="nearest")
    return figure


def class_accuracy(
    confusion: npt.NDArray[np.integer[Any]], classes: Sequence[str], theme: Theme = LIGHT
) -> Figure:
    """One bar per class: the part of its test images that was recognised.

    Of more than `MOST_CLASSES` classes, those that were recognised least.
    """
    totals = confusion.sum(axis=1)
    accuracy = np.divide(
        np.diag(confusion), totals, out=np.zeros(len(totals)), where=totals > 0, dtype=float
    )
    if len(classes) > MOST_CLASSES:
        worst = np.sort(np.argsort(np.where(totals > 0, accuracy, 2), kind="stable")[:MOST_CLASSES])
        accuracy, totals, classes = accuracy[worst], totals[worst], [classes[i] for i in worst]
    figure = theme.figure(WIDTH, max(2.0, 0.32 * len(classes) + 0.4))
    axes = theme.axes(figure, "", "", grid="")
    places = np.arange(len(classes))
    axes.barh(places, np.ones(len(classes)), color=theme.rule, height=0.62)
    axes.barh(places, accuracy, color=theme.series[0], height=0.62)
    for index, value, count in zip(places, accuracy, totals, strict=True):
        text = f"{value:.0%} of {count}" if count else "no images"
        axes.text(1.02, float(index), text, va="center", color=theme.ink, fontsize=TEXT)
    axes.set_yticks(places, [label(short(name, 32)) for name in classes], color=theme.ink)
    axes.set_xticks([])
    axes.set_xlim(0, 1.4)
    axes.invert_yaxis()
    axes.spines["bottom"].set_visible(False)
    return figure


def confusion_matrix(
    confusion: npt.NDArray[np.integer[Any]], classes: Sequence[str], theme: Theme = LIGHT
) -> Figure:
    """Rows are the true classes, columns the predicted ones, numbers are test images.

    More than `MOST_CLASSES` classes have their numbers in place of their names.
    """
    many = len(classes) > 20
    figure = theme.figure(WIDTH, 5.6 if many else 4.6)
    axes = theme.axes(figure, "predicted", "true", grid="")
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    share = confusion / totals
    scale = LinearSegmentedColormap.from_list("share", [theme.empty, theme.series[0]])
    image = axes.imshow(share, cmap=scale, vmin=0, vmax=1, aspect="auto")
    if not many:
        for (row, column), count in np.ndenumerate(confusion):
            if count:
                red, green, blue, _ = image.cmap(share[row, column])
                bright = 0.3 * red + 0.59 * green + 0.11 * blue > 0.5
                ink = "#10151c" if bright else "#ffffff"
                axes.text(
                    float(column),
                    float(row),
                    str(count),
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=TEXT,
                )
    axes.spines["bottom"].set_visible(False)
    if len(classes) > MOST_CLASSES:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
        return figure
    places = np.arange(len(classes))
    long = max((len(name) for name in classes), default=0) > 3
    names = [label(short(name, 16 if many else 24)) for name in classes]
    turn = 90 if many else 45
    size = min(TEXT, 260 / max(len(classes), 1)) if many else TEXT  # a row has some 280 points / N
    side = "center" if many or not long else "right"
    axes.set_xticks(places, names, rotation=turn if long else 0, ha=side, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    return figure


def misclassified(
    images: npt.NDArray[Any],
    true: Sequence[int],
    predicted: Sequence[int],
    classes: Sequence[str],
    theme: Theme = LIGHT,
) -> Figure:
    """Test images (K, C, H, W) that were taken for another class, with both names.

    K = 0 gives a picture that says so.
    """
    columns = 4
    rows = max(1, -(-len(images) // columns))
    figure = theme.figure(WIDTH, 1.85 * rows if len(images) else 1.2)
    if not len(images):
        figure.text(0.5, 0.5, "none: every test image was recognised", ha="center", color=theme.ink)
        return figure
    for index in range(rows * columns):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.set_axis_off()
        if index < len(images):
            axes.imshow(image_to_unit(images[index]), cmap="gray", vmin=0, vmax=1)
            axes.set_title(
                f"{label(short(classes[predicted[index]], 14))}\n"
                f"not {label(short(classes[true[index]], 10))}",
                fontsize=TEXT,
                color=theme.ink,
            )
    return figure


def speedups(rows: Sequence[Mapping[str, Any]], theme: Theme = LIGHT) -> Figure:
    """How many times faster than ``naive`` each backend is, per operation, on a log scale.

    Each row has ``backend``, ``operation`` and ``speedup``.
    """
    operations = list(dict.fromkeys(str(row["operation"]) for row in rows))
    backends = list(dict.fromkeys(str(row["backend"]) for row in rows))
    figure = theme.figure(WIDTH, 1.0 + 0.27 * len(rows))
    axes = theme.axes(figure, "times as fast as naive", "", grid="x")
    height = 0.8 / max(1, len(backends))
    for index, backend in enumerate(backends):
        own = {
            str(row["operation"]): float(row["speedup"])
            for row in rows
            if row["backend"] == backend
        }
        places = [i + height * (index - (len(backends) - 1) / 2) for i in range(len(operations))]
        values = [own.get(operation, np.nan) for operation in operations]
        axes.barh(
            places, values, height=0.9 * height, color=theme.series[index], label=label(backend)
        )
        for y, value in zip(places, values, strict=True):
            if np.isfinite(value):
                text = f" {value:.0f}x" if value >= 10 else f" {value:.1f}x"
                axes.text(value, y, text, va="center", color=theme.ink, fontsize=TEXT - 1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.xaxis.set_minor_locator(NullLocator())
    known = [float(row["speedup"]) for row in rows if np.isfinite(row["speedup"])]
    axes.set_xlim(min([0.5, *known]), 3 * max([10.0, *known]))
    axes.set_yticks(range(len(operations)), operations, color=theme.ink)
    axes.invert_yaxis()
    if backends:
        theme.legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(backends))
    return figure
