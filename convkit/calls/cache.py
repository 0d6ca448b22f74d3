"""Cache: what a forward call hands to its backward call.

A cache remembers which backend made it, for which operation and problem, so that backward always
uses that backend. It never chooses a backend and never computes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from convkit.calls.plan import Plan
from convkit.errors import CacheError


class Verified(NamedTuple):
    """A backend's saved state, with copies of the inputs for the reference's own backward."""

    saved: Any
    inputs: tuple[Any, ...]


class Cache:
    """Opaque result of a forward call. Holds references to x and w, not copies.

    Pickles, and is used in another process by the same version of the same backend.
    """

    # Whoever makes one fills the slots: an __init__ would cost a small problem a twentieth of its
    # time.
    __slots__ = ("kept", "plan", "saved")

    plan: Plan
    kept: tuple[Any, ...]  # the arrays of the forward call that the operation's backward gets
    saved: Any

    @property
    def operation(self) -> str:
        """The operation that made this cache: conv, max_pool, avg_pool or conv_relu_pool."""
        return self.plan.operation.name

    @property
    def backend(self) -> str:
        """The name of the backend that made this cache."""
        return self.plan.name

    @property
    def version(self) -> str:
        """The version of the backend's distribution; empty where it comes from none."""
        return self.plan.record.version

    def __repr__(self) -> str:
        if not hasattr(self, "plan"):
            return "<convkit cache of no call>"
        return f"<convkit cache of {self.plan.problem} by backend {self.backend!r} {self.version}>"


def new_cache(plan: Plan, kept: tuple[Any, ...], saved: Any) -> Cache:
    """Return the cache of one call."""
    cache = Cache()
    cache.plan, cache.kept, cache.saved = plan, kept, saved
    return cache


def check_cache(cache: Any, operation: str) -> Plan:
    """Return the cache's plan; raise CacheError unless it belongs to ``operation``."""
    plan: Plan | None = getattr(cache, "plan", None) if type(cache) is Cache else None
    if plan is not None:
        made_by = plan.operation.name
        if made_by == operation:
            return plan
        raise CacheError(
            f"cache is of {made_by}_forward, but this is {operation}_backward; "
            f"call {made_by}_backward"
        )
    hint = "the second value that the forward call returned"
    if isinstance(cache, tuple):
        raise CacheError(
            f"cache (a tuple of {len(cache)}) must be a convkit cache, {hint}; "
            f"unpack it: out, cache = {operation}_forward(...)"
        )
    given = cache if type(cache) is Cache else type(cache).__name__
    raise CacheError(f"cache (={given}) must be a convkit cache, {hint}; pass that instead")
