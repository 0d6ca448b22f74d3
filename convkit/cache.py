"""Cache: what a forward call hands to its backward call.

A cache remembers which backend made it, for which operation and problem, so that backward always
goes home. It never chooses a backend and never computes.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convkit.errors import CacheError

if TYPE_CHECKING:
    from convkit.contract import Array
    from convkit.plans import Plan
    from convkit.registry import Record


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
    __slots__ = ("plan", "saved", "w", "x")

    plan: Plan
    saved: Any
    w: Array | None
    x: Array | None

    @property
    def operation(self) -> str:
        """The operation that made this cache: conv, max_pool, avg_pool or conv_relu_pool."""
        return self.plan.operation

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

    def __reduce__(self) -> tuple[Any, ...]:
        saved = self.saved.saved if type(self.saved) is Verified else self.saved
        if not _plain(saved):
            try:
                pickle.dumps(saved)
            except Exception as error:
                raise CacheError(
                    f"cache cannot be pickled: what backend {self.backend!r} saved for backward "
                    f"does not pickle ({type(error).__name__}: {error}); run forward and backward "
                    "in one process, or use another backend"
                ) from error
        record = self.plan.record
        return _restore, (
            self.operation, self.plan.specs, record, self.version, self.x, self.w, saved,
        )  # fmt: skip


def new_cache(plan: Plan, x: Array | None, w: Array | None, saved: Any) -> Cache:
    """Return the cache of one call."""
    cache = Cache()
    cache.plan, cache.x, cache.w, cache.saved = plan, x, w, saved
    return cache


def _plain(saved: Any) -> bool:
    """Whether it pickles for certain, so that large arrays need not be pickled to find out."""
    if type(saved) is tuple:
        return all(map(_plain, saved))
    if type(saved) is np.ndarray:
        return not saved.dtype.hasobject
    return saved is None or type(saved) in (bool, int, float, str, bytes)


def _restore(
    operation: str,
    specs: tuple[Any, ...],
    record: Record,
    version: str,
    x: Array | None,
    w: Array | None,
    saved: Any,
) -> Cache:
    """Unpickle: the backend is found and loaded here as if it had been named."""
    from convkit import registry, selection
    from convkit.plans import Plan

    if not record.given:
        record = registry.load(record.name)
    if record.version != version:
        raise CacheError(
            f"cache was made by backend {record.name!r} of version {version!r}, but this process "
            f"has {record.version!r}; install that one, or run the forward call here"
        )
    plan = Plan(operation, specs, record, registry.generation, selection.current())
    return new_cache(plan, x, w, saved)


def check_cache(cache: Any, operation: str) -> Plan:
    """Return the cache's plan; raise CacheError unless it belongs to ``operation``."""
    plan: Plan | None = getattr(cache, "plan", None) if type(cache) is Cache else None
    if plan is not None:
        if plan.operation == operation:
            return plan
        raise CacheError(
            f"cache is of {plan.operation}_forward, but this is {operation}_backward; "
            f"call {plan.operation}_backward"
        )
    hint = "the second value that the forward call returned"
    if isinstance(cache, tuple):
        raise CacheError(
            f"cache (a tuple of {len(cache)}) must be a convkit cache, {hint}; "
            f"unpack it: out, cache = {operation}_forward(...)"
        )
    given = cache if type(cache) is Cache else type(cache).__name__
    raise CacheError(f"cache (={given}) must be a convkit cache, {hint}; pass that instead")
