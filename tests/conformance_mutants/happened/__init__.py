"""Bugs that happened: wrong convolutions and pools of published libraries, rebuilt.

Each mutant stands for one public report, an issue or a fix, named in its docstring. The reports
were found by searching the issue trackers of deep-learning libraries for wrong values, crashes and
hangs of convolutions and pools, in any library and on any device. A report was taken where it says
what triggers the bug and the trigger can be expressed as a problem of convkit. Left out were
reports of layouts and views that a backend never sees, of quantised types, of invalid arguments,
and of arrays beyond 2**31 elements.

The bug is rebuilt on a correct backend from what the report says: the same sizes, geometry, dtype,
pass and gradient. Where a report says "wrong" and not how, the docstring says how it was rebuilt;
where it gives sizes that fail and sizes that pass, the limit between them is chosen here. A library
that only infers has its bug in the methods for inference alone.

A docstring begins with "trigger: effect" and ends with "library, owner/repository#number".
``python -m conformance_mutants.happened`` writes docs/bugs-that-happened.md from them.
"""

from __future__ import annotations

from conformance_mutants.happened import (
    avg_pool,
    blocks,
    crash_hang,
    empty,
    fused,
    geometry,
    gradients,
    groups,
    large,
    max_pool,
    nonfinite,
    pool_gradients,
    state,
)

__all__ = [
    "avg_pool",
    "blocks",
    "crash_hang",
    "empty",
    "fused",
    "geometry",
    "gradients",
    "groups",
    "large",
    "max_pool",
    "nonfinite",
    "pool_gradients",
    "state",
]
