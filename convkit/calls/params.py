"""Parameter dictionaries: the course's ``conv_param`` and ``pool_param``, merged with keywords.

A key that is unknown, or that disagrees with a keyword, is an error that names the key. Nothing is
interpreted here: values go on as they were given. Which keys there are says
:mod:`convkit.operations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convkit.errors import ParameterError
from convkit.names import suggest
from convkit.operations import Parameters


def merge(parameters: Parameters, param: Any, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return ``values``, in the order of the parameters' keys, completed from ``param``.

    None stands for what was not given. Raises ParameterError.
    """
    if not isinstance(param, Mapping):
        raise ParameterError(
            f"{parameters.name} (={param!r}) must be a dictionary with keys from {parameters.keys}"
        )
    merged = dict(zip(parameters.keys, values, strict=True))
    spelled = {key: of for of, keys in parameters.spellings.items() for key in keys}
    by_axis: dict[str, dict[str, Any]] = {}
    for key, value in param.items():
        if key in spelled:
            by_axis.setdefault(spelled[key], {})[key] = value
        elif key not in merged:
            raise ParameterError(_unknown(parameters, key))
        elif value is not None:
            _put(parameters, merged, key, value)
    for key, sizes in by_axis.items():
        _put(parameters, merged, key, _all_axes(parameters, key, sizes))
    return tuple(merged.values())


def _all_axes(parameters: Parameters, key: str, sizes: Mapping[str, Any]) -> tuple[Any, ...]:
    wanted = parameters.spellings[key]
    for missing in wanted:
        if missing not in sizes:
            raise ParameterError(
                f"{parameters.name} has {next(iter(sizes))!r}, so it must have {missing!r}"
            )
    return tuple(sizes[name] for name in wanted)


def _put(parameters: Parameters, merged: dict[str, Any], key: str, value: Any) -> None:
    given = merged[key]
    if given is not None and not _same(parameters, key, given, value):
        raise ParameterError(
            f"{key} (={given!r}) and {parameters.name}[{key!r}] (={value!r}) disagree; give one of "
            "them"
        )
    merged[key] = value


def _same(parameters: Parameters, key: str, one: Any, other: Any) -> bool:
    if key not in parameters.defaults:
        return one is other or bool(np.all(one == other))
    one, other = parameters.read(key, one), parameters.read(key, other)
    if isinstance(one, int) and isinstance(other, tuple):
        return all(v == one for v in other)
    if isinstance(other, int) and isinstance(one, tuple):
        return all(v == other for v in one)
    return bool(one == other)


def _unknown(parameters: Parameters, key: Any) -> str:
    spellings = (name for names in parameters.spellings.values() for name in names)
    known = (*parameters.keys, *spellings)
    hint = suggest(str(key), known)
    text = f"{parameters.name} has the unknown key {key!r}; it must be one of {', '.join(known)}"
    return text + (hint and f"; {hint}")
