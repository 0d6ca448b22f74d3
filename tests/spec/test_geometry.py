"""Sizes, padding and taps against published rules and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from convkit import ConvSpec

F32 = np.float32


def conv(x, w, b=None, **kwargs):
    return ConvSpec.of(x, w, b, dtype=F32, **kwargs)


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
