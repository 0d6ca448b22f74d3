"""The special values that the checks of values use are in their data.

That each check detects what it is for, planted bugs show (conformance_mutants/test_planted.py).
"""

from __future__ import annotations

import numpy as np

from convkit.conformance import data
from convkit.conformance.checks import CHECKS
from convkit.conformance.entries import ENTRIES


def test_special_values_are_in_the_data() -> None:
    kinds = {c.data for op in ENTRIES for c in CHECKS["ties"].make(op, "quick", 0)}
    assert kinds >= {f"ties-{k}" for k in ("equal", "small", "nan", "inf", "ninf", "negative")}
    given = list(CHECKS["denormal"].make("conv", "quick", 0))
    tiny = [np.abs(data.inputs(c).x) < np.finfo(c.dtype).tiny for c in given]
    assert all(0 < mask.mean() < 1 for mask in tiny)
