"""The key ``mode`` of the course's parameter dictionaries."""

from __future__ import annotations

from typing import Any

from convkit.errors import ParameterError

__all__ = ["check_mode"]


def check_mode(name: str, param: dict[str, Any]) -> str:
    """Return ``param["mode"]``, "train" or "test"; raise ParameterError for another."""
    mode = param.get("mode")
    if mode not in ("train", "test"):
        raise ParameterError(f"{name}['mode'] (={mode!r}) must be 'train' or 'test'")
    return str(mode)
