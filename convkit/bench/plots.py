"""Figures of a benchmark run: roofline, speedup per shape, and how speed scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from convkit.bench.scaling import Scaling
from convkit.bench.tables import PEER, groups, ratio
from convkit.bench.timing import Row
from convkit.report.plots import save
from convkit.report.theme import LIGHT, Theme

__all__ = ["figures", "save"]


def _colors(names: Sequence[str], theme: Theme) -> dict[str, str]:
    return {name: theme.series[i % len(theme.series)] for i, name in enumerate(names)}


def roofline(rows: Sequence[Row], theme: Theme = LIGHT) -> Figure:
    """GF/s over operations per byte, under the roof of copy bandwidth and multiply-add peak."""
    figure = theme.figure(6.4, 4.2)
    axes = theme.axes(figure, "operations per byte moved", "GF/s, forward")
    own = [r for r in rows if r.direction == "forward" and r.kind in ("conv", "depthwise")]
    dtype = own[0].dtype if own else ""
    own = [r for r in own if r.dtype == dtype]
    colors = _colors(list(dict.fromkeys(r.subject for r in own)), theme)
    for name, color in colors.items():
        points = [r for r in own if r.subject == name]
        x = [r.gflops * 1e9 * r.seconds / r.least_bytes for r in points]
        axes.plot(x, [r.gflops for r in points], "o", color=color, ms=5, alpha=0.8, label=name)
    if own:
        peak = max(r.gflops / r.peak_share for r in own)
        copy = max(r.least_bytes / r.seconds / r.copy_share for r in own) / 1e9
        edge = [0.1, peak / copy, 3000.0]
        roof = [0.1 * copy, peak, peak]
        axes.plot(edge, roof, color=theme.muted, linewidth=1.2, label=f"roof, {dtype}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    theme.legend(axes, loc="lower right")
    return figure


def speedup(rows: Sequence[Row], theme: Theme = LIGHT) -> Figure:
    """PyTorch's time divided by each backend's, per shape; at 1 both are as fast."""
    names = [n for n in dict.fromkeys(r.subject for r in rows) if n != PEER]
    panels = list(
        dict.fromkeys(
            (r.dtype, r.direction) for r in rows if r.direction in ("forward", "backward")
        )
    )
    shapes = list(dict.fromkeys(r.problem for r in rows))
    figure = theme.figure(2.2 + 2.4 * len(panels), 1.2 + 0.2 * len(shapes))
    colors, by_key = _colors(names, theme), groups(rows)
    for i, (dtype, direction) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), i + 1, facecolor=theme.paper)
        axes.set_title(f"{dtype} {direction}", color=theme.ink, fontsize=9)
        for name in names:
            values = [
                next(
                    (
                        ratio(by, name)
                        for key, by in by_key.items()
                        if key[:3] == (s, dtype, direction)
                    ),
                    math.nan,
                )
                for s in shapes
            ]
            axes.plot(values, range(len(shapes)), "o", color=colors[name], ms=4, label=name)
        axes.axvline(1, color=theme.muted, linewidth=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(len(shapes) - 0.5, -0.5)
        axes.set_yticks(range(len(shapes)), shapes if i == 0 else [""] * len(shapes), fontsize=7)
        axes.tick_params(colors=theme.muted, length=0)
        axes.grid(axis="both", color=theme.rule, linewidth=0.6)
    # Outside the panels, because points may lie anywhere inside them.
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(names), frameon=False,
        labelcolor=theme.ink, fontsize=9,
    )  # fmt: skip
    return figure


def curve(scaling: Scaling, theme: Theme = LIGHT) -> Figure:
    """One line per subject over a size."""
    figure = theme.figure(6.0, 3.4)
    axes = theme.axes(figure, scaling.xlabel, "GF/s, forward, float32")
    for name, color in _colors(list(scaling.rates), theme).items():
        rates: Any = scaling.rates[name]
        axes.plot(scaling.sizes[: len(rates)], rates, "o-", color=color, ms=4, label=name)
    axes.set_title(scaling.title, color=theme.ink, fontsize=10)
    axes.set_xscale("log", base=2)
    axes.set_xticks(scaling.sizes, [str(size) for size in scaling.sizes])
    axes.set_ylim(bottom=0)
    theme.legend(axes, loc="best")
    return figure


def figures(rows: Sequence[Row], scalings: Sequence[Scaling]) -> dict[str, Figure]:
    """Every figure by its file's name."""
    found: dict[str, Figure] = {"roofline": roofline(rows), "speedup": speedup(rows)}
    for scaling in scalings:
        found[f"scaling_{scaling.xlabel.split()[0]}"] = curve(scaling)
    return found
