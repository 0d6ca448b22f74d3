"""What the distribution asks for: little to run, and extras that hold what they promise."""

from __future__ import annotations

import re
from importlib.metadata import requires

NAME = re.compile(r"[\w.-]+")


def extras() -> dict[str, set[str]]:
    """The packages of each extra, those of the extras it names included; "" is what always runs."""
    found: dict[str, set[str]] = {}
    for line in requires("convkit-layers") or ():
        text, _, marker = line.partition(";")
        extra = re.search(r'extra == "(\w+)"', marker)
        nested = re.search(r"convkit-layers\[([\w,]+)\]", text)
        names = set(nested[1].split(",")) if nested else {NAME.match(text)[0]}  # type: ignore[index]
        found.setdefault(extra[1] if extra else "", set()).update(names)
    for wide in ("all", "dev"):
        for name in found[wide] & set(found):
            found[wide] = found[wide] - {name} | found[name]
    return found


def test_three_packages_are_needed_to_run() -> None:
    assert extras()[""] == {"numpy", "pluggy", "click"}


def test_all_is_everything_but_torch() -> None:
    found = extras()
    assert found["all"] == (found["train"] | found["test"] | found["bench"]) - {"torch"}
    assert "torch" in found["bench"]
    assert found["all"] < found["dev"]
