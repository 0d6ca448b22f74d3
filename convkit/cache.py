"""Cache: what a forward call hands to its backward call.

A cache remembers which backend made it, for which operation and problem, so that backward always
goes home. It never chooses a backend and never computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convkit.errors import CacheError

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.dispatch import Plan


class Cache:
    """Opaque result of a forward call. Holds references to x and w, not copies."""

    __slots__ = ("plan", "saved", "w", "x")

    def __init__(self, plan: Plan, x: Array | None, w: Array | None, saved: Any) -> None:
        self.plan = plan
        self.x = x
        self.w = w
        self.saved = saved

    @property
    def operation(self) -> str:
        """The operation that made this cache: conv, max_pool, avg_pool or conv_relu_pool."""
        return self.plan.operation

    @property
    def backend(self) -> str:
        """The name of the backend that made this cache."""
        return self.plan.name

    def __repr__(self) -> str:
        return f"<convkit cache of {self.plan.problem} by backend {self.backend!r}>"


def check_cache(cache: Any, operation: str) -> Plan:
    """Return the cache's plan; raise CacheError unless it belongs to ``operation``."""
    if type(cache) is Cache:
        if cache.plan.operation == operation:
            return cache.plan
        raise CacheError(
            f"cache is of {cache.operation}_forward, but this is {operation}_backward; "
            f"call {cache.operation}_backward"
        )
    hint = "the second value that the forward call returned"
    if isinstance(cache, tuple):
        raise CacheError(
            f"cache (a tuple of {len(cache)}) must be a convkit cache, {hint}; "
            f"unpack it: out, cache = {operation}_forward(...)"
        )
    raise CacheError(
        f"cache (={type(cache).__name__}) must be a convkit cache, {hint}; pass that instead"
    )
