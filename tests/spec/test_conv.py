"""ConvSpec: what it refuses, word for word, and how it reads."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convkit import ConvSpec, ParameterError, ShapeError

F32 = np.float32


def conv(x, w, b=None, **kwargs):
    return ConvSpec.of(x, w, b, dtype=F32, **kwargs)


def test_an_empty_batch_is_a_problem_like_any_other():
    assert conv((0, 3, 5, 5), (4, 3, 3, 3)).out_shape == (0, 4, 3, 3)


CONV = {"x": (2, 4, 8, 8), "w": (6, 2, 3, 3), "groups": 2}


@pytest.mark.parametrize(
    ("error", "change", "message"),
    [
        (
            ShapeError,
            {"w": (6, 3, 3, 3)},
            "w.shape[1] (=3) times groups (=2) must equal x.shape[1] (=4)",
        ),
        (ShapeError, {"w": (5, 2, 3, 3)}, "w.shape[0] (=5) must be divisible by groups (=2)"),
        (
            ShapeError,
            {"w": (6, 2, 3)},
            "w.shape (=(6, 2, 3)) must have as many axes as x.shape (=(2, 4, 8, 8)): "
            "(F, C / groups, spatial axes ...)",
        ),
        (ShapeError, {"w": (6, 2, 0, 3)}, "w.shape (=(6, 2, 0, 3)) must have no empty axis"),
        (
            ShapeError,
            {"x": (2, 4, 0, 8)},
            "x.shape (=(2, 4, 0, 8)) must have no empty axis but the first (N)",
        ),
        (
            ShapeError,
            {"x": (4, 8)},
            "x.shape (=(4, 8)) must be (N, C, spatial axes ...), so at least 3 axes; "
            "add the missing ones with x[None] or x[:, None]",
        ),
        (
            ShapeError,
            {"b": (5,)},
            "b.shape (=(5,)) must be (F,) = (6,), one bias per filter of w",
        ),
        (
            ShapeError,
            {"dilation": (1, 4)},
            "the window (=9, kernel 3 with dilation 4) must not be larger than the padded input "
            "(=8) along spatial axis 1; x.shape is (2, 4, 8, 8), pad (0, 0)",
        ),
        (ParameterError, {"stride": 0}, "stride (=0) must be at least 1 along every axis"),
        (
            ParameterError,
            {"stride": 1.0},
            "stride (=1.0) must be an int or a tuple of ints, not float",
        ),
        (
            ParameterError,
            {"stride": True},
            "stride (=True) must be an int or a tuple of ints, not bool",
        ),
        (
            ParameterError,
            {"stride": (1, 2, 3)},
            "stride (=(1, 2, 3)) must be an int or have one value per spatial axis (2); it has 3",
        ),
        (
            ParameterError,
            {"dilation": ((1, 2), (1, 2))},
            "dilation (=((1, 2), (1, 2))) must be an int or a flat tuple of 2 ints",
        ),
        (ParameterError, {"pad": -1}, "pad (=-1) must not be negative; crop x instead"),
        (
            ParameterError,
            {"pad": "full"},
            "pad (='full') must be 'same', 'valid', an int or a tuple",
        ),
        (
            ParameterError,
            {"pad": (1, (1, 2))},
            "pad (=(1, (1, 2))) must be all ints or all (begin, end) pairs, one per axis",
        ),
        (
            ParameterError,
            {"pad": (1, 2, 3)},
            "pad (=(1, 2, 3)) must have one entry per spatial axis (2), each an int or a "
            "(begin, end) pair; it has 3",
        ),
        (ParameterError, {"groups": 0}, "groups (=0) must be an int of at least 1"),
        (ParameterError, {"groups": True}, "groups (=True) must be an int of at least 1"),
    ],
)
def test_wrong_convolutions_are_refused_in_words(error, change, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        conv(**{**CONV, **change})


def test_a_problem_reads_as_a_sentence():
    spec = conv((8, 64, 56, 56), (64, 64, 3, 3), pad=1)
    assert str(spec) == (
        "conv(x (8, 64, 56, 56), w (64, 64, 3, 3), kernel=(3, 3), stride=(1, 1), "
        "pad=((1, 1), (1, 1)), no bias, float32)"
    )
