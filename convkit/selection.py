"""Who computes a problem: the levels of choice, the choice of this thread or task, and why.

argument > use_backend > set_default_backend > CONVKIT_BACKEND > auto, for each operation on its
own: what one level does not name falls to the next. What is named runs or raises; only a list
names fallbacks. Nothing here computes, and no plug-in is looked at that need not be.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from convkit import registry
from convkit.errors import (
    BackendCallError,
    BackendLoadError,
    BackendNotFoundError,
    BackendResultError,
    BackendUnsupportedError,
    ParameterError,
    SelectionError,
)
from convkit.registry import AUTO, BUILTIN_ORDER, Record, fold

if TYPE_CHECKING:
    from convkit.contract import Backend
    from convkit.spec import ConvSpec, PoolSpec

    Problem: TypeAlias = ConvSpec | PoolSpec

OTHERS = "*"
INHERITS = bool(getattr(sys.flags, "thread_inherit_context", False))
"""Whether a new thread starts with a copy of its parent's context, as free-threaded builds do."""

Choice: TypeAlias = "str | Backend | Sequence[str | Backend] | Mapping[str, Choice]"
Request: TypeAlias = tuple["str | Record", ...]


class Choices(NamedTuple):
    """One request per operation; None where a level of choice does not name it."""

    conv: Request | None = None
    max_pool: Request | None = None
    avg_pool: Request | None = None
    conv_relu_pool: Request | None = None

    def over(self, lower: Choices) -> Choices:
        """Return these choices, and for what they do not name those of a lower level."""
        return Choices(*(mine or theirs for mine, theirs in zip(self, lower, strict=True)))


OPERATIONS = Choices._fields
NOTHING = Choices()


# --- what a choice says ---------------------------------------------------------------------


def parse(choice: Any, name: str = "backend") -> Choices:
    """Return what a choice says for each operation.

    ``"conv=cython,im2col_numpy;max_pool=naive"``, ``{"conv": ["cython", "im2col_numpy"]}``, a bare
    list for all operations that are not named (``"*"``), or a backend object. Blank is nothing.
    """
    if type(choice) is Choices:
        return choice
    if isinstance(choice, Mapping):
        parts = list(choice.items())
    elif isinstance(choice, str):
        pieces = (p.rpartition("=") for p in choice.split(";") if p.strip())
        parts = [(key if equals else OTHERS, value) for key, equals, value in pieces]
    else:
        parts = [(OTHERS, choice)]
    named: dict[str, Request | None] = {}
    for key, value in parts:
        operation = fold(key) if isinstance(key, str) else key
        if operation not in (*OPERATIONS, OTHERS):
            hint = registry.suggest(str(operation), list(OPERATIONS))
            raise ParameterError(
                f"{name} (={choice!r}) names the operation {key!r}; it must be one of "
                f"{', '.join(OPERATIONS)}, or {OTHERS!r} for all others{hint and '; ' + hint}"
            )
        if operation in named:
            which = "all others" if operation == OTHERS else repr(operation)
            raise ParameterError(f"{name} (={choice!r}) chooses for {which} twice")
        named[operation] = _request(value, name)
    return Choices(*(named.get(o) or named.get(OTHERS) for o in OPERATIONS))


def _request(value: Any, name: str) -> Request | None:
    """Return the candidates of one operation, in their order; None where there are none."""
    if value is None:
        return None
    if isinstance(value, str):
        words = (w.strip() for w in value.split(",") if w.strip())
        return tuple(w if ":" in w else fold(w) for w in words) or None
    if isinstance(value, list | tuple):
        return tuple(c for part in value for c in _request(part, name) or ()) or None
    if isinstance(value, Record):
        return (value,)
    if isinstance(value, type) or not hasattr(value, "conv_forward"):
        raise ParameterError(
            f"{name} (={value!r}) must be a backend's name, a comma list of names, "
            "or a backend object"
        )
    return (registry.adopt(value),)


def check_exists(choices: Choices) -> None:
    """Raise BackendNotFoundError for a name that nobody advertises. Loads nothing."""
    for candidate in {c for request in choices for c in request or ()}:
        if isinstance(candidate, str) and candidate != AUTO:
            registry.find(candidate)


# --- the choice of this thread or task ------------------------------------------------------


class Scope(NamedTuple):
    """What the open ``with`` blocks of a context say. A value: equal scopes select alike."""

    choices: Choices
    verify: str | Record | None
    thread: int
    blocks: tuple[Block, ...]

    def key(self) -> tuple[Any, ...]:
        """What of it a plan depends on."""
        return self.choices, self.verify


class Block:
    """A context manager that puts choices on top of those of the blocks around it.

    It keeps no state of its own, so that one object may be entered in many threads, and leaving it
    takes itself out of whatever context it is left in: a generator that is closed elsewhere, or
    blocks that are left out of order, raise nothing and disturb no other block.
    """

    def __init__(self, choices: Choices = NOTHING, verify: str | Record | None = None) -> None:
        self.choices = choices
        self.verify = verify

    def __enter__(self) -> None:
        check_exists(self.choices)
        if isinstance(self.verify, str):
            registry.find(self.verify)
        scope = current()
        _enter((*(scope.blocks if scope else ()), self))

    def __exit__(self, *_: object) -> None:
        scope = current()
        blocks = list(scope.blocks) if scope else []
        for i in reversed(range(len(blocks))):
            if blocks[i] is self:
                del blocks[i]
                _enter(tuple(blocks))
                return


context: ContextVar[Scope | None] = ContextVar("convkit_scope", default=None)


def _enter(blocks: tuple[Block, ...]) -> None:
    choices, verify = NOTHING, None
    for block in blocks:
        choices = block.choices.over(choices)
        verify = block.verify or verify
    scope = Scope(choices, verify, threading.get_ident(), blocks) if blocks else None
    context.set(scope)


def current() -> Scope | None:
    """Return the scope of this context; a thread that merely inherited one has none."""
    scope = context.get()
    if INHERITS and scope is not None and scope.thread != threading.get_ident():
        return None
    return scope


def use_backend(choice: Choice) -> Block:
    """Return a context manager that selects a backend, in this thread or task, while it is open.

    A new thread starts without it; hand it over with :func:`wrap`. A ``with`` across a ``yield``
    is seen by whoever consumes the generator, until the generator goes on; wrap the generator
    function instead to keep the choice inside. Raises BackendNotFoundError on entry where a name
    does not exist, ParameterError at once where the choice cannot be read.
    """
    return Block(parse(choice))


def verify_with(reference: str | Backend) -> Block:
    """Return a context manager under which every call is checked against a reference backend.

    See :mod:`convkit.verify`. ``"naive"`` is slow on purpose; ``"im2col_numpy"`` serves real sizes.
    """
    return Block(verify=parse_reference(reference, "reference"))


def parse_reference(value: Any, name: str) -> str | Record | None:
    """Return the one backend that ``value`` names, None where it is blank."""
    request = _request(value, name)
    if request is not None and (len(request) != 1 or request == (AUTO,)):
        raise ParameterError(f"{name} (={value!r}) must name one backend")
    return request[0] if request else None


# --- the choice of the process --------------------------------------------------------------

_default: Choices = NOTHING
_variables: dict[str, str] = {}
_variables_epoch = -1
_lock = threading.RLock()


def set_default_backend(choice: Choice | None) -> None:
    """Select a backend for the whole process; None takes the selection back."""
    global _default
    choices = parse(choice)
    check_exists(choices)
    with _lock:
        _default = choices
        registry.changed()


def variable(name: str) -> str:
    """Return an environment variable as it was at first use (since ``reload``); blank is unset."""
    global _variables, _variables_epoch
    with _lock:
        if _variables_epoch != registry.epoch:
            _variables = {k: v for k, v in os.environ.items() if k.startswith("CONVKIT_")}
            _variables_epoch = registry.epoch
        return _variables.get(name, "").strip()


def levels(argument: Any = None) -> Iterator[tuple[str, Choices]]:
    """Return every level of choice with its name, the strongest first."""
    scope = current()
    yield "the backend argument", parse(argument)
    yield "use_backend", scope.choices if scope else NOTHING
    yield "set_default_backend", _default
    yield "CONVKIT_BACKEND", parse(variable("CONVKIT_BACKEND"), "CONVKIT_BACKEND")


def requested(operation: str, argument: Any = None) -> tuple[str, Request]:
    """Return who chooses for an operation, and what."""
    for source, choices in levels(argument):
        request: Request | None = getattr(choices, operation)
        if request is not None:
            return source, request
    return AUTO, (AUTO,)


# --- select and explain ---------------------------------------------------------------------


class Selection(NamedTuple):
    """Which backend computes a problem, who chose it, and why each other one does not."""

    problem: str
    operation: str
    winner: str | None
    source: str
    request: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...] = ()
    record: Record | None = None

    def __str__(self) -> str:
        head = f"{self.problem}: {self.winner or 'no backend'}"
        lines = [f"{head} (chosen by {self.source}: {','.join(self.request)})"]
        return "\n".join(lines + [f"  not {name}: {reason}" for name, reason in self.rejected])

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        facts = self._asdict()
        del facts["record"]
        return facts | {"request": list(self.request), "rejected": dict(self.rejected)}

    def __reduce__(self) -> tuple[Any, ...]:
        return Selection, (*self[:-1], None)  # a record belongs to this process


def explain(*problems: Problem, backend: Choice | None = None) -> Selection:
    """Return which backend would compute a problem, who chose it, why each other one does not.

    ``problems`` is one spec, or a ConvSpec and a PoolSpec for ``conv_relu_pool``; ``backend`` is
    the argument of the call asked about. Changes no selection. Loads the built-in backends and
    those that are named, and reports the rest as not loaded.
    """
    operation, (source, request) = _asked(problems, backend)
    winner, rejected = _judge(request, problems, everyone=True)
    named = {*rejected, winner.name if winner else ""}
    for record in registry.backends():
        if record.name in named:
            continue
        if record.builtin and record.state != "blocked":
            reason = _reason(record.name, problems, quiet=True) or f"{source} does not name it"
        elif record.state in ("broken", "blocked"):
            reason = record.problem
        else:
            reason = f"not loaded: {source} does not name it, and auto takes built-in ones only"
        rejected[record.name] = reason
    return _selection(operation, problems, source, request, winner, rejected)


def select(problems: tuple[Problem, ...], argument: Any = None) -> Selection:
    """Return the selection for a problem (two specs for a fused one), or raise what prevents it.

    Raises SelectionError (BackendNotFoundError, BackendLoadError, BackendUnsupportedError), whose
    text and ``selection`` say why each candidate lost.
    """
    operation, (source, request) = _asked(problems, argument)
    for candidate in request:  # in front of the rest: a list must not hide a misspelt name
        try:
            if isinstance(candidate, str) and candidate != AUTO:
                registry.find(candidate)
        except BackendNotFoundError as error:
            reasons = {_name(candidate): "is not installed"}
            error.selection = _selection(operation, problems, source, request, None, reasons)
            error.args = (f"{error}\n{error.selection}",)
            raise
    winner, rejected = _judge(request, problems, everyone=False)
    selection = _selection(operation, problems, source, request, winner, rejected)
    if winner is None:
        raise _failure(selection, request)
    return selection


def _asked(problems: tuple[Problem, ...], argument: Any) -> tuple[str, tuple[str, Request]]:
    operation = problems[0].operation if len(problems) == 1 else "conv_relu_pool"
    return operation, requested(operation, argument)


def _selection(
    operation: str,
    problems: tuple[Problem, ...],
    source: str,
    request: Request,
    winner: Record | None,
    rejected: dict[str, str],
) -> Selection:
    text = " + ".join(map(str, problems))
    names = tuple(map(_name, request))
    name = winner.name if winner else None
    return Selection(text, operation, name, source, names, tuple(rejected.items()), winner)


def _judge(
    request: Request, problems: tuple[Problem, ...], *, everyone: bool
) -> tuple[Record | None, dict[str, str]]:
    """Return the first candidate that computes the problems, and why the others do not.

    Where one has been found, the rest are only looked at for ``everyone``.
    """
    winner: Record | None = None
    rejected: dict[str, str] = {}
    for candidate in _expand(request):
        name = _name(candidate)
        if winner is not None and not everyone:
            break
        if isinstance(candidate, str) and candidate in BUILTIN_ORDER and AUTO in request:
            try:
                registry.find(candidate)
            except BackendNotFoundError:
                rejected[name] = "is not installed"
                continue
        reason = _reason(candidate, problems, quiet=everyone)
        if winner is not None:
            rejected.setdefault(name, reason or f"comes after {winner.name}")
        elif reason is None:
            winner = registry.load(candidate) if isinstance(candidate, str) else candidate
        else:
            rejected[name] = reason
    return winner, rejected


def _expand(request: Request) -> Iterator[str | Record]:
    for candidate in request:
        if candidate == AUTO:
            yield from BUILTIN_ORDER
        else:
            yield candidate


def _name(candidate: str | Record) -> str:
    return candidate if isinstance(candidate, str) else candidate.name


def _reason(candidate: str | Record, problems: tuple[Problem, ...], *, quiet: bool) -> str | None:
    """Return why a candidate cannot compute the problems, None where it can.

    A ``supports`` that misbehaves raises, or is a reason too where ``quiet``.
    """
    try:
        record = registry.load(candidate) if isinstance(candidate, str) else candidate
    except BackendLoadError:
        return registry.find(str(candidate)).problem
    for problem in problems:
        try:
            reason = ask(record, problem)
        except (BackendCallError, BackendResultError) as error:
            if not quiet:
                raise
            reason = str(error)
        if reason is not None:
            return reason
    return None


def ask(record: Record, problem: Problem) -> str | None:
    """Return a loaded backend's ``supports(problem)``; raise where it misbehaves."""
    assert record.backend is not None
    try:
        reason: Any = record.backend.supports(problem)
    except Exception as error:
        raise BackendCallError(
            f"backend {record.name!r} raised {type(error).__name__} in supports for "
            f"{problem}: {error}"
        ) from error
    if reason is not None and not (isinstance(reason, str) and reason):
        raise BackendResultError(
            f"backend {record.name!r}: supports must return None (yes) or the reason against as "
            f"a str, not {reason!r}, for {problem}"
        )
    return reason


def _failure(selection: Selection, request: Request) -> SelectionError:
    names = list(dict.fromkeys(map(_name, request)))
    kind: type[SelectionError] = BackendUnsupportedError
    if names == [AUTO]:
        text = "no built-in backend computes this problem; name another one"
    elif len(names) == 1:
        record = registry.find(names[0]) if isinstance(request[0], str) else None
        if record is not None and record.state != "loaded":
            kind = BackendLoadError
            text = f"backend {names[0]!r} cannot be loaded: {record.problem}; "
            text += "run 'convkit doctor', or name another"
        else:
            text = f"backend {names[0]!r} does not support this problem; name another one, or a "
            text += "comma list to allow a fallback"
    else:
        text = "no backend of the list computes this problem; name another one"
    error = kind(f"{text}\n{selection}")
    error.selection = selection
    return error
