"""The themes of the plots: colours that can be told apart, and figures without a display."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("matplotlib", reason="plots need matplotlib (extra 'train')")

from matplotlib.colors import to_rgb

from convkit.report.theme import DARK, LIGHT

EACH = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    """Contrast ratio as WCAG 2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@EACH
def test_text_is_readable_on_its_paper(theme):
    assert contrast(theme.ink, theme.paper) >= 7
    assert contrast(theme.muted, theme.paper) >= 4.5


@EACH
def test_series_can_be_seen_and_told_apart(theme):
    assert len(set(theme.series)) == len(theme.series) >= 7
    for colour in theme.series:
        assert contrast(colour, theme.paper) >= 2.5, colour


@EACH
def test_a_figure_is_drawn_without_a_display(theme):
    figure = theme.figure(3, 2)
    axes = theme.axes(figure, "step", "loss")
    axes.plot([1, 2], label="train", color=theme.series[0])
    theme.legend(axes)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")
    assert figure.get_facecolor()[:3] == to_rgb(theme.paper)
    assert [side for side, spine in axes.spines.items() if spine.get_visible()] == ["bottom"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss")
