"""Fixtures: a fresh environment, and one clean copy of the sources that every build starts from."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import QUICK, Environment, run

ROOT = Path(__file__).parent.parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "site", "runs", "data", "*.egg-info", "*.so", "__pycache__",
    "_kernels.c", ".*_cache", ".hypothesis", ".benchmarks",
)  # fmt: skip


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A fresh virtual environment and an empty folder to use it from."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", cwd=elsewhere)
    return Environment(tmp_path / "env", elsewhere)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the sources with nothing built in it."""
    copy = tmp_path / "sources"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    return copy


@pytest.fixture
def build(tmp_path: Path, sources: Path) -> Callable[[str], Path]:
    """Build ``sdist`` or ``wheel`` of the clean copy; give its file."""

    def build_one(kind: str) -> Path:
        out = tmp_path / kind
        run(
            sys.executable, "-m", "build", f"--{kind}", "--outdir", out, sources,
            cwd=tmp_path, env=QUICK,
        )  # fmt: skip
        (file,) = out.iterdir()
        return file

    return build_one
