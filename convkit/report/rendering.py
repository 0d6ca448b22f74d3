"""Pages from the templates beside this module: self-contained, in a light and a dark theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convkit.names import printable
from convkit.optional import require
from convkit.report.theme import DARK, LIGHT


def engine() -> Any:
    """Return jinja2, or raise ConvkitError that says how to get it."""
    return require("jinja2", "an HTML report")


def fill(template: str, **values: Any) -> str:
    """Return a page: the template of that name with values and both themes.

    All values are escaped, and one that the template names must be there. What UTF-8 cannot
    hold is shown as its bytes.
    """
    jinja2 = engine()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page: str = environment.get_template(template).render(light=LIGHT, dark=DARK, **values)
    return printable(page)
