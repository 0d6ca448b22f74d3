"""The state of the process that decides which backend computes a call, and when it changed.

A plan (:mod:`convkit.calls.plan`) is valid for one *generation*: as long as no default, observer or
backend changed. The table of plans lies here, because it has to be emptied in the same moment in
which the generation changes. Nothing here knows what a plan is.
"""

from __future__ import annotations

import os
import threading
from typing import Any

lock = threading.RLock()
"""Held while any of this changes, and by :mod:`convkit.registry` while it looks for backends."""


def held_while_forking(held: Any) -> None:
    """Have every fork wait for a lock, so that no child begins with one that another thread holds.

    That thread does not exist in the child and would never release it. Of two locks that are taken
    one inside the other, the inner one is registered first.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=held.acquire, after_in_parent=held.release, after_in_child=held.release
        )


held_while_forking(lock)

epoch = 0
"""How often ``convkit.reload`` was called. A backend of another epoch is out of date."""

generation = 0
"""Changes whenever a plan may have become wrong. A plan of another generation is out of date."""

traced = False
"""Whether calls are traced or observed in the process; :mod:`convkit.calls.tracing` sets it."""

MAX_PLANS = 4096
plans: dict[Any, Any] = {}
"""The plans of this generation by the arguments of their call. Emptied when it is full."""

_variables: dict[str, str] = {}
_variables_epoch = -1


def changed() -> None:
    """Begin a new generation: forget every plan, for what they were made from has changed."""
    global generation
    with lock:
        generation += 1
        plans.clear()


def reloaded() -> None:
    """Begin a new epoch, in which environment variables are read again."""
    global epoch
    with lock:
        epoch += 1
        changed()


def keep_plan(key: Any, plan: Any, made_in: int) -> None:
    """Store a plan made in generation ``made_in``, unless that one is over."""
    with lock:
        if made_in == generation:
            if len(plans) >= MAX_PLANS:
                plans.clear()
            plans[key] = plan


def variable(name: str) -> str:
    """Return an environment variable as it was at first use in this epoch; blank is unset."""
    global _variables, _variables_epoch
    with lock:
        if _variables_epoch != epoch:
            _variables = {k: v for k, v in os.environ.items() if k.startswith("CONVKIT_")}
            _variables_epoch = epoch
        return _variables.get(name, "").strip()
