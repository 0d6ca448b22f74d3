"""The registry: find, load, check, select and explain backends.

It knows no backend's name but the built-in order, imports a backend only when one is wanted, and
lets no broken plug-in disturb another. It computes nothing and never replaces what was chosen by
name. Nothing here runs when convkit is imported.
"""

from __future__ import annotations

import contextvars
import difflib
import importlib
import inspect
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from convkit.errors import (
    BackendLoadError,
    BackendNotFoundError,
    BackendUnsupportedError,
    ParameterError,
)

if TYPE_CHECKING:
    import pluggy

    from convkit.contract import Backend
    from convkit.spec import ConvSpec, PoolSpec

    Problem: TypeAlias = ConvSpec | PoolSpec

BUILTIN_ORDER = ("cython", "im2col_numpy", "naive")
AUTO = "auto"

Choice: TypeAlias = "str | Backend | Sequence[str | Backend]"
Request: TypeAlias = "tuple[str | Backend, ...]"

METHODS = {
    "supports": 1,
    "conv_forward": 4,
    "conv_backward": 6,
    "pool_forward": 2,
    "pool_backward": 3,
}
OPTIONAL_METHODS = {
    "conv_infer": 4,
    "pool_infer": 2,
    "conv_relu_pool_forward": 5,
    "conv_relu_pool_backward": 7,
    "set_num_threads": 1,
    "info": 0,
}


@dataclass
class Record:
    """One backend as the registry sees it. ``state`` is advertised, loaded, broken or blocked."""

    name: str
    value: str
    distribution: str = ""
    version: str = ""
    state: str = "advertised"
    backend: Backend | None = None
    problem: str = ""
    traceback: str = ""

    @property
    def builtin(self) -> bool:
        """Whether the automatic choice may take this backend."""
        return self.name in BUILTIN_ORDER

    def method(self, name: str) -> Callable[..., Any] | None:
        """Return an optional method of the loaded backend, or None."""
        found: Callable[..., Any] | None = getattr(self.backend, name, None)
        return found


@dataclass(frozen=True)
class Selection:
    """Which backend computes a problem, who chose it, and why each other one does not."""

    problem: str
    winner: str | None
    source: str
    request: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...] = ()
    record: Record | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        head = f"{self.problem}: {self.winner or 'no backend'} (chosen by {self.source})"
        return "\n".join([head, *(f"  not {name}: {reason}" for name, reason in self.rejected)])


_lock = threading.RLock()
_records: dict[str, Record] | None = None
_objects: dict[int, Record] = {}
_environment: str | None = None
_default: Request | None = None
_manager: pluggy.PluginManager | None = None

generation = 0
"""Changes whenever a stored plan may have become wrong; part of every plan's key."""

context: contextvars.ContextVar[Request | None] = contextvars.ContextVar(
    "convkit_backend", default=None
)


# --- find -----------------------------------------------------------------------------------


def fold(name: str) -> str:
    """Return a name as it is compared: lower case, ``-`` as ``_``, no blanks around it."""
    return name.strip().lower().replace("-", "_")


def records() -> dict[str, Record]:
    """Return every advertised backend by name. Loads none."""
    global _records
    with _lock:
        if _records is None:
            _records = _discover()
        return _records


def _discover() -> dict[str, Record]:
    from importlib.metadata import entry_points

    from convkit.contract import ENTRY_POINT_GROUP

    blocked = {fold(n) for n in os.environ.get("CONVKIT_DISABLE", "").split(",") if n.strip()}
    claims: dict[str, list[Record]] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        dist = entry.dist
        claim = Record(
            name=fold(entry.name),
            value=entry.value,
            distribution=dist.name if dist else "",
            version=dist.version if dist else "",
        )
        twins = claims.setdefault(claim.name, [])
        if all((t.value, t.distribution) != (claim.value, claim.distribution) for t in twins):
            twins.append(claim)
    found = {name: _settle(name, twins) for name, twins in claims.items()}
    for name in blocked & found.keys():
        found[name].state = "blocked"
        found[name].problem = "blocked by CONVKIT_DISABLE"
    return found


def _settle(name: str, claims: list[Record]) -> Record:
    """Return the one claimant of a name; a built-in keeps its name, other repeats lose theirs."""
    if name in BUILTIN_ORDER:
        own = [c for c in claims if c.value == f"convkit_{name}"]
        if own:
            return own[0]
    if len(claims) == 1 and name not in (AUTO, *BUILTIN_ORDER):
        return claims[0]
    broken = claims[0]
    broken.state = "broken"
    owners = ", ".join(sorted(c.distribution or c.value for c in claims))
    broken.problem = (
        f"the name is reserved, but is claimed by {owners}"
        if len(claims) == 1
        else f"the name is claimed by {len(claims)} distributions: {owners}; uninstall all but one"
    )
    return broken


# --- load and check -------------------------------------------------------------------------


def load(name: str | Backend) -> Record:
    """Return the loaded record of a backend, given its name, ``module:object`` or itself.

    Raises BackendNotFoundError or BackendLoadError. A failure is remembered until ``reload``.
    """
    if not isinstance(name, str):
        return _adopt(name)
    record = find(name)
    if record.state == "advertised":
        with _lock:
            if record.state == "advertised":
                _load(record)
    if record.state != "loaded":
        raise BackendLoadError(f"backend {record.name!r} cannot be loaded: {record.problem}")
    return record


def find(name: str) -> Record:
    """Return the record of an advertised or ``module:object`` backend, not loading it."""
    known = records()
    key = name.strip() if ":" in name else fold(name)
    if key in known:
        return known[key]
    if ":" in key:
        with _lock:
            return known.setdefault(key, Record(name=key, value=key))
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "install the package that provides it"
    raise BackendNotFoundError(
        f"backend (={name!r}) must be one of {', '.join(sorted(known)) or 'none'}, "
        f"or module:object; {hint}"
    )


def _load(record: Record) -> None:
    """Import, obtain and check one backend; whatever goes wrong stays in its record."""
    try:
        backend = _obtain(record)
        problem = check_backend(backend, None if ":" in record.name else record.name)
    except (Exception, SystemExit) as error:
        record.problem = f"{type(error).__name__}: {error}"
        record.traceback = traceback.format_exc()
        record.state = "broken"
        return
    record.problem = problem
    record.backend = backend
    record.state = "broken" if problem else "loaded"


def _obtain(record: Record) -> Any:
    module, _, path = record.value.partition(":")
    found: Any = importlib.import_module(module)
    for part in filter(None, path.split(".")):
        found = getattr(found, part)
    if hasattr(found, "convkit_backend"):
        return _ask_plugin(found, record.name)
    return found() if inspect.isclass(found) else found


def _ask_plugin(plugin: Any, name: str) -> Any:
    """Register with pluggy, which checks the hook's signature, and call this plug-in's own."""
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


def _adopt(backend: Backend) -> Record:
    """Return the record of a backend object that was handed in, checking it once."""
    record = _objects.get(id(backend))
    if record is None or record.backend is not backend:
        problem = check_backend(backend, None)
        if problem:
            raise BackendLoadError(f"backend (={backend!r}) is not usable: {problem}")
        value = f"{type(backend).__module__}:{type(backend).__qualname__}"
        record = Record(name=backend.name, value=value, state="loaded", backend=backend)
        _objects[id(backend)] = record
    return record


def check_backend(backend: Any, name: str | None) -> str:
    """Return what keeps ``backend`` from fulfilling the contract; empty where nothing does."""
    from convkit.contract import API_VERSION

    own = getattr(backend, "name", None)
    if not isinstance(own, str) or not own:
        return f"its name (={own!r}) must be a non-empty str"
    if name is not None and fold(own) != name:
        return f"its name (={own!r}) must equal its entry point's name {name!r}"
    version = getattr(backend, "api_version", None)
    if version != API_VERSION:
        return (
            f"backend {own!r} has api_version (={version!r}), but this convkit needs {API_VERSION}"
        )
    for method, arguments in METHODS.items():
        if not callable(getattr(backend, method, None)):
            return f"backend {own!r} lacks {method}"
        problem = _check_signature(backend, method, arguments)
        if problem:
            return problem
    for method, arguments in OPTIONAL_METHODS.items():
        if getattr(backend, method, None) is not None:
            problem = _check_signature(backend, method, arguments)
            if problem:
                return problem
    return ""


def _check_signature(backend: Any, method: str, arguments: int) -> str:
    try:
        signature = inspect.signature(getattr(backend, method))
    except (TypeError, ValueError):  # compiled callables need not tell
        return ""
    try:
        signature.bind(*range(arguments))
    except TypeError:
        return (
            f"backend {backend.name!r}: {method}{signature} must take {arguments} positional "
            "arguments"
        )
    return ""


# --- select ---------------------------------------------------------------------------------


def parse(choice: Any, name: str = "backend") -> Request | None:
    """Return a choice as a tuple of candidates; None where it is blank."""
    if choice is None:
        return None
    if isinstance(choice, str):
        parts = tuple(p.strip() for p in choice.split(",") if p.strip())
        return tuple(p if ":" in p else fold(p) for p in parts) or None
    if isinstance(choice, list | tuple):
        flat = [c for part in choice for c in (parse(part, name) or ())]
        return tuple(flat) or None
    if isinstance(choice, type) or not hasattr(choice, "conv_forward"):
        raise ParameterError(
            f"{name} (={choice!r}) must be a backend's name, a comma list of names, "
            "or a backend object"
        )
    return (choice,)


def use_backend(choice: Choice) -> Any:
    """Return a context manager that selects a backend, in this thread or task, while it is open.

    Raises BackendNotFoundError on entry where a name does not exist.
    """
    return _using(parse(choice))


@contextmanager
def _using(request: Request | None) -> Iterator[None]:
    _check_exists(request)
    token = context.set(request)
    try:
        yield
    finally:
        context.reset(token)


def set_default_backend(choice: Choice | None) -> None:
    """Select a backend for the whole process; None takes the selection back."""
    global _default, generation
    request = parse(choice)
    _check_exists(request)
    with _lock:
        _default = request
        generation += 1


def _check_exists(request: Request | None) -> None:
    for candidate in request or ():
        if isinstance(candidate, str) and candidate != AUTO:
            find(candidate)


def reload() -> None:
    """Forget what was found, loaded and read from the environment; the next use starts afresh."""
    global _records, _environment, _manager, generation
    with _lock:
        _records = None
        _environment = None
        _manager = None
        _objects.clear()
        generation += 1


def requested(argument: Any = None) -> tuple[str, Request]:
    """Return who chooses and what: argument, use_backend, set_default_backend, variable, auto."""
    global _environment
    with _lock:
        if _environment is None:
            _environment = os.environ.get("CONVKIT_BACKEND", "")
    levels = (
        ("the backend argument", parse(argument)),
        ("use_backend", context.get()),
        ("set_default_backend", _default),
        ("CONVKIT_BACKEND", parse(_environment)),
    )
    for source, request in levels:
        if request is not None and request != (AUTO,):
            return source, request
        if request is not None:
            break
    return AUTO, BUILTIN_ORDER


def explain(*problems: Problem, backend: Choice | None = None) -> Selection:
    """Return which backend would compute the problem, without any lasting effect on selection."""
    source, request = requested(backend)
    rejected: list[tuple[str, str]] = []
    winner: Record | None = None
    for candidate in _expand(request):
        name = candidate if isinstance(candidate, str) else candidate.name
        if winner is not None:
            rejected.append((name, f"comes after {winner.name}"))
            continue
        reason, record = _suitable(candidate, problems, installed_only=source == AUTO)
        if reason is None:
            winner = record
        else:
            rejected.append((name, reason))
    return Selection(
        problem=" + ".join(map(str, problems)),
        winner=winner.name if winner else None,
        source=source,
        request=tuple(c if isinstance(c, str) else c.name for c in request),
        rejected=tuple(rejected),
        record=winner,
    )


def _expand(request: Request) -> Iterator[str | Backend]:
    for candidate in request:
        if candidate == AUTO:
            yield from BUILTIN_ORDER
        else:
            yield candidate


def _suitable(
    candidate: str | Backend, problems: tuple[Problem, ...], *, installed_only: bool
) -> tuple[str | None, Record | None]:
    try:
        record = load(candidate)
    except BackendLoadError as error:
        return str(error), None
    except BackendNotFoundError:
        if installed_only:
            return "is not installed", None
        raise
    assert record.backend is not None
    for problem in problems:
        reason = record.backend.supports(problem)
        if reason is not None:
            return reason, record
    return None, record


def select(problems: tuple[Problem, ...], argument: Any = None) -> Selection:
    """Return the selection for a problem (two for a fused operation), or raise what prevents it."""
    selection = explain(*problems, backend=argument)
    if selection.record is not None:
        return selection
    _, request = requested(argument)
    if len(request) == 1:
        load(request[0])  # raises where the one named backend cannot be loaded
    raise BackendUnsupportedError(
        f"no backend that may compute it supports this problem; name another backend\n{selection}"
    )


def backends() -> list[Record]:
    """Return what is advertised, loaded, broken or blocked, built-in first. Loads nothing."""
    order = {name: i for i, name in enumerate(BUILTIN_ORDER)}
    return sorted(records().values(), key=lambda r: (order.get(r.name, len(order)), r.name))
