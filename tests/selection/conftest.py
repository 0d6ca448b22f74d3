"""Every test of selection starts without a choice, and leaves none."""

from __future__ import annotations

import pytest

import convkit


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in ("BACKEND", "DISABLE", "TRACE", "VERIFY"):
        monkeypatch.delenv(f"CONVKIT_{name}", raising=False)
    convkit.reload()
    yield
    convkit.set_default_backend(None)
    monkeypatch.undo()
    convkit.reload()
