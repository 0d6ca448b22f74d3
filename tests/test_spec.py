"""The arithmetic of ConvSpec and PoolSpec against published rules and brute force."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from convkit import ConvSpec, DtypeError, ParameterError, PoolSpec, ShapeError
from convkit.spec import freeze, per_axis, resolve_pad

F32 = np.float32


def conv(x, w, b=None, **kwargs):
    return ConvSpec.of(x, w, b, dtype=F32, **kwargs)


def pool(x, **kwargs):
    return PoolSpec.of(x, dtype=F32, **kwargs)


def brute_outputs(size, window, stride, begin, end):
    """How many windows fit, by trying every start."""
    return len(range(0, size + begin + end - window + 1, stride))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "begin", "end"),
    [
        case
        for case in itertools.product((1, 5, 8), (1, 2, 3), (1, 2, 3), (1, 2), (0, 1, 3), (0, 2))
        if case[0] + case[4] + case[5] >= (case[1] - 1) * case[3] + 1
    ],
)
def test_output_size_counts_the_windows_that_fit(size, kernel, stride, dilation, begin, end):
    spec = conv((2, 1, size), (4, 1, kernel), stride=stride, dilation=dilation, pad=((begin, end),))
    window = (kernel - 1) * dilation + 1
    assert spec.out_shape == (2, 4, brute_outputs(size, window, stride, begin, end))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_value_stands_for_every_axis(axes):
    x, w = (2, 3, *range(7, 7 + axes)), (4, 3, *(3,) * axes)
    spec = conv(x, w, stride=2, pad=1, dilation=2)
    assert spec.stride == (2,) * axes
    assert spec.pad == ((1, 1),) * axes
    assert spec.dilation == (2,) * axes
    assert spec == conv(x, w, stride=(2,) * axes, pad=((1, 1),) * axes, dilation=[2] * axes)
    assert hash(spec) == hash(conv(x, w, stride=np.int64(2), pad=np.ones(axes, int), dilation=2))


def test_axes_are_not_swapped():
    spec = conv((1, 1, 20, 30), (1, 1, 3, 5), stride=(2, 3), pad=((1, 2), (4, 0)), dilation=(3, 2))
    assert spec.window == (7, 9)
    assert spec.out_shape == (1, 1, (20 + 3 - 7) // 2 + 1, (30 + 4 - 9) // 3 + 1)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 6, 7])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_same_padding_gives_the_rounded_up_quotient_and_the_odd_one_at_the_end(
    size, kernel, stride
):
    spec = conv((1, 1, size), (1, 1, kernel), stride=stride, pad="same")
    ((begin, end),) = spec.pad
    assert spec.out_shape[2] == -(-size // stride)
    assert end - begin in (0, 1)


def test_valid_padding_is_none():
    assert conv((1, 1, 5, 5), (1, 1, 3, 3), pad="valid").pad == ((0, 0), (0, 0))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "expected"),
    [(5, 2, 2, 0, 3), (4, 2, 2, 0, 2), (6, 3, 2, 1, 4), (3, 2, 2, 1, 2), (2, 1, 3, 0, 1)],
)
def test_ceil_mode_as_pytorch_counts(size, kernel, stride, pad, expected):
    # The values are torch.nn.functional.max_pool1d's with ceil_mode=True.
    spec = pool((1, 1, size), kind="max", kernel=kernel, stride=stride, pad=pad, ceil_mode=True)
    assert spec.out_shape[2] == expected


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_counts_are_those_of_pixels_looked_at_one_by_one(include, ceil_mode):
    spec = pool(
        (1, 1, 8, 7), kind="avg", kernel=(3, 4), stride=(2, 3), pad=((1, 2), (3, 0)),
        ceil_mode=ceil_mode, count_include_pad=include,
    )  # fmt: skip
    for axis in range(2):
        size, (begin, end) = spec.x_shape[2 + axis], spec.pad[axis]
        low, high = (-begin, size + end) if include else (0, size)
        for o, count in enumerate(spec.counts[axis]):
            start = o * spec.stride[axis] - begin
            taps = range(start, start + spec.kernel[axis])
            assert count == sum(low <= t < high for t in taps)


def test_taps_name_every_real_pixel_once_per_window():
    spec = conv((1, 1, 7, 5), (1, 1, 3, 2), stride=(2, 3), pad=((4, 1), (0, 3)), dilation=(2, 3))
    found = set()
    for tap, outs, ins in spec.taps():
        out_grid = itertools.product(*(range(s.start, s.stop) for s in outs))
        in_grid = itertools.product(*(range(s.start, s.stop, s.step or 1) for s in ins))
        found.update((tap, o, i) for o, i in zip(out_grid, in_grid, strict=True))
    expected = set()
    for tap in np.ndindex(*spec.kernel):
        for o in np.ndindex(*spec.out_shape[2:]):
            place = tuple(
                o[a] * spec.stride[a] - spec.pad[a][0] + tap[a] * spec.dilation[a] for a in (0, 1)
            )
            if all(0 <= p < n for p, n in zip(place, spec.x_shape[2:], strict=True)):
                expected.add((tap, o, place))
    assert found == expected


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"pad": 2},
            "pad (=2) must be smaller than the pooling window, which is 2 along spatial axis 0",
        ),
        ({"kind": "min"}, "kind (='min') must be 'max' or 'avg'"),
        ({"ceil_mode": 1}, "ceil_mode (=1) must be True or False"),
        ({"count_include_pad": True}, "count_include_pad (=True) is for average pooling only"),
        (
            {"kind": "avg", "dilation": 2},
            "dilation (=2) must be 1 for average pooling",
        ),
        (
            {"x": (1, 1, 1, 8), "dilation": (3, 1), "pad": ((2, 2), (0, 0)), "stride": 1},
            "pad (=((2, 2), (0, 0))) with dilation (=3) leaves a pooling window without a real "
            "pixel along spatial axis 0",
        ),
    ],
)
def test_wrong_poolings_are_refused_in_words(change, message):
    arguments = {"x": (1, 1, 6, 6), "kind": "max", "kernel": 2, **change}
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}$"):
        pool(**arguments)


@pytest.mark.parametrize("size", range(1, 8))
def test_a_pool_is_refused_exactly_where_a_window_meets_padding_alone(size):
    for kernel, dilation, stride in itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 3)):
        window = (kernel - 1) * dilation + 1
        for begin, end in itertools.product(range(window), range(window)):
            if size + begin + end < window:
                continue
            outputs = brute_outputs(size, window, stride, begin, end)
            starts = [o * stride - begin for o in range(outputs)]
            legal = all(any(0 <= s + k * dilation < size for k in range(kernel)) for s in starts)
            arguments = {"kernel": kernel, "dilation": dilation, "stride": stride}
            arguments |= {"pad": ((begin, end),), "kind": "max"}
            if legal:
                pool((1, 1, size), **arguments)
            else:
                with pytest.raises(ParameterError, match="without a real pixel"):
                    pool((1, 1, size), **arguments)


def test_mixed_and_foreign_dtypes_say_what_to_cast():
    x, w = np.zeros((1, 1, 3, 3), np.float32), np.zeros((1, 1, 3, 3))
    message = "w.dtype (=float64) must equal x.dtype (=float32); cast with w.astype(np.float32)"
    with pytest.raises(DtypeError, match=re.escape(message)):
        ConvSpec.of(x, w)
    message = "x.dtype (=int64) must be float32 or float64; cast with x.astype(np.float32)"
    with pytest.raises(DtypeError, match=re.escape(message)):
        PoolSpec.of(x.astype(np.int64), kind="max", kernel=2)


def test_byte_order_is_no_part_of_a_problem():
    x = np.zeros((1, 1, 3, 3), ">f4")
    assert ConvSpec.of(x, x) == ConvSpec.of(x.astype("<f4"), x.astype("<f4"))


def test_freeze_makes_equal_things_equal_and_different_things_raise():
    assert freeze("pad", [1, np.int32(2)]) == (1, 2)
    assert type(freeze("pad", np.int32(2))) is int
    assert per_axis("stride", (2, 3), 2) == (2, 3)
    assert resolve_pad((1, 2), (5, 5), (3, 3), (1, 1)) == ((1, 1), (2, 2))
    with pytest.raises(ParameterError, match="not dict"):
        freeze("pad", {})


def test_a_problem_reads_as_a_sentence():
    spec = conv((8, 64, 56, 56), (64, 64, 3, 3), pad=1)
    assert str(spec) == (
        "conv(x (8, 64, 56, 56), w (64, 64, 3, 3), kernel=(3, 3), stride=(1, 1), "
        "pad=((1, 1), (1, 1)), no bias, float32)"
    )
