"""Normalisation problems: sets, sizes, and what is refused."""

from __future__ import annotations

import pytest

from convkit import NormSpec, ParameterError, ShapeError

ONE = (3,)


@pytest.mark.parametrize(
    ("shape", "keywords", "size"),
    [
        ((5, 3), {"kind": "batch"}, 5),
        ((5, 3, 2, 4), {"kind": "batch"}, 40),
        ((5, 3, 2, 4), {"kind": "group", "groups": 3}, 8),
        ((5, 3, 2, 4), {"kind": "group"}, 24),
    ],
)
def test_how_many_numbers_share_a_mean(shape, keywords, size):
    spec = NormSpec.of(shape, ONE, ONE, **keywords, dtype="float32")
    assert spec.set_size == size
    assert spec.out_shape == shape
    assert spec.gamma_shape == spec.beta_shape == ONE
    assert spec.residual_shape is None


@pytest.mark.parametrize(
    ("shape", "keywords", "error", "message"),
    [
        ((5, 3), {"kind": "x"}, ParameterError, "kind (='x') must be 'batch' or 'group'"),
        (
            (5, 3), {"kind": "group", "groups": 2}, ShapeError,
            "x.shape[1] (=3) must be divisible by groups (=2)",
        ),
        (
            (5,), {"kind": "batch"}, ShapeError,
            "x.shape (=(5,)) must be (N, C, spatial axes ...) with no empty axis but N",
        ),
        (
            (5, 4), {"kind": "batch"}, ShapeError,
            "gamma.shape (=(3,)) must be (4,), one value per channel of x",
        ),
        (
            (5, 3), {"kind": "batch", "eps": float("nan")}, ParameterError,
            "eps (=nan) must be a finite number of at least 0",
        ),
    ],
)  # fmt: skip
def test_refusals(shape, keywords, error, message):
    with pytest.raises(error) as caught:
        NormSpec.of(shape, ONE, ONE, **keywords, dtype="float32")
    assert str(caught.value) == message


def test_it_says_what_it_is():
    spec = NormSpec.of((5, 3, 2), ONE, ONE, kind="group", groups=3, relu=True, dtype="float64")
    assert str(spec) == "group_norm(x (5, 3, 2), groups=3, eps=1e-05, relu, float64)"
