"""Which candidate computes a problem, and why each other one does not.

What is named runs or raises; only a list names fallbacks. Nothing here computes, and no plug-in is
loaded that need not be.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

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
from convkit.operations import OPERATIONS, Operation, operation_of
from convkit.registry import AUTO, BUILTIN_ORDER, Record
from convkit.selection.outcome import Selection
from convkit.selection.request import Choice, Request, check_exists
from convkit.selection.scope import levels, requested

Problem: TypeAlias = Any
"""A spec of any family."""

ABSENT = "is not installed"


def explain(
    *problems: Problem, operation: str | None = None, backend: Choice | None = None
) -> Selection:
    """Return which backend would compute a problem, who chose it, why each other one does not.

    ``problems`` is one spec, or a ConvSpec and a PoolSpec for ``conv_relu_pool``. ``operation``
    says which one is meant where several have such specs. ``backend`` is the argument of the call
    asked about. Changes no selection. Loads the built-in backends and those that are named, and
    reports the rest as not loaded. Raises ParameterError where the specs are those of no operation.
    """
    query = _query(_operation(operation, problems), problems, backend)
    asked = OPERATIONS[query.operation]
    winner, rejected = _compare(query, everyone=True)
    named = {*rejected, winner.name if winner else ""}
    for record in registry.backends():
        if record.name in named:
            continue
        if record.builtin and record.state != "blocked":
            reason = _reason(record.name, asked, problems, quiet=True)
            reason = reason or f"{query.source} does not name it"
        elif record.state in ("broken", "blocked"):
            reason = record.problem
        else:
            reason = f"not loaded: {query.source} does not name it, and auto takes built-in ones"
            reason += " only"
        rejected[record.name] = reason
    return query.selection(winner, rejected)


def select(operation: Operation, problems: tuple[Problem, ...], argument: Any = None) -> Selection:
    """Return the selection for a problem, or raise what prevents it.

    Raises SelectionError (BackendNotFoundError, BackendLoadError, BackendUnsupportedError), whose
    text and ``selection`` say why each candidate lost.
    """
    query = _query(operation.name, problems, argument)
    _check_names(query, argument)
    winner, rejected = _compare(query, everyone=False)
    selection = query.selection(winner, rejected)
    if winner is None:
        raise _failure(selection, query.request)
    if query.request == (AUTO,):
        _warn_of_broken(selection)
    return selection


class _Query(NamedTuple):
    """What is asked: a problem, who chooses for it, and which candidates."""

    operation: str
    problems: tuple[Problem, ...]
    source: str
    request: Request

    def selection(self, winner: Record | None, rejected: dict[str, str]) -> Selection:
        """Return the answer."""
        text = " + ".join(map(str, self.problems))
        names = tuple(map(_name, self.request))
        name = winner.name if winner else None
        reasons = tuple(rejected.items())
        return Selection(text, self.operation, name, self.source, names, reasons, winner)


def _operation(name: str | None, problems: tuple[Problem, ...]) -> str:
    if name is None:
        return operation_of(problems).name
    if name not in OPERATIONS or not OPERATIONS[name].fits(problems):
        parts = tuple(problem.operation for problem in problems)
        possible = [o.name for o in OPERATIONS.values() if o.fits(problems)]
        raise ParameterError(
            f"operation (={name!r}) must be one that {' + '.join(parts) or 'no spec'} describes: "
            f"{', '.join(possible) or 'there is none'}"
        )
    return name


def _query(operation: str, problems: tuple[Problem, ...], argument: Any) -> _Query:
    return _Query(operation, problems, *requested(operation, argument))


def _warn_of_broken(selection: Selection) -> None:
    """Say so where the automatic choice is another than this installation was made for.

    A problem that a backend does not support is no cause; nor is ``CONVKIT_DISABLE``.
    """
    for name, reason in selection.rejected:
        if reason != ABSENT and registry.find(name).state == "broken":
            warnings.warn(
                f"auto takes backend {selection.winner!r}, for {name!r} cannot be loaded: "
                f"{reason}; run 'convkit doctor', or choose one by name",
                RuntimeWarning,
                stacklevel=2,  # one place for all, so it is shown once
            )


def _check_names(query: _Query, argument: Any) -> None:
    """Raise BackendNotFoundError for a misspelt name in any level that was asked.

    Every name of a level is looked at: neither a fallback nor an operation that is never met may
    hide one.
    """
    for source, choices in levels(argument):
        own = choices.of(query.operation)
        try:
            check_exists(choices)
        except BackendNotFoundError as error:
            asked = query._replace(source=source, request=own or (error.backend,))
            error.selection = asked.selection(None, {error.backend: ABSENT})
            error.args = (f"{error}\n{error.selection}",)
            raise
        if own is not None:
            return


def _compare(query: _Query, *, everyone: bool) -> tuple[Record | None, dict[str, str]]:
    """Return the first candidate that computes the problems, and why the others do not.

    Where one has been found, the rest are only looked at for ``everyone``.
    """
    operation = OPERATIONS[query.operation]
    winner: Record | None = None
    rejected: dict[str, str] = {}
    for candidate in _expand(query.request):
        name = _name(candidate)
        if winner is not None and not everyone:
            break
        if isinstance(candidate, str) and candidate in BUILTIN_ORDER and AUTO in query.request:
            try:
                registry.find(candidate)
            except BackendNotFoundError:
                rejected[name] = ABSENT
                continue
        reason = _reason(candidate, operation, query.problems, quiet=everyone)
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


def _reason(
    candidate: str | Record, operation: Operation, problems: tuple[Problem, ...], *, quiet: bool
) -> str | None:
    """Return why a candidate cannot compute the problems, None where it can.

    A ``supports`` that misbehaves raises, or is a reason too where ``quiet``.
    """
    try:
        record = registry.load(candidate) if isinstance(candidate, str) else candidate
    except BackendLoadError:
        return registry.find(str(candidate)).problem
    try:
        return refusal(record, operation, problems)
    except (BackendCallError, BackendResultError) as error:
        if not quiet:
            raise
        return str(error)


def refusal(record: Record, operation: Operation, problems: tuple[Problem, ...]) -> str | None:
    """Return why a loaded backend cannot compute a problem, itself or composed; None where it can.

    Raises BackendCallError or BackendResultError where its ``supports`` misbehaves.
    """
    problems = handed(record, problems)
    if operation.composed_of is None:
        return _first_refusal(record, problems)
    if computes_itself(record, operation, problems):
        return None
    return _first_refusal(record, operation.composed_of(problems))


def computes_itself(record: Record, operation: Operation, problems: tuple[Problem, ...]) -> bool:
    """Whether a loaded backend has methods for an operation and supports the problem with them.

    Where it does not, the operation may still be composed of others.
    """
    own = record.method(operation.method("forward")) is not None
    return own and _first_refusal(record, handed(record, problems)) is None


def handed(record: Record, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return the problems that a loaded backend is asked in place of these.

    Where a convolution has a ``pad_mode`` that the backend does not understand, it is the one whose
    x is padded already. Otherwise they are the same.
    """
    modes = getattr(record.backend, "pad_modes", ("zeros",))
    return tuple(p.padded if getattr(p, "pad_mode", "zeros") not in modes else p for p in problems)


def _first_refusal(record: Record, problems: tuple[Problem, ...]) -> str | None:
    reasons = (ask(record, problem) for problem in problems)
    return next((reason for reason in reasons if reason is not None), None)


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
    reasons = "; ".join(f"{name}: {reason}" for name, reason in selection.rejected)
    if len(names) == 1 and names != [AUTO]:
        record = registry.find(names[0]) if isinstance(request[0], str) else None
        if record is not None and record.state != "loaded":
            kind = BackendLoadError
            text = f"backend {names[0]!r} cannot be loaded: {record.problem}; "
            text += "run 'convkit doctor', or name another"
        else:
            text = f"backend {names[0]!r} does not support {selection.problem}: "
            text += f"{selection.rejected[0][1]}; name another one, or a comma list to allow a "
            text += "fallback"
    else:
        who = "no built-in backend" if names == [AUTO] else "no backend of the list"
        text = f"{who} computes {selection.problem} ({reasons}); name another one"
    error = kind(f"{text}\n{selection}")
    error.selection = selection
    return error
