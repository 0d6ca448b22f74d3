"""Parameter dictionaries: the course's ``conv_param`` and ``pool_param``, merged with keywords.

A key that is unknown, or that disagrees with a keyword, is an error that names the key. Nothing is
interpreted here: values go on as they were given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convkit.errors import ParameterError
from convkit.spec import freeze

CONV_KEYS = ("stride", "pad", "dilation", "groups", "backend")
MAX_POOL_KEYS = ("kernel", "stride", "pad", "dilation", "ceil_mode", "backend")
AVG_POOL_KEYS = ("kernel", "stride", "pad", "ceil_mode", "count_include_pad", "backend")
POOL_SIZE_KEYS = ("pool_height", "pool_width")


def merge(name: str, param: Any, keys: tuple[str, ...], values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return ``values`` (None: not given) completed from the dictionary ``param``."""
    if not isinstance(param, Mapping):
        raise ParameterError(f"{name} (={param!r}) must be a dictionary with keys from {keys}")
    merged = dict(zip(keys, values, strict=True))
    sizes = {}
    for key, value in param.items():
        if key in POOL_SIZE_KEYS and "kernel" in merged:
            sizes[key] = value
        elif key not in merged:
            raise ParameterError(_unknown(name, key, keys))
        elif value is not None:
            _put(merged, key, value, name)
    if sizes:
        if len(sizes) < len(POOL_SIZE_KEYS):
            missing = next(k for k in POOL_SIZE_KEYS if k not in sizes)
            raise ParameterError(f"{name} has {next(iter(sizes))!r}, so it must have {missing!r}")
        _put(merged, "kernel", tuple(sizes[k] for k in POOL_SIZE_KEYS), name)
    return tuple(merged.values())


def _put(merged: dict[str, Any], key: str, value: Any, name: str) -> None:
    given = merged[key]
    if given is not None and not _same(key, given, value):
        raise ParameterError(
            f"{key} (={given!r}) and {name}[{key!r}] (={value!r}) disagree; give one of them"
        )
    merged[key] = value


def _same(key: str, one: Any, other: Any) -> bool:
    if key in ("backend", "ceil_mode", "count_include_pad"):
        return one is other or bool(one == other)
    one, other = freeze(key, one), freeze(key, other)
    if isinstance(one, int) and isinstance(other, tuple):
        return all(v == one for v in other)
    if isinstance(other, int) and isinstance(one, tuple):
        return all(v == other for v in one)
    return bool(one == other)


def _unknown(name: str, key: Any, keys: tuple[str, ...]) -> str:
    import difflib

    known = keys + (POOL_SIZE_KEYS if "kernel" in keys else ())
    close = difflib.get_close_matches(str(key), known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{name} has the unknown key {key!r}; it must be one of {', '.join(known)}{hint}"
