"""Every figure of a page has the data it shows."""

from __future__ import annotations

import pytest
from bench_cases import make_row

from convkit.bench.scaling import Scaling


def test_figures_hold_every_row_and_curve() -> None:
    pytest.importorskip("matplotlib")
    from convkit.bench import plots

    rows = [
        make_row(name, seconds, problem=problem, direction=direction)
        for name, seconds in (("cython", 1.0), ("torch", 2.0))
        for problem in ("a", "b")
        for direction in ("forward", "backward")
    ]
    curve = Scaling("a: batch", "images", [1, 4], {"cython": [2.0, 3.0], "torch": [1.0]})
    figures = plots.figures(rows, [curve])
    assert list(figures) == ["roofline", "speedup", "scaling_images"]
    (roofline,) = figures["roofline"].axes
    points = {line.get_label(): len(line.get_xdata()) for line in roofline.lines}
    assert points == {"cython": 2, "torch": 2, "roof, float32": 3}
    panels = figures["speedup"].axes
    assert [panel.get_title() for panel in panels] == ["float32 forward", "float32 backward"]
    assert [list(panel.lines[0].get_xdata()) for panel in panels] == [[2.0, 2.0]] * 2
    lines = figures["scaling_images"].axes[0].lines
    assert [list(line.get_ydata()) for line in lines] == [[2.0, 3.0], [1.0]]
