"""Names as convkit compares them, and the hint for a misspelt one."""

from __future__ import annotations

import re
from collections.abc import Iterable


def normalise_name(name: str) -> str:
    """Return a name as it is compared: lower case, ``-`` as ``_``, no blanks around it."""
    return name.strip().lower().replace("-", "_")


def normalise_distribution(name: str) -> str:
    """Return a distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def printable(text: str) -> str:
    """Return a text as UTF-8 can hold it, with ``\\xff`` for a byte that is not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def suggest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?", or nothing."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else ""
