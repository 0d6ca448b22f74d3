"""Deprecated: verification is in :mod:`convkit.calls.verifier`, replay in :mod:`convkit.replay`."""

import warnings

from convkit.calls.verifier import *  # noqa: F403
from convkit.replay import replay  # noqa: F401

warnings.warn(
    "convkit.verify is now convkit.calls.verifier; import verify_with from convkit and replay "
    "from convkit.replay",
    DeprecationWarning,
    stacklevel=2,
)
