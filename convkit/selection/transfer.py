"""Transfer the choice of backends: to another thread or process, a file, a generator's steps.

Nothing here chooses: it only carries what :mod:`convkit.selection.scope` would choose here and now.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from convkit import registry
from convkit.errors import BackendLoadError, ParameterError
from convkit.selection.request import NOTHING, check_exists, parse, parse_reference
from convkit.selection.scope import Block, Inside, current, levels


def here() -> Block:
    """Return a block with the choices that hold here, those of the process included."""
    choices = NOTHING
    for _, level in levels():
        choices = choices.over(level)
    scope = current()
    return Block(choices, scope.verify if scope else None)


# --- as data --------------------------------------------------------------------------------


def snapshot() -> dict[str, Any]:
    """Return the choices that hold here, and the backends' versions, as JSON can hold them.

    Raises ParameterError where a backend was chosen as an object, which has no name to write down.
    """
    block = here()
    chosen = dict(block.choices.items())
    for operation, request in chosen.items():
        for candidate in request or ():
            _must_be_name(candidate, operation)
    if block.verify is not None:
        _must_be_name(block.verify, "verify")
    names = {n for request in chosen.values() for n in request or () if isinstance(n, str)}
    return {
        "choices": {o: list(request) for o, request in chosen.items() if request},
        "verify": block.verify,
        "versions": {name: _version(name) for name in sorted(names - {registry.AUTO})},
    }


def restore(snapshot: Mapping[str, Any]) -> Block:
    """Return a context manager that chooses as when the snapshot was taken.

    Raises ParameterError where it is no snapshot, BackendNotFoundError for a backend that is gone
    and BackendLoadError for one that has another version by now.
    """
    try:
        choices = parse(snapshot["choices"], "snapshot")
        verify = parse_reference(snapshot["verify"], "snapshot['verify']")
        versions = dict(snapshot["versions"])
    except (KeyError, TypeError, ValueError) as error:
        raise ParameterError(
            f"snapshot (={snapshot!r}) must be what convkit.snapshot() returned: {error!r}"
        ) from error
    for name, version in versions.items():
        if _version(name) != version:
            raise BackendLoadError(
                f"backend {name!r} is of version {_version(name)!r}, but the snapshot was taken "
                f"with {version!r}; install that one, or take a new snapshot"
            )
    return Block(choices, verify)


def _must_be_name(candidate: Any, where: str) -> None:
    if not isinstance(candidate, str):
        raise ParameterError(
            f"a snapshot cannot hold the backend object {candidate.name!r} (chosen for {where}); "
            "choose it as 'module:object', or use wrap"
        )


def _version(name: str) -> str:
    return registry.find(name).version


# --- as a function --------------------------------------------------------------------------


def wrap(function: Callable[..., Any]) -> Wrapped:
    """Return ``function`` with the choices that hold here and now, wherever it will be called.

    They take the place of those of the ``with`` blocks around the call. For thread pools and
    process pools (it pickles where the function does). A generator function's choices, those of its
    own ``with`` blocks included, hold while it runs, step by step, and are not seen by its
    consumer; likewise for ``async def``.
    """
    if not callable(function):
        raise ParameterError(f"function (={function!r}) must be callable")
    return Wrapped(function, here())


class Wrapped:
    """A function that brings its choice of backends along."""

    def __init__(self, function: Callable[..., Any], block: Block) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.block = block

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        check_exists(self.block.choices)
        inside = Inside(self.block)
        with inside:
            result = self.function(*args, **kwargs)
        if inspect.isgenerator(result):
            return _steps(result, inside)
        if inspect.iscoroutine(result):
            return _await(result, inside)
        if inspect.isasyncgen(result):
            return _async_steps(result, inside)
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        return Wrapped, (self.function, self.block)


def _steps(generator: Any, inside: Inside) -> Any:
    """Run a generator with its own blocks open inside each of its steps."""
    step, value = generator.send, None
    while True:
        try:
            with inside:
                item = step(value)
        except StopIteration as stop:
            return stop.value
        try:
            step, value = generator.send, (yield item)
        except GeneratorExit:
            with inside:
                generator.close()
            raise
        except BaseException as error:
            step, value = generator.throw, error


async def _await(coroutine: Any, inside: Inside) -> Any:
    with inside:
        return await coroutine


async def _async_steps(generator: Any, inside: Inside) -> Any:
    """Run an asynchronous generator with its own blocks open inside each of its steps."""
    step, value = generator.asend, None
    while True:
        try:
            with inside:
                item = await step(value)
        except StopAsyncIteration:
            return
        try:
            step, value = generator.asend, (yield item)
        except GeneratorExit:
            with inside:
                await generator.aclose()
            raise
        except BaseException as error:
            step, value = generator.athrow, error
