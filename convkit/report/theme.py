"""The light and the dark theme of the plots.

Colours are defined here and in the pages' style sheet, nowhere else. Pages that have no plots use
them without matplotlib. The colours of series are those
of Okabe and Ito ("Color Universal Design", 2008), which colour-blind readers can distinguish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width of a picture in inches and size of its text in points. The text is large for this width, so
#: that it is readable where the picture is scaled down to a phone's width.
WIDTH = 5.0
TEXT = 11


@dataclass(frozen=True)
class Theme:
    """Colours of one theme; ``series`` are for curves and bars, in order; ``empty`` is for 0."""

    name: str
    paper: str
    ink: str
    muted: str
    rule: str
    series: tuple[str, ...]
    empty: str

    def figure(self, width: float = WIDTH, height: float = 3.2) -> Figure:
        """An empty figure of ``width`` x ``height`` inches that draws without a display."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(
            figsize=(width, height), dpi=190, facecolor=self.paper, layout="constrained"
        )
        FigureCanvasAgg(figure)
        return figure

    def axes(self, figure: Figure, xlabel: str = "", ylabel: str = "", grid: str = "y") -> Axes:
        """Axes with a bottom spine and a faint grid only."""
        axes = figure.add_subplot(facecolor=self.paper)
        axes.set_xlabel(xlabel, color=self.muted, fontsize=TEXT)
        axes.set_ylabel(ylabel, color=self.muted, fontsize=TEXT)
        axes.tick_params(colors=self.muted, length=0, labelsize=TEXT)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(self.rule)
        if grid:
            axes.grid(axis=grid, color=self.rule, linewidth=0.8)  # type: ignore[arg-type]
        axes.set_axisbelow(True)
        return axes

    def legend(self, axes: Axes, **where: Any) -> None:
        """A frameless legend in the ink colour."""
        axes.legend(frameon=False, labelcolor=self.ink, fontsize=TEXT, **where)


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1c2430",
    muted="#5b6675",
    rule="#e3e7ec",
    series=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#444c58", "#3f9fd4"),
    empty="#f4f6f9",
)
DARK = Theme(
    name="dark",
    paper="#171c24",
    ink="#e6eaf0",
    muted="#9aa6b5",
    rule="#2c3541",
    series=("#56b4e9", "#f0883e", "#2fc79a", "#e39cc6", "#e6c229", "#b7c0cc", "#8ab4ff"),
    empty="#1e2530",
)
