"""Options and subjects of the benchmarks; they come from the registry and the shape table."""

from __future__ import annotations

from typing import Any

import pytest

from convkit.bench import problems, subjects
from convkit.errors import ConvkitError
from convkit.registry import BUILTIN_ORDER


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("convkit benchmarks")
    group.addoption("--convkit-set", default="course", help="sets or shapes, with commas")
    group.addoption("--convkit-backends", default="", help="backends, with commas, or torch")
    group.addoption("--convkit-dtypes", default="float32,float64", help="with commas")


def _names(config: pytest.Config) -> list[str]:
    text = config.getoption("--convkit-backends") or ",".join(
        [*(name for name in BUILTIN_ORDER if name != "naive"), "torch"]
    )
    return [name.strip() for name in text.split(",") if name.strip()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "problem" not in metafunc.fixturenames:
        return
    cases = [
        pytest.param(
            problem, direction, dtype, name, id=f"{problem.name}-{direction}-{dtype}-{name}"
        )
        for problem in problems.chosen(metafunc.config.getoption("--convkit-set"))
        for direction in ("forward", "backward")
        for dtype in metafunc.config.getoption("--convkit-dtypes").split(",")
        for name in _names(metafunc.config)
    ]
    metafunc.parametrize(("problem", "direction", "dtype", "name"), cases)


@pytest.fixture
def subject(name: str) -> Any:
    """The backend or peer, or a skip that says why it is not there."""
    try:
        return subjects.Torch() if name == "torch" else subjects.Ours(name)
    except ConvkitError as error:
        pytest.skip(str(error))
