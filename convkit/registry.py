"""The registry: find, load and check backends; keep what is broken apart from what works.

It knows no backend's name but the built-in order, imports a backend only when one is wanted, and
lets no broken plug-in disturb another: whatever a plug-in does wrong stays in its record. It
computes nothing and selects nothing (:mod:`convkit.selection` does). Nothing here runs when convkit
is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from convkit import state
from convkit.errors import BackendLoadError, BackendNotFoundError
from convkit.names import normalise_distribution, normalise_name, suggest
from convkit.version import DISTRIBUTION

if TYPE_CHECKING:
    import pluggy

    from convkit.contract import Backend

BUILTIN_ORDER = ("cython", "im2col_numpy", "naive")
AUTO = "auto"

MAX_OBJECTS = 1024


class Record:
    """One backend as the registry sees it. ``state``: advertised, loaded, broken or blocked.

    A record is shared by all who hold it and changes once, from advertised to loaded or broken,
    under its own lock, so a slow import of one backend does not delay the others.
    """

    def __init__(
        self, name: str, value: str, distribution: str = "", version: str = "", problem: str = ""
    ) -> None:
        self.name = name
        self.value = value
        self.distribution = distribution
        self.version = version
        self.problem = problem
        self.traceback = ""
        self.backend: Backend | None = None
        self.given = False  # as an object, which no reload replaces
        self.state = "broken" if problem else "advertised"
        self.epoch = state.epoch
        self.lock = threading.RLock()

    @property
    def builtin(self) -> bool:
        """Whether the automatic choice may take this backend."""
        return self.name in BUILTIN_ORDER and self.value == f"convkit_{self.name}"

    @property
    def bundled(self) -> bool:
        """Whether this backend comes with convkit, to be chosen automatically or not."""
        return self.distribution == DISTRIBUTION

    @property
    def owner(self) -> str:
        """The distribution and its version, or where the backend comes from."""
        return f"{self.distribution} {self.version}".strip() or self.value

    def method(self, name: str) -> Callable[..., Any] | None:
        """Return an optional method of the loaded backend, or None."""
        found: Callable[..., Any] | None = getattr(self.backend, name, None)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process finds the backend by its name, or gets the object that was given."""
        return (record_of_object, (self.backend,)) if self.given else (find, (self.name,))

    def __repr__(self) -> str:
        return f"<backend {self.name!r}, {self.state}, from {self.owner}>"


_lock = state.lock
_records: list[Record] | None = None
_by_name: dict[str, Record] = {}
_objects: dict[int, Record] = {}
_manager: pluggy.PluginManager | None = None


def _renew_locks() -> None:
    """Give every record a lock of its own in a forked child.

    Another thread may hold one for as long as an import takes, too long for a fork to wait.
    """
    for record in (*(_records or ()), *_by_name.values(), *_objects.values()):
        record.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


# --- find -----------------------------------------------------------------------------------


def backends() -> list[Record]:
    """Return what is advertised, loaded, broken or blocked, built-in first. Loads nothing.

    A name that several packages claim is listed once for each of them.
    """
    order = {name: i for i, name in enumerate(BUILTIN_ORDER)}
    with _lock:
        everything = [*_known(), *(r for r in _by_name.values() if ":" in r.name)]
    return sorted(everything, key=lambda r: (order.get(r.name, len(order)), r.name, r.problem))


def find(name: str) -> Record:
    """Return the record of an advertised or ``module:object`` backend, not loading it."""
    key = name.strip() if ":" in name else normalise_name(name)
    with _lock:
        _known()
        record = _by_name.get(key)
        if record is None and ":" in key:
            record = _by_name[key] = Record(key, key)
        if record is not None:
            return record
        names = sorted(n for n in _by_name if ":" not in n)
    error = BackendNotFoundError(
        f"backend (={name!r}) must be one of {', '.join(names) or 'none'}, or module:object; "
        + (suggest(key, names) or "install the package that provides it")
    )
    error.backend = name
    raise error


def _known() -> list[Record]:
    global _records
    if _records is None:
        found = list(_discover())
        _by_name.clear()
        for record in found:
            if record.name not in _by_name or record.builtin:
                _by_name[record.name] = record
        _records = found
    return _records


def _discover() -> Iterator[Record]:
    """Walk the entry points one by one: pluggy's own loader imports all, and stops at the first
    that is broken."""
    blocked = blocked_names()
    claims: dict[str, list[Record]] = {}
    for claim in _claims():
        twins = claims.setdefault(claim.name, [])
        if all((t.value, t.distribution) != (claim.value, claim.distribution) for t in twins):
            twins.append(claim)
    for name, twins in claims.items():
        own = [t for t in twins if t.builtin][:1]
        for claim in twins:
            if claim not in own:
                _settle(claim, twins, taken=name in (AUTO, *BUILTIN_ORDER))
            if name in blocked:
                _plugin_manager().set_blocked(name)
                claim.state, claim.problem = "blocked", "blocked by CONVKIT_DISABLE"
            yield claim


def _claims() -> Iterator[Record]:
    from importlib.metadata import distributions

    from convkit.contract import ENTRY_POINT_GROUP as GROUP

    seen = set()
    for dist in distributions():
        try:
            if GROUP not in (dist.read_text("entry_points.txt") or ""):
                continue
            if normalise_distribution(dist.name) in seen:
                continue
            seen.add(normalise_distribution(dist.name))
            entries = [e for e in dist.entry_points if e.group == GROUP]
            for e in entries:
                value = e.value.split("[")[0].strip()
                yield Record(normalise_name(e.name), value, dist.name, dist.version)
        except Exception as error:
            where = getattr(dist, "_path", "an unnamed distribution")
            problem = f"its metadata cannot be read: {type(error).__name__}: {error}"
            yield Record(f"({getattr(where, 'name', where)})", "", problem=problem)


def _settle(claim: Record, twins: list[Record], *, taken: bool) -> None:
    """Mark a claim of a name that is reserved, or that another package claims too."""
    if taken:
        claim.problem = f"{claim.owner} claims the name {claim.name!r}, which convkit keeps"
        claim.problem += " for itself; rename the backend"
    elif len(twins) > 1:
        owners = ", ".join(sorted(t.owner for t in twins))
        claim.problem = f"the name {claim.name!r} is claimed by {len(twins)} distributions: "
        claim.problem += f"{owners}; uninstall all but one"
    if claim.problem:
        claim.state = "broken"


def blocked_names() -> set[str]:
    """Return the names in CONVKIT_DISABLE, a comma list."""
    text = os.environ.get("CONVKIT_DISABLE", "")
    return {normalise_name(name) for name in text.split(",") if name.strip()}


# --- load -----------------------------------------------------------------------------------


def load(name: str | Backend) -> Record:
    """Return the loaded record of a backend, given its name, ``module:object`` or itself.

    Raises BackendNotFoundError or BackendLoadError. A failure is kept, traceback included, and not
    tried again until ``reload``.
    """
    record = find(name) if isinstance(name, str) else record_of_object(name)
    if record.state == "advertised":
        with record.lock:
            if record.state == "advertised":
                _load(record)
    if record.state != "loaded":
        raise BackendLoadError(f"backend {record.name!r} cannot be loaded: {record.problem}")
    return record


def record_of_object(backend: Backend) -> Record:
    """Return the record of a backend object, which is checked the first time."""
    with _lock:
        record = _objects.get(id(backend))  # a record keeps its backend, so ids are not reused
        if record is None:
            from convkit.plugin_check import check_backend

            problem = check_backend(backend)
            if problem:
                raise BackendLoadError(f"backend (={backend!r}) is not usable: {problem}")
            if len(_objects) >= MAX_OBJECTS:
                _objects.clear()
            kind = type(backend)
            record = Record(backend.name, f"{kind.__module__}:{kind.__qualname__}")
            record.backend, record.state, record.given = backend, "loaded", True
            _objects[id(backend)] = record
        return record


def reload() -> None:
    """Forget what was found, loaded and read from the environment; the next use starts afresh.

    Caches made before belong to the backends of then, and are refused from now on.
    """
    global _records, _manager
    with _lock:
        for record in _records or ():
            if record.state == "broken":  # it may have been mended: let it be imported again
                sys.modules.pop(record.value.partition(":")[0], None)
        importlib.invalidate_caches()
        _records = None
        _manager = None
        _by_name.clear()
        _objects.clear()
        state.reloaded()


def _load(record: Record) -> None:
    """Import, obtain and check one backend; whatever goes wrong stays in its record."""
    from convkit.plugin_check import check_backend

    try:
        backend = _obtain(record)
        by_entry_point = "" if ":" in record.name else record.name
        problem = check_backend(backend, by_entry_point, record.owner)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plug-in may also call sys.exit
        import traceback

        record.problem = f"{type(error).__name__}: {error}"
        record.traceback = traceback.format_exc()
        record.state = "broken"
        return
    if problem:
        record.problem = problem
        record.traceback = f"{type(backend).__module__}:{type(backend).__qualname__}: {problem}\n"
        record.state = "broken"
        return
    record.backend = backend
    record.state = "loaded"


def _obtain(record: Record) -> Any:
    module, _, path = record.value.partition(":")
    found: Any = importlib.import_module(module)
    for part in filter(None, path.split(".")):
        found = getattr(found, part)
    if hasattr(found, "convkit_backend"):
        return _ask_plugin(found, record.name)
    if isinstance(found, type):
        return found()
    if isinstance(found, type(sys)) and not hasattr(found, "conv_forward"):
        raise BackendLoadError(
            f"module {module!r} has no convkit_backend(), marked with convkit.contract.hookimpl"
        )
    return found


def _ask_plugin(plugin: Any, name: str) -> Any:
    """Register with pluggy, which checks the hook's signature, and call this plug-in's own."""
    with _lock:
        manager = _plugin_manager()
        if not manager.is_registered(plugin):
            manager.register(plugin, name=name)
    for implementation in manager.hook.convkit_backend.get_hookimpls():
        if implementation.plugin is plugin:
            return implementation.function()
    raise BackendLoadError(
        f"convkit_backend of {name!r} must be marked with convkit.contract.hookimpl"
    )


def _plugin_manager() -> pluggy.PluginManager:
    global _manager
    if _manager is None:
        import pluggy

        from convkit.contract import PROJECT, HookSpec

        _manager = pluggy.PluginManager(PROJECT)
        _manager.add_hookspecs(HookSpec)
    return _manager
