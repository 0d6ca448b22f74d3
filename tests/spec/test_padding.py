"""Padding that copies pixels: which ones, and how much of it an image allows."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit import ConvSpec, bounds
from convkit.spec import PAD_MODES

NUMPY = {"circular": "wrap", "reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}
EACH_MODE = pytest.mark.parametrize("mode", NUMPY)


def test_every_mode_is_tested():
    assert set(NUMPY) == set(PAD_MODES) - {"zeros"}


def test_a_pixel_copied_often_widens_the_bound_of_dx():
    shapes = (1, 2, 4, 5), (3, 2, 3, 3)
    plain = ConvSpec.of(*shapes, pad=3, dtype="float32")
    assert bounds.terms(plain, "dx") == 3 * 9
    copies = {"edge": 4 * 4, "circular": 3 * 3, "symmetric": 3 * 3, "reflect": 3 * 3}
    for mode, count in copies.items():
        spec = ConvSpec.of(*shapes, pad=3, pad_mode=mode, dtype="float32")
        most = [max(np.bincount(table)) for table in spec.sources]
        assert bounds.terms(spec, "dx") == 27 * np.prod(most)
        assert np.prod(most) <= count
        assert bounds.terms(spec, "dw") == bounds.terms(plain, "dw")


@EACH_MODE
@pytest.mark.parametrize(("size", "pair"), [(5, (3, 4)), (5, (0, 2)), (4, (3, 0)), (2, (1, 1))])
def test_the_sources_are_those_of_numpy(mode, size, pair):
    spec = ConvSpec.of((1, 1, size), (1, 1, 1), pad=(pair,), pad_mode=mode, dtype="float32")
    assert spec.sources == (tuple(np.pad(np.arange(size), pair, mode=NUMPY[mode])),)


def test_without_padding_there_is_no_mode():
    spec = ConvSpec.of((1, 1, 4), (1, 1, 3), pad_mode="reflect", dtype="float32")
    assert spec == ConvSpec.of((1, 1, 4), (1, 1, 3), dtype="float32")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"pad_mode": "replicate"}, "here that is 'edge'"),
        ({"pad_mode": "constant"}, "here that is 'zeros'"),
        ({"pad_mode": "symetric"}, "did you mean 'symmetric'?"),
        (
            {"pad_mode": 2},
            r"pad_mode \(=2\) must be one of zeros, circular, reflect, symmetric, edge",
        ),
        ({"pad_mode": True}, r"pad_mode \(=True\) must be"),
        (
            {"pad": ((1, 4), 0), "pad_mode": "reflect"},
            r"must be all ints or all \(begin, end\) pairs",
        ),
        (
            {"pad": ((1, 4), (0, 0)), "pad_mode": "reflect"},
            r"pad \(=\(\(1, 4\), \(0, 0\)\)\) with pad_mode \(='reflect'\) must be at most 3 along "
            "spatial axis 0, where x has 4 pixels; give a smaller one, or pad_mode='edge'",
        ),
        ({"pad": (4, 6), "pad_mode": "circular"}, "at most 5 along spatial axis 1"),
        ({"pad": (5, 5), "pad_mode": "symmetric"}, "at most 4 along spatial axis 0"),
    ],
)
def test_refusals(keywords, message):
    with pytest.raises(convkit.ParameterError, match=message):
        convkit.conv(np.zeros((1, 2, 4, 5)), np.zeros((3, 2, 3, 3)), **{"pad": 1, **keywords})
