"""The files of a new backend's package: rendered for any usable name, written all or none."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from convkit.errors import ParameterError
from convkit.templates.package import FILES, render, write


def test_a_name_is_filled_in_everywhere() -> None:
    texts = render("My-Taps")
    assert len(texts) == len(FILES)
    assert "convkit_my_taps/__init__.py" in texts
    assert not any("$name" in text or "{module}" in path for path, text in texts.items())
    module = ast.parse(texts["convkit_my_taps/__init__.py"])
    assert "MyTapsBackend" in {n.name for n in module.body if isinstance(n, ast.ClassDef)}


@pytest.mark.parametrize("name", ["naive", "auto", "3d", "a b", "class", "ä", ""])
def test_a_name_that_cannot_be_used_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="NAME"):
        render(name)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    write({"a/b.txt": "ä", "c.txt": "c"}, tmp_path / "deep" / "new")
    assert (tmp_path / "deep" / "new" / "a" / "b.txt").read_text("utf-8") == "ä"
    with pytest.raises(ParameterError, match="exists"):
        write({"c.txt": "other"}, tmp_path / "deep" / "new")
    assert (tmp_path / "deep" / "new" / "c.txt").read_text() == "c"
    with pytest.raises(OSError, match="too long"):
        write({"c.txt": "c", "n" * 300: ""}, tmp_path / "deep" / "other")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["new"]
