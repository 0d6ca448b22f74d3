"""The layouts that the checks of arguments use: each is what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from convkit.conformance import argument_checks, catalogue, data
from convkit.conformance.checks import with_data


@pytest.mark.parametrize("layout", argument_checks.LAYOUTS)
def test_layouts_keep_values_and_are_what_they_say(layout: str) -> None:
    case = next(with_data(catalogue.structured("conv", "quick"), "exact", layout=layout))
    before = data.inputs(case).x
    after = argument_checks.arrange(before, layout)
    assert np.array_equal(after, before)
    assert {
        "F": after.flags.f_contiguous and not after.flags.c_contiguous,
        "transposed": not after.flags.c_contiguous,
        "negative": max(after.strides) < 0,
        "sliced": after.strides[-1] == 3 * after.itemsize,
        "misaligned": not after.flags.aligned,
        "swapped": not after.dtype.isnative,
        "readonly": not after.flags.writeable,
        "memmap": isinstance(after, np.memmap) and not after.flags.writeable,
    }.get(layout, 0 in after.strides)
