"""The protocol of a backend is what backends have, and the hooks are pluggy's."""

from __future__ import annotations

from typing import Any

import pluggy
import pytest

from convkit import registry
from convkit.contract import PROJECT, Backend, HookSpec, ObserverSpec, hookimpl


def test_every_bundled_backend_is_one(backend: str) -> None:
    assert isinstance(registry.load(backend).backend, Backend)


def test_an_object_without_a_method_is_none(double: Any) -> None:
    assert isinstance(double(), Backend)
    del double.pool_backward
    assert not isinstance(double(), Backend)


@pytest.mark.parametrize("spec", [HookSpec, ObserverSpec])
def test_the_hooks_are_pluggy_s(spec: type) -> None:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(spec)
    (name,) = [name for name in vars(spec) if name.startswith(PROJECT)]
    assert getattr(manager.hook, name).spec is not None


def test_of_several_plug_ins_the_first_answer_is_the_backend() -> None:
    class Plugin:
        @hookimpl
        def convkit_backend(self) -> str:
            return "backend"

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HookSpec)
    manager.register(Plugin())
    assert manager.hook.convkit_backend() == "backend"
