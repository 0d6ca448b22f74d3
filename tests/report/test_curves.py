"""Curves over iterations."""

from __future__ import annotations

import numpy as np
import pytest

from convkit.report import curves, plots

pytestmark = pytest.mark.long


def test_a_loss_that_explodes_is_seen_whole() -> None:
    axes = curves.loss_curve([2.3, 1e3, 1e7, 1e6]).axes[0]
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert low < 2.3
    assert high > 1e7
    assert axes.get_ylabel() == "loss (log scale)"


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ([2.0, 21.0], True),
        ([2.0, 19.0], False),
        ([2.0, np.inf], False),
        ([0.0, 5.0], False),
        ([], False),
    ],
)
def test_what_explodes(loss: list[float], said: bool) -> None:
    assert curves.exploded(loss) == said
    assert (curves.loss_curve(loss).axes[0].get_yscale() == "log") == said


def test_a_run_without_validation_has_one_curve() -> None:
    axes = curves.accuracy_curve([1, 2], [0.5, 0.75], []).axes[0]
    assert [line.get_label() for line in axes.get_lines()] == ["training, 75.0% at last"]


def test_the_best_curve_is_the_bold_one() -> None:
    pairs = {"a": ([1, 2], [1.0, 0.5]), "b": ([1, 2], [1.0, 0.7])}
    axes = curves.sweep_curves(pairs, "reg", "loss", best="b").axes[0]
    first, second = axes.get_lines()
    assert second.get_linewidth() > first.get_linewidth()
    assert (first.get_label(), second.get_label()) == ("a", "b (best)")


def test_long_labels_stand_below_the_curves() -> None:
    pairs = {f"learning-rate 0.{n}, batch-size 50": ([1, 2], [1.0, 0.5]) for n in range(1, 5)}
    figure = curves.sweep_curves(pairs, "both", "loss")
    plots.png_bytes(figure)
    axes = figure.axes[0]
    box = axes.get_window_extent()
    assert box.width > 0.7 * figure.bbox.width
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().y1 < box.y0


@pytest.mark.parametrize(
    ("name", "most", "shown"),
    [("cat", 3, "cat"), ("a long name 17", 9, "a lo…e 17"), ("abcdefgh", 4, "ab…h")],
)
def test_long_names_keep_their_ends(name: str, most: int, shown: str) -> None:
    assert curves.short(name, most) == shown
    assert len(shown) <= most
