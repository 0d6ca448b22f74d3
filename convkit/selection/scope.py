"""Who chooses: the levels of choice, and the choice of this thread or task.

argument > use_backend > set_default_backend > CONVKIT_BACKEND > auto, for each operation on its
own: what one level does not name falls to the next. Which backend wins among those is decided by
:mod:`convkit.selection.resolve`. Nothing here computes or loads a backend.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from convkit import registry, state
from convkit.registry import AUTO, Record
from convkit.selection.request import (
    NOTHING,
    Choice,
    Choices,
    Request,
    check_exists,
    parse,
    parse_reference,
)

if TYPE_CHECKING:
    from convkit.contract import Backend

INHERITS = bool(getattr(sys.flags, "thread_inherit_context", False))
"""Whether a new thread starts with a copy of its parent's context, as free-threaded builds do."""


# --- the choice of this thread or task ------------------------------------------------------


class Scope(NamedTuple):
    """What the open ``with`` blocks of a context say. A value: equal scopes select alike."""

    choices: Choices
    verify: str | Record | None
    thread: int
    blocks: tuple[Block, ...]

    @property
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


class Inside:
    """Runs what is inside of it with blocks of its own, in place of those of its surroundings.

    It may be entered again and again, one time after the other: blocks that were opened and not
    closed inside, as by a ``with`` across a ``yield``, are there again the next time. Left in
    another context, as by a coroutine that is closed elsewhere, it changes nothing there.
    """

    def __init__(self, block: Block) -> None:
        self.own = block
        self.blocks: tuple[Block, ...] = (block,)
        self.around: Scope | None = None

    def __enter__(self) -> None:
        self.around = context.get()
        _enter(self.blocks)

    def __exit__(self, *_: object) -> None:
        scope = current()
        if scope is not None and scope.blocks[0] is self.own:
            self.blocks = scope.blocks
            context.set(self.around)


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

    See :mod:`convkit.calls.verifier`. ``"naive"`` is slow on purpose; ``"im2col_numpy"`` serves
    real sizes.
    """
    return Block(verify=parse_reference(reference, "reference"))


# --- the choice of the process --------------------------------------------------------------

_default: Choices = NOTHING


def set_default_backend(choice: Choice | None) -> None:
    """Select a backend for the whole process; None takes the selection back."""
    global _default
    choices = parse(choice)
    check_exists(choices)
    with state.lock:
        _default = choices
        state.changed()


def levels(argument: Any = None) -> Iterator[tuple[str, Choices]]:
    """Return every level of choice with its name, the strongest first."""
    scope = current()
    yield "the backend argument", parse(argument)
    yield "use_backend", scope.choices if scope else NOTHING
    yield "set_default_backend", _default
    yield "CONVKIT_BACKEND", parse(state.variable("CONVKIT_BACKEND"), "CONVKIT_BACKEND")


def requested(operation: str, argument: Any = None) -> tuple[str, Request]:
    """Return who chooses for an operation, and what."""
    for source, choices in levels(argument):
        request = choices.of(operation)
        if request is not None:
            return source, request
    return AUTO, (AUTO,)


def reference_of(scope: Scope | None) -> str | Record | None:
    """Return the backend that calls in a scope are verified against, None where they are not.

    It is that of ``verify_with``, else that of CONVKIT_VERIFY.
    """
    if scope is not None and scope.verify is not None:
        return scope.verify
    text = state.variable("CONVKIT_VERIFY")
    return parse_reference(text, "CONVKIT_VERIFY") if text else None
