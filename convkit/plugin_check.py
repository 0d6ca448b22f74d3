"""Whether an object fulfils the contract of a backend, asked once when it is loaded.

The answer is a sentence, so that a backend that does not fit can be set aside with its reason.
Which methods there are and what they take is read from :mod:`convkit.operations`.
"""

from __future__ import annotations

import inspect
from typing import Any

from convkit.bounds import MAX_ERROR_FACTOR
from convkit.contract import API_VERSION
from convkit.names import normalise_name
from convkit.operations import OPERATIONS
from convkit.spec import PAD_MODES
from convkit.spec.padding import ZEROS
from convkit.version import DISTRIBUTION, __version__


def required_methods() -> dict[str, int]:
    """Return the methods that every backend has, and how many positional arguments each takes."""
    return {"supports": 1, **_methods(required=True)}


def optional_methods() -> dict[str, int]:
    """Return the methods that a backend may have, and how many positional arguments each takes."""
    return {**_methods(required=False), "set_num_threads": 1, "info": 0}


def _methods(*, required: bool) -> dict[str, int]:
    return {
        operation.method(step): len(operation.arguments(step))
        for operation in OPERATIONS.values()
        for step in operation.steps
        if (operation.required and step != "infer") == required
    }


def check_backend(backend: Any, expected_name: str = "", owner: str = "the object given") -> str:
    """Return what keeps ``backend`` from fulfilling the contract; empty where nothing does.

    ``expected_name`` is that of its entry point, where it has one; ``owner`` is the distribution
    that it comes from, for messages.
    """
    name = getattr(backend, "name", None)
    if not isinstance(name, str) or not name:
        return f"its name (={name!r}) must be a non-empty str"
    if expected_name and normalise_name(name) != expected_name:
        return f"its name (={name!r}) must equal its entry point's name {expected_name!r}"
    return (
        _check_version(backend, owner)
        or _check_pairs(backend)
        or _check_methods(backend)
        or _check_error_factor(backend)
        or _check_pad_modes(backend)
    )


def _check_version(backend: Any, owner: str) -> str:
    own = getattr(backend, "api_version", None)
    if type(own) is int and own == API_VERSION:
        return ""
    who = f"backend {backend.name!r} ({owner})"
    facts = f"its api_version is {own!r}, convkit {__version__} has {API_VERSION}"
    if type(own) is not int:
        return f"{who} must state the api_version it was written for as an int: {facts}"
    if own < API_VERSION:
        return f"{who} is too old for convkit {__version__}: {facts}; upgrade the backend"
    return f"convkit {__version__} is too old for {who}: {facts}; upgrade {DISTRIBUTION}"


def _check_pairs(backend: Any) -> str:
    """An operation that convkit can compose has both of its methods in a backend, or none."""
    for operation in OPERATIONS.values():
        pair = operation.method("forward"), operation.method("backward")
        own = [method for method in pair if getattr(backend, method, None) is not None]
        if not operation.required and len(own) == 1:
            (other,) = set(pair) - set(own)
            return f"backend {backend.name!r} has {own[0]}, so it must have {other} too"
    return ""


def _check_methods(backend: Any) -> str:
    optional = optional_methods()
    for method, arguments in (required_methods() | optional).items():
        found = getattr(backend, method, None)
        if found is None and method in optional:
            continue
        if not callable(found):
            return f"backend {backend.name!r} lacks {method}"
        problem = _check_signature(backend.name, method, found, arguments)
        if problem:
            return problem
    return ""


def _check_signature(name: str, method: str, found: Any, arguments: int) -> str:
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # a compiled callable need not have one
        return ""
    try:
        signature.bind(*range(arguments))
    except TypeError:
        return f"backend {name!r}: {method}{signature} must take {arguments} positional arguments"
    return ""


def _check_error_factor(backend: Any) -> str:
    factor = getattr(backend, "error_factor", 1)
    if not isinstance(factor, int | float) or not 1 <= factor <= MAX_ERROR_FACTOR:
        return f"its error_factor (={factor!r}) must be a number from 1 to {MAX_ERROR_FACTOR}"
    return ""


def _check_pad_modes(backend: Any) -> str:
    modes = getattr(backend, "pad_modes", (ZEROS,))
    if isinstance(modes, tuple) and ZEROS in modes and all(m in PAD_MODES for m in modes):
        return ""
    known = ", ".join(PAD_MODES)
    return f"its pad_modes (={modes!r}) must be a tuple of names from {known}, with {ZEROS!r}"
