"""The fast reference equals the definition, to the bit where nothing is divided."""

from __future__ import annotations

import numpy as np
import pytest

from convkit.conformance import data, problems
from convkit.conformance.cases import Case
from convkit.conformance.entries import ENTRIES

SUMS = [op for op, entry in ENTRIES.items() if not entry.curved]
"""Operations whose results of integers are sums, exact in any order; others have no fast way."""


@pytest.mark.long
@pytest.mark.parametrize("op", SUMS)
def test_the_fast_reference_is_the_definition(op: str) -> None:
    """On problems of every popular geometry, in both dtypes."""
    seen: set[str] = set()
    for _, point, found in problems.chosen(op, "quick", 0):
        name = str(point.get("geometry", point.get("convolution", point.get("kernel"))))
        if name in seen or found.work > 100_000:
            continue
        seen.add(name)
        plain = Case(op, found.geometry, found.dtype, "exact", found.seed)
        fast, slow = ENTRIES[op].fast(plain, data.inputs(plain)), data.expected(plain)
        assert fast.keys() == slow.keys()
        for result, want in slow.items():
            close = np.allclose(fast[result], want.ref, rtol=1e-14, atol=0)
            exact = close if ENTRIES[op].divides else np.array_equal(fast[result], want.ref)
            assert exact, (str(plain), result)
    assert len(seen) > 12
