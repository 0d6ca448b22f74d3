"""Python started with -O or -OO, which removes asserts and docstrings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from convkit.conformance import CHECKS

pytestmark = pytest.mark.long

DECLINING = """
from convkit.contract import API_VERSION

class Declining:
    name, api_version = "declining", API_VERSION
    def supports(self, spec): return "nothing is supported"
    def conv_forward(self, spec, x, w, b): ...
    def conv_backward(self, spec, dout, x, w, saved, needs): ...
    def pool_forward(self, spec, x): ...
    def pool_backward(self, spec, dout, saved): ...
"""


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("flag", ["-O", "-OO"])
def test_the_command_line_works(tmp_path: Path, flag: str) -> None:
    listed = run(flag, "-m", "convkit", "conformance", "--list", folder=tmp_path)
    assert listed.stderr == ""
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(CHECKS)
    checked = run(
        *(flag, "-m", "convkit", "conformance", "naive", "--quick", "--check", "repeat"),
        folder=tmp_path,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    options = ["--iterations", "3", "--no-speedups", "--out", "runs", "--name", "a"]
    trained = run(flag, "-m", "convkit", "train", *options, folder=tmp_path)
    assert (trained.returncode, trained.stderr) == (0, "")


@pytest.mark.parametrize("flag", ["-O", "-OO"])
def test_the_suite_in_pytest_still_fails_a_backend_that_declines_everything(
    tmp_path: Path, flag: str
) -> None:
    (tmp_path / "declining.py").write_text(DECLINING)
    done = run(
        *(flag, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "repeat or something"),
        *("--pyargs", "convkit.conformance", "--convkit-backend", "declining:Declining"),
        *("--convkit-level", "quick"),
        folder=tmp_path,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_something_was_right" in done.stdout
