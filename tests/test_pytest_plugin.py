"""Every pytest session loads the plug-in, so it costs little and adds nothing but three options."""

from __future__ import annotations

import pytest

from convkit import pytest_plugin


def test_its_options_have_their_defaults(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getoption("--convkit-backend") is None
    assert pytestconfig.getoption("--convkit-level") == "default"
    assert pytestconfig.getoption("--convkit-seed") == 0


def test_it_is_options_alone() -> None:
    hooks = [name for name in vars(pytest_plugin) if name.startswith("pytest_")]
    assert hooks == ["pytest_addoption"]


def test_it_loads_neither_the_suite_nor_a_backend(site) -> None:
    site.run(
        "import sys, convkit; before = set(sys.modules)\n"
        "import convkit.pytest_plugin\n"
        "assert set(sys.modules) - before == {'convkit.pytest_plugin'}"
    )
