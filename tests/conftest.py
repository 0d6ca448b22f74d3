"""Fixtures that every test may use. Backends come from the registry, never from a list here."""

from __future__ import annotations

import numpy as np
import pytest

import convkit


def loadable_backends() -> list[str]:
    """Return the names of the bundled backends that load on this machine."""
    from convkit.registry import BUILTIN_ORDER, load

    names = []
    for record in convkit.backends():
        if record.name in BUILTIN_ORDER:
            try:
                load(record.name)
            except convkit.BackendLoadError:
                continue
            names.append(record.name)
    return names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", loadable_backends())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260504)
