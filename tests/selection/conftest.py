"""Every test of selection starts without a choice."""

from __future__ import annotations

import pytest

import convkit


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in ("BACKEND", "DISABLE", "TRACE", "VERIFY"):
        monkeypatch.delenv(f"CONVKIT_{name}", raising=False)
    convkit.reload()
