"""What the distribution asks for: little to run, and extras that hold what they promise."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def packages(requirements: list[str]) -> set[str]:
    """The names required, those of convkit's own extras among them included."""
    found: set[str] = set()
    for requirement in requirements:
        own = re.fullmatch(r"convkit-layers\[([\w,]+)\]", requirement)
        if own:
            found.update(*(packages(EXTRAS[extra]) for extra in own[1].split(",")))
        else:
            found.update(re.findall(r"^[\w.-]+", requirement))
    return found


def test_three_packages_are_needed_to_run() -> None:
    assert packages(PROJECT["project"]["dependencies"]) == {"numpy", "pluggy", "click"}


def test_all_is_everything_but_torch() -> None:
    train, onnx, test, bench, everything, dev = (
        packages(EXTRAS[extra]) for extra in ("train", "onnx", "test", "bench", "all", "dev")
    )
    assert everything == (train | onnx | test | bench) - {"torch"}
    assert "torch" in bench
    assert everything < dev
