"""Bugs that happened: wrong convolutions and pools of published libraries, rebuilt.

Each mutant is one public report: an issue or a merged fix, named in its docstring. The reports were
found by searching issue trackers of deep-learning libraries for wrong values, crashes and hangs of
convolutions and pools, in any library and on any device. A report was taken where it says what
triggers the bug and that can be said of a problem of convkit; reports of layouts and views that a
backend never sees, of quantised types, of invalid arguments, and of arrays beyond 2**31 elements
were left out. The bug is rebuilt on a correct backend from what the report says: the same sizes,
geometry, dtype, pass and gradient. Where it says "wrong" and not how, the docstring says how it
was rebuilt; a limit that lies between sizes of a report is ours. A library that only infers has its bug in the methods for inference alone.

The first line of a docstring is "trigger: effect", the last "library, owner/repository#number".
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
