"""The machine has a name, a peak and a bandwidth."""

from __future__ import annotations

import numpy as np

from convkit.bench.machine import Yardsticks, cpu_name, describe


def test_the_machine_is_named() -> None:
    facts = describe()
    assert facts["cpu"] == cpu_name() != ""
    assert facts["versions"]["numpy"] == np.__version__
    yardsticks = Yardsticks()
    assert yardsticks.peak("float32") > 0
    assert yardsticks.copier(1e5)() > 0
