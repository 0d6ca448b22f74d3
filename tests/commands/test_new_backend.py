"""``convkit new-backend`` writes a package that works at once; the example was made with it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import convkit
from convkit import cli
from convkit.templates.package import render

EXAMPLE = Path(__file__).parents[2] / "examples" / "fft_backend"


def python(code: str, *folders: Path, **variables: str) -> str:
    search = os.pathsep.join(map(str, folders))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": search} | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_is_complete(tmp_path, capsys):
    folder = tmp_path / "deep" / "package"
    assert cli.run(["new-backend", "My-Taps", "--output", str(folder)]) == 0
    assert "pytest" in capsys.readouterr().out
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "convkit-my-taps"
    assert project["entry-points"]["convkit.backends"] == {"my_taps": "convkit_my_taps"}
    for path in ("README.md", ".gitignore", ".github/workflows/test.yml"):
        assert (folder / path).read_text()
    for path in folder.rglob("*"):
        assert path.is_dir() or "$name" not in path.read_text()
    assert "${{ matrix.python }}" in (folder / ".github/workflows/test.yml").read_text()
    assert [p.name for p in folder.parent.iterdir()] == ["package"]


def test_its_first_kernel_works(tmp_path):
    assert cli.run(["new-backend", "taps", "--output", str(tmp_path / "p")]) == 0
    code = """
import numpy as np, convkit
rng = np.random.default_rng(0)
x, w = rng.standard_normal((2, 4, 7, 6)), rng.standard_normal((6, 2, 3, 2))
with convkit.verify_with('im2col_numpy'):
    out, cache = convkit.conv_forward(x, w, stride=(2, 1), pad=1, groups=2)
    convkit.conv_backward(out, cache)
    for kind in ('max', 'avg'):
        out, pooled = getattr(convkit, f'{kind}_pool_forward')(x, kernel=3, stride=2, pad=1)
        getattr(convkit, f'{kind}_pool_backward')(out, pooled)
print(cache.backend)
"""
    chosen = "convkit_taps:TapsBackend"
    out = python(code, tmp_path / "p", CONVKIT_BACKEND=chosen)
    assert out.strip() == chosen


@pytest.mark.parametrize("name", ["naive", "auto", "3d", "a b", "class", "ä", ""])
def test_a_name_that_cannot_be_used_writes_nothing(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["new-backend", name]) == 2
    assert "NAME" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work").write_text("dear")
    assert cli.run(["new-backend", "x", "--output", str(tmp_path / "mine")]) == 1
    assert "exists" in capsys.readouterr().err
    assert (tmp_path / "mine" / "work").read_text() == "dear"


def test_the_example_is_made_by_it():
    texts = render("fft")
    assert {str(p.relative_to(EXAMPLE)) for p in EXAMPLE.rglob("*") if p.is_file()} >= set(texts)
    for path in (".gitignore", ".github/workflows/test.yml", "tests/test_conformance.py"):
        assert (EXAMPLE / path).read_text() == texts[path]
    made = {
        n.name for n in ast.walk(ast.parse(texts["convkit_fft/__init__.py"])) if hasattr(n, "name")
    }
    own = ast.parse((EXAMPLE / "convkit_fft/__init__.py").read_text())
    assert made <= {n.name for n in ast.walk(own) if hasattr(n, "name")}


def test_the_example_computes_what_others_compute(monkeypatch, rng):
    pytest.importorskip("scipy")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    x, w = rng.standard_normal((2, 4, 17, 16)), rng.standard_normal((6, 2, 7, 5))
    geometry = {"stride": (2, 1), "pad": (3, 1), "dilation": (1, 2), "groups": 2}
    fft = "convkit_fft:FftBackend"
    with convkit.verify_with("im2col_numpy"):
        out, cache = convkit.conv_forward(x, w, np.ones(6), **geometry, backend=fft)
        convkit.conv_backward(rng.standard_normal(out.shape), cache)
    assert cache.plan.record.backend.exact is False
