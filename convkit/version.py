"""The version and the name under which convkit is distributed: the one place that states them."""

from __future__ import annotations

__version__ = "0.1.0"

DISTRIBUTION = "convkit-layers"
