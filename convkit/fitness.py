"""Whether an object fulfils the contract of a backend, asked once when it is loaded.

The answer is a sentence, so that a backend that does not fit can be put aside with its reason.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from convkit.bounds import MAX_ERROR_FACTOR
from convkit.registry import fold

if TYPE_CHECKING:
    from convkit.registry import Record

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
FUSED = ("conv_relu_pool_forward", "conv_relu_pool_backward")


def check_backend(backend: Any, record: Record | None = None) -> str:
    """Return what keeps ``backend`` from fulfilling the contract; empty where nothing does."""
    name = getattr(backend, "name", None)
    if not isinstance(name, str) or not name:
        return f"its name (={name!r}) must be a non-empty str"
    if record is not None and ":" not in record.name and fold(name) != record.name:
        return f"its name (={name!r}) must equal its entry point's name {record.name!r}"
    problem = _check_version(backend, record)
    if problem:
        return problem
    fused = [m for m in FUSED if getattr(backend, m, None) is not None]
    if len(fused) == 1:
        other = FUSED[1 - FUSED.index(fused[0])]
        return f"backend {name!r} has {fused[0]}, so it must have {other} too"
    for method, arguments in (METHODS | OPTIONAL_METHODS).items():
        found = getattr(backend, method, None)
        if found is None and method in OPTIONAL_METHODS:
            continue
        if not callable(found):
            return f"backend {name!r} lacks {method}"
        problem = _check_signature(name, method, found, arguments)
        if problem:
            return problem
    factor = getattr(backend, "error_factor", 1)
    if not isinstance(factor, int | float) or not 1 <= factor <= MAX_ERROR_FACTOR:
        return f"its error_factor (={factor!r}) must be a number from 1 to {MAX_ERROR_FACTOR}"
    return ""


def _check_version(backend: Any, record: Record | None) -> str:
    from convkit import __version__
    from convkit.contract import API_VERSION

    own = getattr(backend, "api_version", None)
    if type(own) is int and own == API_VERSION:
        return ""
    owner = record.owner if record is not None else "the object given"
    who = f"backend {backend.name!r} ({owner})"
    facts = f"its api_version is {own!r}, convkit {__version__} has {API_VERSION}"
    if type(own) is not int:
        return f"{who} must state the api_version it was written for as an int: {facts}"
    if own < API_VERSION:
        return f"{who} is too old for convkit {__version__}: {facts}; upgrade the backend"
    return f"convkit {__version__} is too old for {who}: {facts}; upgrade convkit-layers"


def _check_signature(name: str, method: str, found: Any, arguments: int) -> str:
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # compiled callables need not tell
        return ""
    try:
        signature.bind(*range(arguments))
    except TypeError:
        return f"backend {name!r}: {method}{signature} must take {arguments} positional arguments"
    return ""
