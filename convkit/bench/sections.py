"""The sections of a Markdown page, by their headings of the second level."""

from __future__ import annotations

import re

__all__ = ["body", "replaced"]


def body(page: str, heading: str) -> str | None:
    """Return what stands below a heading, or None where the page does not have it."""
    found = _section(heading).search(page)
    return None if found is None else found["body"].strip()


def replaced(page: str, heading: str, text: str) -> str:
    """Return the page with another text below a heading, at its end where it did not have it."""
    section = f"## {heading}\n\n{text.strip()}\n"
    found = _section(heading).search(page)
    if found is None:
        return f"{page.rstrip()}\n\n{section}"
    rest = page[found.end() :]
    return page[: found.start()] + section + (f"\n{rest}" if rest else "")


def _section(heading: str) -> re.Pattern[str]:
    return re.compile(rf"^## {re.escape(heading)}\n(?P<body>.*?)(?=^## |\Z)", re.M | re.S)
