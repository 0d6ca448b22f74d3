"""Pages from templates: escaped, complete, and a missing jinja2 in words."""

from __future__ import annotations

import sys

import pytest

from convkit.errors import ConvkitError
from convkit.report import rendering
from convkit.report.theme import DARK, LIGHT


def test_a_missing_jinja2_is_said_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ConvkitError, match="HTML report needs the module 'jinja2'"):
        rendering.engine()


def test_both_themes_are_in_the_style_and_a_missing_value_is_an_error() -> None:
    jinja2 = pytest.importorskip("jinja2", reason="pages need jinja2 (extra 'train')")
    style = rendering.fill("style.css.j2")
    assert f"--ink: {LIGHT.ink}" in style
    assert f"--ink: {DARK.ink}" in style
    with pytest.raises(jinja2.UndefinedError):
        rendering.fill("report.html.j2")


def test_the_colours_need_no_matplotlib() -> None:
    import subprocess

    code = "import sys, convkit.report.rendering; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
