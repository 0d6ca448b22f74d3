"""Sets, and operations and traffic counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from convkit.bench import problems
from convkit.bench.problems import SETS, SHAPES, Problem
from convkit.errors import ParameterError


def test_every_set_is_made_of_shapes_and_full_is_all_images() -> None:
    full, axes = set(SETS["full"]), set(SETS["axes"])
    assert full | axes == set(SHAPES)
    assert {SHAPES[name].axes for name in full} == {2}
    assert {SHAPES[name].axes for name in axes} == {1, 3}
    for names in SETS.values():
        assert set(names) <= set(SHAPES)
    assert sum(SHAPES[name].is_conv for name in full) == 31


def test_chosen_takes_sets_and_shapes_each_once() -> None:
    assert [p.name for p in problems.chosen("tiny, course,mob_dw3")] == [
        *("tiny", "seed_3x3s2", "seed_7x7", "seed_pool", "mob_dw3")
    ]
    with pytest.raises(ParameterError, match=r"^set \(='nope'\) must be one of the sets course, "):
        problems.chosen("course,nope")
    with pytest.raises(ParameterError, match=r"^set \(=' ,'\) must name a set or a shape$"):
        problems.chosen(" ,")


def test_operations_and_traffic_by_hand() -> None:
    conv = Problem("c", "conv", (2, 3, 4, 5), 7, 3, 1, 1)
    assert conv.operations("forward") == 2 * (2 * 7 * 4 * 5) * 27
    assert conv.operations("dx") == conv.operations("dw") == conv.operations("forward")
    assert conv.operations("backward") == 2 * conv.operations("forward")
    assert conv.traffic("forward", np.float64) == 8 * (2 * 3 * 20 + 2 * 7 * 20 + 7 * 27)
    volume = Problem("v", "conv", (1, 2, 3, 4, 5), 7, 3, 1, 1)
    assert volume.operations("forward") == 2 * (7 * 3 * 4 * 5) * 2 * 27
    pool = Problem("p", "max", (2, 3, 4, 4), 3, 2, 2, 0)
    assert pool.traffic("forward", np.float32) == 4 * (96 + 24) + 24
    assert SHAPES["mob_dw3"].operations("forward") == 2 * 8 * 128 * 56 * 56 * 9
    assert SHAPES["mob_dw3"].depthwise
    assert not SHAPES["alex_c2"].depthwise


def test_directions_and_their_gradients_follow_the_operation() -> None:
    conv, pool = SHAPES["tiny"], SHAPES["seed_pool"]
    assert {d: conv.gradients(d) for d in conv.directions} == {
        "forward": (),
        "backward": ("dx", "dw", "db"),
        "dx": ("dx",),
        "dw": ("dw", "db"),
    }
    assert {d: pool.gradients(d) for d in pool.directions} == {"forward": (), "backward": ("dx",)}


def test_shapes_are_those_of_the_arrays() -> None:
    conv = Problem("c", "conv", (2, 4, 5, 6), 6, 4, 1, "same", 2)
    assert conv.shapes == {
        "x": (2, 4, 5, 6), "dout": (2, 6, 5, 6), "w": (6, 2, 4, 4), "b": (6,)
    }  # fmt: skip
    found = problems.arrays(conv, "float32")
    assert {name: array.shape for name, array in found.items()} == conv.shapes
    assert {array.dtype for array in found.values()} == {np.dtype("float32")}
