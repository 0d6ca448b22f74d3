"""A fresh virtual environment, and running things away from the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_ANYWHERE = shutil.ignore_patterns(
    ".git", ".venv", "*.egg-info", "*.so", "__pycache__", "_kernels.c", ".*_cache", ".hypothesis",
    ".benchmarks",
)  # fmt: skip
_AT_THE_TOP = {"build", "dist", "site", "runs", "data"}  # convkit/training/data is a package


def LEFT_OUT(folder: str, names: list[str]) -> set[str]:
    """What a copy of the sources is made without; for `shutil.copytree`."""
    top = _AT_THE_TOP if Path(folder) == ROOT else set()
    return _ANYWHERE(folder, names) | top.intersection(names)


#: Variables that could lead back to the sources, or that the run of these tests was given itself.
OWN_VARIABLES = ("CONVKIT", "PYTHON", "PYTEST", "MAKE", "MFLAGS")


def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command away from the sources, with none of the ``OWN_VARIABLES``."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(OWN_VARIABLES)}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=own | dict(env or {}),
        capture_output=True,
        text=True,
    )
    if check and done.returncode:
        pytest.fail(f"{command} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


#: The builds test packaging, not speed: without optimisation they take a fraction of the time.
QUICK = {"CONVKIT_CFLAGS": "-O0"}


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip; this test's own pip installs into it."""

    folder: Path
    elsewhere: Path

    @property
    def bin(self) -> Path:
        """The folder of its scripts."""
        return self.folder / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.bin / "python"

    def install(self, *what: str | Path, env: Mapping[str, str] | None = None) -> None:
        """``pip install`` into it."""
        pip = (sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet")
        run(*pip, *what, cwd=self.elsewhere, env=QUICK | dict(env or {}))

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of its scripts, from a folder that holds nothing of convkit."""
        script, *arguments = command
        return run(self.bin / script, *arguments, cwd=self.elsewhere, check=check)
