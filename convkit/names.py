"""Names as convkit compares them, and the hint for a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable


def normalise_name(name: str) -> str:
    """Return a name as it is compared: lower case, ``-`` as ``_``, no blanks around it."""
    return name.strip().lower().replace("-", "_")


def suggest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?", or nothing."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else ""
