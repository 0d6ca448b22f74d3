"""Deprecated: tracing and observers are in :mod:`convkit.calls.tracing`."""

import warnings

from convkit.calls.tracing import *  # noqa: F403

warnings.warn(
    "convkit.watch is now convkit.calls.tracing; import trace, register_observer and "
    "unregister_observer from convkit",
    DeprecationWarning,
    stacklevel=2,
)
