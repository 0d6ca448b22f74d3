"""The peer gives right results."""

from __future__ import annotations

import pytest
from bench_cases import SMALL_ONES

from convkit.bench import check, subjects


def test_the_peer_gives_right_answers() -> None:
    pytest.importorskip("torch")
    for problem in SMALL_ONES:
        check.reject_wrong(problem, [subjects.Torch()], "float32")
