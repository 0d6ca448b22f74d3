"""Caches in another process: pickled with the backend's name, rebuilt with that backend.

Registered with `copyreg` when it is imported, because a cache itself knows nothing of how plans are
made. A cache is refused where the backend has another version.
"""

from __future__ import annotations

import copyreg
import pickle
from typing import Any

import numpy as np

from convkit import registry, state
from convkit.calls import planner
from convkit.calls.cache import Cache, Verified, new_cache
from convkit.errors import CacheError
from convkit.operations import OPERATIONS
from convkit.registry import Record
from convkit.selection import scope


def reduce_cache(cache: Cache) -> tuple[Any, ...]:
    """Return how a cache is rebuilt. Raises CacheError where its saved state does not pickle."""
    plan, saved = cache.plan, cache.saved
    if type(saved) is Verified:
        saved = saved.saved
    if not _pickles_for_certain(saved):
        try:
            pickle.dumps(saved)
        except Exception as error:
            raise CacheError(
                f"cache cannot be pickled: what backend {cache.backend!r} saved for backward "
                f"does not pickle ({type(error).__name__}: {error}); run forward and backward "
                "in one process, or use another backend"
            ) from error
    facts = (cache.operation, plan.specs, plan.record, cache.version)
    return restore_cache, (*facts, cache.kept, saved)


def _pickles_for_certain(saved: Any) -> bool:
    """Whether it surely pickles, so that large arrays need not be pickled to find out."""
    if type(saved) is tuple:
        return all(map(_pickles_for_certain, saved))
    if type(saved) is np.ndarray:
        return not saved.dtype.hasobject
    return saved is None or type(saved) in (bool, int, float, str, bytes)


def restore_cache(
    operation: str,
    specs: tuple[Any, ...],
    record: Record,
    version: str,
    kept: tuple[Any, ...],
    saved: Any,
) -> Cache:
    """Unpickle: the backend is found and loaded here as if it had been named."""
    if not record.given:
        record = registry.load(record.name)
    if record.version != version:
        raise CacheError(
            f"cache was made by backend {record.name!r} of version {version!r}, but this process "
            f"has {record.version!r}; install that one, or run the forward call here"
        )
    generation, here = state.generation, scope.current()
    plan = planner.make_plan(
        OPERATIONS[operation], specs, record, generation=generation, scope=here
    )
    return new_cache(plan, kept, saved)


copyreg.pickle(Cache, reduce_cache)
