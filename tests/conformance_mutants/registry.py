"""The list of mutants, and the decorators that put one on it.

A mutant is a backend with one bug. Its name is that of the class or function, the first line of
its docstring says what the bug is and, where known, in which library it was once real.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from conformance_mutants.base import CopyingPadding, Taps

CONV = ("out", "dx", "dw")
POOL = ("pool", "pool_dx")


@dataclass(frozen=True)
class Mutant:
    """One bug. ``needs_full`` where only ``--full`` is meant to find it."""

    name: str
    kind: str
    bug: str
    make: Callable[[], Any]
    patches: tuple[Any, ...] = ()
    needs_full: bool = False
    child: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def active(self):
        """Where the bug is in convkit itself, plant it there while this is open."""
        with contextlib.ExitStack() as stack:
            for target, name, value in self.patches:
                stack.enter_context(mock.patch.object(target, name, value))
            yield


#: Mutants by set: those the suite was developed with, those written by somebody who had not seen
#: how the suite draws its problems, and bugs that published libraries shipped.
SETS: dict[str, dict[str, Mutant]] = {"planted": {}, "fresh": {}, "happened": {}}
MUTANTS = SETS["planted"]


def _add(subject: Any, make: Any, **options: Any) -> Any:
    name, bug = subject.__name__.strip("_"), inspect.getdoc(subject)
    if any(name in mutants for mutants in SETS.values()) or not bug:
        raise ValueError(f"mutant {name!r} is on the list already, or says nothing")
    _, *folder, kind = subject.__module__.split(".")
    mutants = SETS[folder[0] if folder else "planted"]
    mutants[name] = Mutant(name, kind, " ".join(bug.split()), make, **options)
    return subject


def mutant(cls: Any = None, **options: Any) -> Any:
    """Put a backend class on the list."""
    if cls is None:
        return lambda c: mutant(c, **options)
    cls.name = cls.__name__ if "name" not in vars(cls) else cls.name
    return _add(cls, cls, **options)


def geometry(*where: str, **options: Any) -> Any:
    """Put on the list: a function of the spec that returns the spec as it is misread."""

    def add(function: Any) -> Any:
        def read(self: Any, spec: Any, what: str) -> Any:
            return function(spec) if what in where else spec

        made = type(function.__name__, (Taps,), {"geometry": read, "name": function.__name__})
        return _add(function, made, **options)

    return add


def sources(mode: str, *where: str, **options: Any) -> Any:
    """Put on the list: a function (spec, axis, table) that spoils which pixels padding copies.

    In one mode or in ``"all"``, for those of ``where``: out, dx and dw. -1 is a zero.
    """

    def add(function: Any) -> Any:
        def table(self: Any, spec: Any, axis: int, what: str) -> Any:
            right = CopyingPadding.table(self, spec, axis, what)
            wrong = what in where and mode in ("all", spec.pad_mode)
            return function(spec, axis, right) if wrong else right

        body = {"table": table, "name": function.__name__}
        return _add(function, type(function.__name__, (CopyingPadding,), body), **options)

    return add


def result(method: str, base: type = Taps, **options: Any) -> Any:
    """Put on the list: a function (spec, result, *inputs) that spoils what ``method`` returned.

    What it returns, if anything, takes the result's place.
    """

    def add(function: Any) -> Any:
        right = getattr(base, method)

        def wrong(self: Any, spec: Any, *inputs: Any) -> Any:
            value = right(self, spec, *inputs)
            other = function(spec, value, *inputs)
            return value if other is None else other

        body = {method: wrong, "name": function.__name__}
        return _add(function, type(function.__name__, (base,), body), **options)

    return add


def host(*patches: tuple[Any, str, Any], base: type = Taps, **options: Any) -> Any:
    """Put on the list: a bug in convkit itself, between the caller and a correct backend."""

    def add(function: Any) -> Any:
        made = type(function.__name__, (base,), {"name": function.__name__})
        planted = tuple((target, name, value) for target, name, value in patches)
        return _add(function, made, patches=planted, **options)

    return add
