"""The examples run as they are, from top to bottom."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_course_walk_runs_and_learns(tmp_path: Path) -> None:
    for package in ("matplotlib", "sklearn"):
        pytest.importorskip(package, reason=f"the example needs {package} (extra 'train')")
    picture = tmp_path / "filters.png"
    done = subprocess.run(
        [sys.executable, EXAMPLES / "convolutional_networks.py", picture],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    accuracy = re.search(r"^test accuracy: ([\d.]+)$", done.stdout, re.MULTILINE)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.8
    assert picture.read_bytes().startswith(b"\x89PNG")
