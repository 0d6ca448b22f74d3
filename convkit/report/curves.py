"""Curves over the iterations of a run, or of several, as matplotlib figures in a given theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from convkit.names import printable
from convkit.report.theme import LIGHT, Theme

__all__ = [
    "accuracy_curve",
    "exploded",
    "label",
    "loss_curve",
    "short",
    "smooth",
    "sweep_curves",
]

Array: TypeAlias = npt.NDArray[np.floating[Any]]


def label(name: str) -> str:
    """Return a name as matplotlib draws it literally: a dollar sign would begin mathematics."""
    return printable(name).replace("$", r"\$")


def short(name: str, most: int) -> str:
    """Return a name, or its two ends around an ellipsis where it has more than ``most`` characters.

    Names that share a beginning differ in their ends.
    """
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}…{name[-end:]}"


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
    """Loss of every iteration (thin) and its moving average (bold).

    One that explodes is on a log scale: on a linear one it would be a stroke that leaves the plot.
    """
    figure = theme.figure()
    axes = theme.axes(figure, "iteration", "loss")
    steps = np.arange(1, len(loss) + 1)
    color = theme.series[0]
    axes.plot(steps, loss, color=color, linewidth=0.8, alpha=0.35, label="each mini-batch")
    axes.plot(steps, smooth(loss), color=color, linewidth=2, label="moving average")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    if exploded(loss):
        _log_scale(axes, loss)
    else:
        _limit_loss(axes, [loss])
    if len(loss):
        theme.legend(axes, loc="upper left" if exploded(loss) else "upper right")
    return figure


def exploded(loss: Sequence[float]) -> bool:
    """Whether a finite loss is above ten times its start, which must be above 0."""
    finite = [value for value in loss if np.isfinite(value)]
    return bool(finite) and 0 < 10 * finite[0] < max(finite)


def _log_scale(axes: Axes, loss: Sequence[float]) -> None:
    """A log scale on which all positive losses are seen."""
    positive = [value for value in loss if 0 < value < np.inf]
    axes.set_yscale("log")
    axes.set_ylim(min(positive) / 2, 2 * max(positive))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("loss (log scale)")


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
    """Training and validation accuracy over iterations; ``val`` may be empty."""
    figure = theme.figure()
    axes = theme.axes(figure, "iteration", "accuracy")
    for values, color, name in ((train, 0, "training"), (val, 1, "validation")):
        if name == "validation" and not len(values) and len(steps):
            continue  # a run without validation images
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


def sweep_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    over: str,
    ylabel: str,
    theme: Theme = LIGHT,
    *,
    best: str | None = None,
) -> Figure:
    """One labelled curve ``(x, y)`` per value of the hyper-parameter ``over``; ``best`` is bold."""
    below = any(len(name) > 24 for name in curves)  # beside the curves it would leave them no room
    figure = theme.figure(7.0, 4.0 + (0.22 * len(curves) + 0.3 if below else 0))
    axes = theme.axes(figure, "iteration", ylabel)
    for index, (value, (x, y)) in enumerate(curves.items()):
        color = theme.series[index % len(theme.series)]
        style = ("-", "--", ":")[index // len(theme.series) % 3]
        width, text = (3.2, f"{value} (best)") if value == best else (1.6, value)
        axes.plot(x, y, style, color=color, linewidth=width, label=label(short(text, 44)))
    heights = [y for _, y in curves.values()]
    if ylabel == "loss":
        _log_loss(axes, heights)
    else:
        top = max((value for y in heights for value in y), default=1.0)
        axes.set_ylim(0, min(1.04, 1.2 * top) or 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    if curves:
        place = ("upper center", (0.5, -0.14)) if below else ("center left", (1.0, 0.5))
        theme.legend(axes, loc=place[0], bbox_to_anchor=place[1], title=over)
        axes.get_legend().get_title().set_color(theme.muted)  # type: ignore[union-attr]
    return figure
