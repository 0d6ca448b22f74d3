"""The sizes of transposed convolutions, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import ConvTransposeSpec, ParameterError, ShapeError

X, W = (2, 4, 5, 6), (4, 3, 3, 2)


@pytest.mark.parametrize(
    ("x", "w", "keywords", "error", "message"),
    [
        (X, (3, 3, 3, 2), {}, ShapeError, r"w.shape[0] (=3) must equal x.shape[1] (=4)"),
        (X, W, {"groups": 3}, ShapeError, r"w.shape[0] (=4) must be divisible by groups (=3)"),
        (X, W, {"output_pad": -1}, ParameterError,
            "output_pad (=-1) must be at least 0 along every axis",
        ),
        (
            X, W, {"stride": 2, "output_pad": (1, 2)}, ParameterError,
            "output_pad (=(1, 2)) must be smaller than stride or dilation, whichever is larger "
            "(=2), along spatial axis 1",
        ),
        (
            X, W, {"pad": "same", "stride": 2, "output_pad": 1}, ParameterError,
            "output_pad (=1) must not be given with pad='same', which sets it",
        ),
        (
            X, W, {"pad": 9}, ShapeError,
            "pad (=9) leaves -11 pixels of out along spatial axis 0; at least 1 must be left: "
            "x.shape is (2, 4, 5, 6), the window 3",
        ),
    ],
)  # fmt: skip
def test_refusals(x, w, keywords, error, message):
    with pytest.raises(error) as caught:
        ConvTransposeSpec.of(x, w, dtype="float32", **keywords)
    assert str(caught.value) == message


def test_the_adjoint_convolution_leads_back():
    spec = ConvTransposeSpec.of(X, W, stride=(2, 3), pad=1, output_pad=(1, 2), dtype="float64")
    assert spec.out_shape == (2, 3, 10, 17)
    assert spec.adjoint.out_shape == X
    assert not spec.adjoint.has_bias


@pytest.mark.parametrize(
    ("keywords", "reached"),
    [
        ({"dilation": 3, "output_pad": 2}, (slice(11), slice(9))),  # out has (13, 11) pixels
        ({"dilation": 3, "output_pad": 2, "pad": ((0, 1), (1, 5))}, (slice(11), slice(5))),
        ({"dilation": 3, "output_pad": 2, "pad": ((12, 0), (0, 0))}, (slice(0), slice(9))),
        ({"stride": 2, "dilation": 3, "output_pad": (1, 2)}, (slice(16), slice(15))),
    ],
    ids=str,
)
def test_output_padding_beyond_all_that_x_reaches_is_no_input_of_the_adjoint(keywords, reached):
    spec = ConvTransposeSpec.of(X, W, dtype="float64", **keywords)
    assert spec.reached == reached
    assert spec.adjoint.out_shape == X
    assert spec.meets == all(part.stop for part in reached)
    dout = np.arange(np.prod(spec.out_shape), dtype="float64").reshape(spec.out_shape)
    inner = spec.cropped(dout)
    assert inner.shape == spec.adjoint.x_shape
    back = spec.placed(inner)
    np.testing.assert_array_equal(back[:, :, *reached], dout[:, :, *reached])
    back[:, :, *reached] = 0
    assert not back.any()


@pytest.mark.parametrize("stride", [1, 2, (3, 4)])
def test_same_is_the_size_times_the_stride(stride):
    spec = ConvTransposeSpec.of(X, W, stride=stride, pad="same", dtype="float32")
    assert spec.out_shape[2:] == tuple(n * s for n, s in zip(X[2:], spec.stride, strict=True))


def test_it_says_what_it_is():
    spec = ConvTransposeSpec.of(X, W, (3,), stride=2, output_pad=1, dtype="float32")
    assert str(spec) == (
        "conv_transpose(x (2, 4, 5, 6), w (4, 3, 3, 2), kernel=(3, 2), stride=(2, 2), "
        "pad=((0, 0), (0, 0)), output_pad=(1, 1), float32)"
    )
