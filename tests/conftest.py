"""Fixtures that every test may use. Backends come from the registry, never from a list here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amount import (  # noqa: F401 - hooks
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from plugin_site import Site

import convkit
from convkit import registry, state
from convkit.calls import tracing
from convkit.selection import scope
from convkit.selection.request import NOTHING


def loadable_backends() -> list[str]:
    """Return the names of the bundled backends that load on this machine."""
    names = []
    for record in convkit.backends():
        if record.name in registry.BUILTIN_ORDER:
            try:
                registry.load(record.name)
            except convkit.BackendLoadError:
                continue
            names.append(record.name)
    return names


def usable_instruction_sets() -> list[str]:
    """Return those that the compiled backend is built for and this CPU has."""
    try:
        from convkit_cython import _kernels
    except ImportError:
        return []
    return [name for name, (_, usable) in _kernels.isas().items() if usable]


def tested_instruction_sets() -> list[Any]:
    """Return the usable ones, and a test left out with the reason for one that was not built."""
    usable: list[Any] = [*usable_instruction_sets()]
    if "avx2" in usable and "wide" not in usable:
        reason = "the wide kernels are not built; make test builds them (CONVKIT_BUILD_WIDE=1)"
        usable.append(pytest.param("wide", marks=pytest.mark.skip(reason=reason)))
    return usable


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", loadable_backends())
    if "isa" in metafunc.fixturenames:
        metafunc.parametrize("isa", tested_instruction_sets(), indirect=True)


@pytest.fixture(scope="session", autouse=True)
def _temporary_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A temporary directory of the run, for child processes too; pytest removes it in time.

    Verification leaves a file there for every wrong result, which is for its user to remove.
    """
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("temporary"))
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def _own_choices() -> Iterator[None]:
    """What a test chooses for the process, or lets convkit read from variables, ends with it."""
    epoch = state.epoch
    yield
    if scope._default is not NOTHING:
        convkit.set_default_backend(None)
    if state.traced:
        tracing._switch(None)
    if state.epoch != epoch:
        convkit.reload()


@pytest.fixture
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """The compiled kernels of each instruction set in turn."""
    from convkit_cython import _kernels

    before = _kernels.active_isa()
    _kernels.set_isa(request.param)
    yield request.param
    _kernels.set_isa(before)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260504)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A folder to install plug-ins into, and processes that see it."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


@pytest.fixture
def double() -> type:
    """A backend whose methods a test replaces."""
    real = registry.load("im2col_numpy").backend

    class Double:
        name = "double"
        api_version = 1

        def supports(self, spec):
            return None

        def conv_forward(self, spec, x, w, b):
            return real.conv_forward(spec, x, w, b)

        def conv_backward(self, spec, dout, x, w, saved, needs):
            return real.conv_backward(spec, dout, x, w, saved, needs)

        def pool_forward(self, spec, x):
            return real.pool_forward(spec, x)

        def pool_backward(self, spec, dout, saved):
            return real.pool_backward(spec, dout, saved)

    return Double
