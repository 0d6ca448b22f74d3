"""Fixtures: a fresh environment, and a clean copy of the sources, and the distributions."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from environments import LEFT_OUT, QUICK, ROOT, Environment, run
from filelock import FileLock


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


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run that all workers of pytest-xdist have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def distributions(shared: Path) -> dict[str, Path]:
    """The sdist of a clean copy and the wheel built from that sdist: built once, for every test."""
    out = shared / "distributions"
    with FileLock(shared / "distributions.lock"):
        if not out.exists():
            copy = shared / "distributed"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
            made = shared / "distributions.part"
            shutil.rmtree(made, ignore_errors=True)
            # Without --sdist or --wheel the wheel is built from the sdist, not from the copy.
            run(sys.executable, "-m", "build", "--outdir", made, copy, cwd=shared, env=QUICK)
            made.rename(out)
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}
