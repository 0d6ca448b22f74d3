"""The exceptions of convkit: one family, so that a caller can catch all of it or one kind.

Every class is reachable from ``convkit`` itself. A message names the argument, its value and the
rule, and ends with what to do. The classes hold no logic.
"""

from __future__ import annotations

from typing import Any


class ConvkitError(Exception):
    """Base class of everything convkit raises on purpose."""


class ShapeError(ConvkitError, ValueError):
    """An array's shape does not fit the problem."""


class ParameterError(ConvkitError, ValueError):
    """A geometry argument, a parameter dictionary or an option is not usable."""


class DtypeError(ConvkitError, TypeError):
    """An array is not float32 or float64, or the arrays of one call have different dtypes."""


class CacheError(ConvkitError, ValueError):
    """What was given as a cache is none, is of another operation, or is out of date."""


class DataError(ConvkitError, ValueError):
    """A data file is missing, truncated, foreign, or holds values outside its range."""


class SelectionError(ConvkitError):
    """No backend may or can compute the problem.

    ``selection`` is what ``explain`` returns, a :class:`convkit.Selection`, where a problem was
    already known; else None.
    """

    selection: Any = None


class BackendNotFoundError(SelectionError):
    """No backend of that name, which is ``backend``, is advertised."""

    backend: str = ""


class BackendLoadError(SelectionError):
    """A backend is advertised but cannot be loaded."""


class BackendUnsupportedError(SelectionError):
    """A backend that was asked for does not support the problem."""


class BackendCallError(ConvkitError):
    """A backend raised while it computed; the cause is chained."""


class BackendResultError(ConvkitError):
    """A backend returned something other than the contract asks for."""


class VerifyError(ConvkitError):
    """A backend's result differs from the reference by more than the error bound."""
