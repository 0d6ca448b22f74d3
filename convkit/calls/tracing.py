"""Tracing: a line for each decision or call, and observers that are told of each call.

Free when off, because only a plan that is made while it is on carries traced methods; switching it
makes new plans. A trace line is one JSON object on the logger ``convkit.trace``. Nothing here
changes a result or stops a call: what an observer raises is logged.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from convkit import state
from convkit.calls.plan import Plan
from convkit.errors import ParameterError
from convkit.names import normalise_name, suggest
from convkit.operations import OPERATIONS

if TYPE_CHECKING:
    import pluggy

KINDS = ("dispatch", "profile")
OFF = "off"

log = logging.getLogger("convkit.trace")


class Call(NamedTuple):
    """One finished call of a backend's method, as observers get it.

    ``step`` is forward, infer or backward; ``error`` is None where the call returned.
    """

    operation: str
    step: str
    backend: str
    version: str
    problem: str
    seconds: float
    error: BaseException | None


class Tracing(NamedTuple):
    """What is traced, and for which operations."""

    kinds: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset(OPERATIONS)

    def wants(self, kind: str, operation: str) -> bool:
        """Whether lines of this kind are wanted for the operation."""
        return kind in self.kinds and operation in self.operations


_lock = threading.RLock()
state.held_while_forking(_lock)
_tracing: Tracing | None = None  # None: as CONVKIT_TRACE says
_observers: pluggy.PluginManager | None = None
_inside = threading.local()


# --- switches -------------------------------------------------------------------------------


def parse(words: Iterable[str], name: str = "what") -> Tracing:
    """Return what ``dispatch``, ``profile`` and names of operations say; ``off`` says nothing."""
    folded = [normalise_name(word) for word in words if word.strip()]
    known = (*KINDS, *OPERATIONS, OFF)
    for word in folded:
        if word not in known:
            hint = suggest(word, list(known))
            raise ParameterError(
                f"{name} (={word!r}) must be one of {', '.join(known)}{hint and '; ' + hint}"
            )
    kinds = frozenset(KINDS).intersection(folded)
    operations = frozenset(OPERATIONS).intersection(folded) or frozenset(OPERATIONS)
    if folded and OFF not in folded and not kinds:
        raise ParameterError(f"{name} (={','.join(folded)!r}) must name one of {', '.join(KINDS)}")
    return Tracing(frozenset() if OFF in folded else kinds, operations)


def trace(*what: str, operations: Iterable[str] = ()) -> Switch:
    """Write trace lines from now on, in the whole process, instead of what CONVKIT_TRACE says.

    ``"dispatch"`` writes a line for every decision (once for each problem), ``"profile"`` for every
    call; ``"off"`` stops. ``operations`` keeps only those lines. Lines are JSON, on the logger
    ``convkit.trace``, which writes to stderr where logging is not set up. The result may be used as
    a context manager that puts back what was before.
    """
    asked = [operations] if isinstance(operations, str) else list(operations)
    for word in asked:
        if normalise_name(word) not in OPERATIONS:
            raise ParameterError(
                f"operations (={word!r}) must be names from {', '.join(OPERATIONS)}"
            )
    words = [word for text in what for word in text.split(",")]
    wanted = parse([*words, *asked])
    if not words:
        raise ParameterError(f"trace needs one of {', '.join(KINDS)}, {OFF}")
    switch = Switch(_tracing)
    _switch(wanted)
    return switch


class Switch:
    """Puts tracing back to what it was."""

    def __init__(self, before: Tracing | None) -> None:
        self.before = before

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        _switch(self.before)


def _switch(tracing: Tracing | None) -> None:
    global _tracing
    with _lock:
        _tracing = tracing
        _switched()


def _switched() -> None:
    """Let plans be made anew, traced or not."""
    state.traced = _tracing is not None or bool(_observers and _observers.get_plugins())
    state.changed()


def tracing() -> Tracing:
    """Return what is traced now."""
    if _tracing is not None:
        return _tracing
    return parse(state.variable("CONVKIT_TRACE").split(","), "CONVKIT_TRACE")


def register_observer(observer: Any) -> None:
    """Call ``observer``'s hook implementation ``convkit_call_finished(call)`` after every call.

    It is a module or object with a function of that name, marked with
    ``convkit.contract.hookimpl``; ``call`` is a :class:`Call`. What it raises is logged. Calls it
    makes itself are not observed.
    """
    global _observers
    import pluggy

    from convkit.contract import PROJECT, ObserverSpec

    with _lock:
        if _observers is None:
            _observers = pluggy.PluginManager(PROJECT)
            _observers.add_hookspecs(ObserverSpec)
        if _observers.is_registered(observer):
            raise ParameterError(f"observer (={observer!r}) is registered already")
        try:
            _observers.register(observer)
        except pluggy.PluginValidationError as error:
            raise ParameterError(f"observer (={observer!r}) does not fit: {error}") from error
        if not _observers.get_hookcallers(observer):
            _observers.unregister(observer)
            raise ParameterError(
                f"observer (={observer!r}) must have convkit_call_finished(call), marked with "
                "convkit.contract.hookimpl"
            )
        _switched()


def unregister_observer(observer: Any) -> None:
    """Stop calling ``observer``; raises ParameterError where it is not registered."""
    with _lock:
        if _observers is None or not _observers.is_registered(observer):
            raise ParameterError(f"observer (={observer!r}) is not registered")
        _observers.unregister(observer)
        _switched()


# --- plans ----------------------------------------------------------------------------------


def attach(plan: Plan) -> None:
    """Put traced methods into a new plan where its operation is traced or observed."""
    wanted = tracing()
    if plan.selection is not None and wanted.wants("dispatch", plan.operation.name):
        write({"event": "dispatch", **plan.selection.to_dict()})
    profile = wanted.wants("profile", plan.operation.name)
    if profile or (_observers is not None and _observers.get_plugins()):
        plan.forward = _traced(plan, "forward", plan.forward, profile)
        plan.backward = _traced(plan, "backward", plan.backward, profile)
        if plan.infer is not None:
            plan.infer = _traced(plan, "infer", plan.infer, profile)


def _traced(plan: Plan, step: str, method: Callable[..., Any], profile: bool) -> Callable[..., Any]:
    def traced(*args: Any) -> Any:
        if getattr(_inside, "observer", False):
            return method(*args)
        error: BaseException | None = None
        start = perf_counter()
        try:
            return method(*args)
        except BaseException as raised:
            error = raised
            raise
        finally:
            seconds = perf_counter() - start
            version = plan.record.version
            name = plan.operation.name
            call = Call(name, step, plan.name, version, plan.problem, seconds, error)
            _finished(call, profile)

    return traced


def _finished(call: Call, profile: bool) -> None:
    if profile:
        failed = None if call.error is None else repr(call.error)
        write({"event": "call", **call._asdict(), "error": failed})
    if _observers is None:
        return
    _inside.observer = True
    try:
        for implementation in _observers.hook.convkit_call_finished.get_hookimpls():
            _notify(implementation, call)
    finally:
        _inside.observer = False


def _notify(implementation: Any, call: Call) -> None:
    """Call one observer: through pluggy's own loop, the first that raises would stop the rest."""
    try:
        implementation.function(*(call for _ in implementation.argnames))
    except Exception:
        log.exception("observer %r raised", implementation.plugin_name)


# --- lines ----------------------------------------------------------------------------------


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what sys.stderr is at the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr


_stderr = _Stderr()


def write(fields: dict[str, Any]) -> None:
    """Write one trace line."""
    record = log.makeRecord(log.name, logging.INFO, "convkit", 0, json.dumps(fields), (), None)
    if log.hasHandlers():
        log.handle(record)
    else:
        _stderr.handle(record)
