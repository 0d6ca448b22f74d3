"""Modules under their former names: a warning that says where to go, and the same objects."""

from __future__ import annotations

import importlib
import sys

import pytest

NAMES = {
    "watch": {
        "convkit": ["trace", "register_observer", "unregister_observer"],
        "convkit.calls.tracing": ["Call", "Switch", "Tracing", "attach"],
    },
    "handover": {"convkit": ["snapshot", "restore", "wrap"]},
    "verify": {
        "convkit.replay": ["replay"],
        "convkit.calls.verifier": ["Verifier", "attach"],
    },
}


@pytest.mark.parametrize("former", NAMES)
def test_it_warns_and_has_the_same_objects(former, monkeypatch):
    monkeypatch.delitem(sys.modules, f"convkit.{former}", raising=False)
    with pytest.warns(DeprecationWarning, match=rf"^convkit\.{former} is now ") as warned:
        module = importlib.import_module(f"convkit.{former}")
    assert len(warned) == 1
    for home, names in NAMES[former].items():
        for name in names:
            assert getattr(module, name) is getattr(importlib.import_module(home), name)


def test_importing_convkit_does_not_warn(site):
    site.run("import warnings; warnings.simplefilter('error'); import convkit; convkit.snapshot()")
