"""Libraries that only training needs, asked for at the moment of use.

``import convkit`` and the layers need none of them; a missing one is a line that says what to
install, not a traceback.
"""

from __future__ import annotations

import importlib
from typing import Any

from convkit.errors import ConvkitError

__all__ = ["require"]


def require(module: str, purpose: str, extra: str = "train") -> Any:
    """Import and return ``module``, or raise ConvkitError that says how to get it.

    ``purpose`` begins the sentence "... needs": ``require("sklearn.datasets", "data 'digits'")``.
    ``extra`` is the extra of the distribution that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise ConvkitError(
            f"{purpose} needs the module {error.name!r}, which is not installed: "
            f"pip install 'convkit-layers[{extra}]'"
        ) from None
