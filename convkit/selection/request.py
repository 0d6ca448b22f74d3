"""What a choice of backends says: names, lists, mappings and objects, parsed into one form.

``"conv=cython,im2col_numpy;max_pool=naive"`` and its likes. Nothing here decides which backend
wins, or loads one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from convkit import registry
from convkit.errors import ParameterError
from convkit.names import normalise_name, suggest
from convkit.operations import OPERATIONS
from convkit.registry import AUTO, Record

if TYPE_CHECKING:
    from convkit.contract import Backend

OTHERS = "*"
Choice: TypeAlias = "str | Backend | Sequence[str | Backend] | Mapping[str, Choice]"
Request: TypeAlias = tuple["str | Record", ...]


class Choices(tuple["Request | None", ...]):
    """One request for each operation, in the table's order; None where a level does not name it."""

    __slots__ = ()

    def __new__(cls, requests: Iterable[Request | None] = (None,) * len(OPERATIONS)) -> Choices:
        return super().__new__(cls, requests)

    def of(self, operation: str) -> Request | None:
        """Return the request for one operation."""
        return self[_POSITION[operation]]

    def over(self, lower: Choices) -> Choices:
        """Return these choices, and for what they do not name those of a lower level."""
        return Choices(mine or theirs for mine, theirs in zip(self, lower, strict=True))

    def items(self) -> Iterator[tuple[str, Request | None]]:
        """Return each operation's name with its request."""
        return zip(OPERATIONS, self, strict=True)


_POSITION = {name: i for i, name in enumerate(OPERATIONS)}
NOTHING = Choices()


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
        operation = normalise_name(key) if isinstance(key, str) else key
        if operation not in (*OPERATIONS, OTHERS):
            hint = suggest(str(operation), OPERATIONS)
            raise ParameterError(
                f"{name} (={choice!r}) names the operation {key!r}; it must be one of "
                f"{', '.join(OPERATIONS)}, or {OTHERS!r} for all others{hint and '; ' + hint}"
            )
        if operation in named:
            which = "all others" if operation == OTHERS else repr(operation)
            raise ParameterError(f"{name} (={choice!r}) chooses for {which} twice")
        named[operation] = _request(value, name)
    return Choices(named.get(o) or named.get(OTHERS) for o in OPERATIONS)


def _request(value: Any, name: str) -> Request | None:
    """Return the candidates of one operation, in their order; None where there are none."""
    if value is None:
        return None
    if isinstance(value, str):
        words = (w.strip() for w in value.split(",") if w.strip())
        return tuple(w if ":" in w else normalise_name(w) for w in words) or None
    if isinstance(value, list | tuple):
        return tuple(c for part in value for c in _request(part, name) or ()) or None
    if isinstance(value, Record):
        return (value,)
    if isinstance(value, type) or not hasattr(value, "conv_forward"):
        raise ParameterError(
            f"{name} (={value!r}) must be a backend's name, a comma list of names, "
            "or a backend object"
        )
    return (registry.record_of_object(value),)


def check_exists(choices: Choices) -> None:
    """Raise BackendNotFoundError for a name that nobody advertises. Loads nothing."""
    for candidate in {c for request in choices for c in request or ()}:
        if isinstance(candidate, str) and candidate != AUTO:
            registry.find(candidate)


def parse_reference(value: Any, name: str) -> str | Record | None:
    """Return the one backend that ``value`` names, None where it is blank."""
    request = _request(value, name)
    if request is not None and (len(request) != 1 or request == (AUTO,)):
        raise ParameterError(f"{name} (={value!r}) must name one backend")
    return request[0] if request else None
