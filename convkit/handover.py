"""Deprecated: snapshot, restore and wrap are in :mod:`convkit.selection.transfer`."""

import warnings

from convkit.selection.transfer import *  # noqa: F403

warnings.warn(
    "convkit.handover is now convkit.selection.transfer; import snapshot, restore and wrap from "
    "convkit",
    DeprecationWarning,
    stacklevel=2,
)
