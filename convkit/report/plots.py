"""The plots of a run, as matplotlib figures in a given theme.

Functions take arrays and return a figure; `save` writes one and `png_bytes` returns its bytes. None
uses pyplot or a display.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)

from convkit.files import write_bytes
from convkit.names import printable
from convkit.report.grid import image_to_unit, tile
from convkit.report.theme import LIGHT, TEXT, WIDTH, Theme

Array: TypeAlias = npt.NDArray[np.floating[Any]]

MOST_CLASSES = 50
"""So many classes have names in a picture; the time for more grows with their number."""


def label(name: str) -> str:
    """Return a name as matplotlib draws it literally: a dollar sign would begin mathematics."""
    return printable(name).replace("$", r"\$")


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file's content."""
    buffer = io.BytesIO()
    # Without the software's version in the file, the same figure gives the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write the figure to ``path`` as PNG."""
    write_bytes(path, png_bytes(figure))


def smooth(values: Sequence[float], weight: float = 0.9) -> Array:
    """Exponential moving average, corrected for its start at zero (Kingma & Ba 2015, section 3).

    Non-finite values are left out of the average; before the first finite one the result is NaN.
    """
    out = np.full(len(values), np.nan)
    average = total = 0.0
    for i, value in enumerate(values):
        if np.isfinite(value):
            average = weight * average + (1 - weight) * value
            total = weight * total + (1 - weight)
        if total:
            out[i] = average / total
    return out


def loss_curve(loss: Sequence[float], theme: Theme = LIGHT) -> Figure:
    """Loss of every iteration (thin) and its moving average (bold)."""
    figure = theme.figure()
    axes = theme.axes(figure, "iteration", "loss")
    steps = np.arange(1, len(loss) + 1)
    color = theme.series[0]
    axes.plot(steps, loss, color=color, linewidth=0.8, alpha=0.35, label="each mini-batch")
    axes.plot(steps, smooth(loss), color=color, linewidth=2, label="moving average")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    _limit_loss(axes, [loss])
    if len(loss):
        theme.legend(axes, loc="upper right")
    return figure


def _limit_loss(axes: Axes, curves: Sequence[Sequence[float]]) -> None:
    """Show from zero to a little over the largest starting loss: a diverging curve may leave."""
    starts = [value for curve in curves for value in list(curve)[:1] if np.isfinite(value)]
    finite = [value for curve in curves for value in curve if np.isfinite(value)]
    if finite:
        top = 1.15 * min(max(finite), 2 * max(starts, default=max(finite)))
        axes.set_ylim(0, top if top > 0 else 1)


def _log_loss(axes: Axes, curves: Sequence[Sequence[float]]) -> None:
    """A log scale, for losses that differ by powers of ten, up to ten times the largest start."""
    positive = [value for curve in curves for value in curve if 0 < value < np.inf]
    if not positive:
        return
    starts = [value for curve in curves for value in list(curve)[:1] if 0 < value < np.inf]
    top = min(max(positive), 10 * max(starts, default=max(positive)))
    axes.set_yscale("log")
    axes.set_ylim(min(positive) / 1.2, 1.2 * top)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def accuracy_curve(
    steps: Sequence[int], train: Sequence[float], val: Sequence[float], theme: Theme = LIGHT
) -> Figure:
    """Training and validation accuracy over iterations."""
    figure = theme.figure()
    axes = theme.axes(figure, "iteration", "accuracy")
    for values, color, name in ((train, 0, "training"), (val, 1, "validation")):
        text = f"{name}, {values[-1]:.1%} at last" if len(values) else name
        axes.plot(
            steps, values, color=theme.series[color], linewidth=2, marker="o", ms=3, label=text
        )
    if len(steps):
        theme.legend(axes, loc="lower right")
    axes.set_ylim(0, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    return figure


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
    axes.set_yticks(places, [label(name) for name in classes], color=theme.ink)
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
    figure = theme.figure(WIDTH, 4.6)
    axes = theme.axes(figure, "predicted", "true", grid="")
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    share = confusion / totals
    scale = LinearSegmentedColormap.from_list("share", [theme.empty, theme.series[0]])
    image = axes.imshow(share, cmap=scale, vmin=0, vmax=1, aspect="auto")
    if len(classes) <= 20:
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
    names = [label(name) for name in classes]
    axes.set_xticks(places, names, rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(places, names)
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
                f"{label(classes[predicted[index]])}\nnot {label(classes[true[index]])}",
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


def sweep_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    over: str,
    ylabel: str,
    theme: Theme = LIGHT,
) -> Figure:
    """One labelled curve ``(x, y)`` per value of the hyper-parameter ``over``."""
    figure = theme.figure(7.0, 4.0)
    axes = theme.axes(figure, "iteration", ylabel)
    for index, (value, (x, y)) in enumerate(curves.items()):
        color = theme.series[index % len(theme.series)]
        style = ("-", "--", ":")[index // len(theme.series) % 3]
        axes.plot(x, y, style, color=color, linewidth=1.8, label=label(value))
    heights = [y for _, y in curves.values()]
    if ylabel == "loss":
        _log_loss(axes, heights)
    else:
        best = max((value for y in heights for value in y), default=1.0)
        axes.set_ylim(0, min(1.04, 1.2 * best) or 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    if curves:
        theme.legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), title=over)
        axes.get_legend().get_title().set_color(theme.muted)  # type: ignore[union-attr]
    return figure
