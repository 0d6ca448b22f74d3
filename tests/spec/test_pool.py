"""PoolSpec: sizes as PyTorch counts them, counts pixel by pixel, and what it refuses."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

from convkit import ParameterError, PoolSpec

F32 = np.float32


def pool(x, **kwargs):
    return PoolSpec.of(x, dtype=F32, **kwargs)


def brute_outputs(size, window, stride, begin, end):
    """How many windows fit, by trying every start."""
    return len(range(0, size + begin + end - window + 1, stride))


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


def reads_a_pixel(size: int, kernel: int, stride: int, pad: int, dilation: int, out: int) -> bool:
    return any(0 <= out * stride - pad + tap * dilation < size for tap in range(kernel))


def test_a_window_without_a_real_pixel_is_found_by_arithmetic() -> None:
    """All small problems with padding, against every tap of every window."""
    found = set()
    for size, kernel, stride, pad, dilation in itertools.product(
        range(1, 6), range(2, 5), range(1, 5), range(1, 8), range(1, 8)
    ):
        window = (kernel - 1) * dilation + 1
        if pad >= window or size + 2 * pad < window:
            continue
        outs = (size + 2 * pad - window) // stride + 1
        right = all(reads_a_pixel(size, kernel, stride, pad, dilation, out) for out in range(outs))
        geometry: dict[str, Any] = {"stride": stride, "pad": pad, "dilation": dilation}
        try:
            PoolSpec.of((1, 1, size), kind="max", kernel=kernel, dtype="float32", **geometry)
            accepted = True
        except ParameterError:
            accepted = False
        assert accepted == right, (size, kernel, geometry)
        found.add(right)
    assert found == {True, False}


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_a_window_of_160_000_takes_no_loop_over_its_taps(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PoolSpec, "tap_range", None)
    spec = PoolSpec.of(
        (1, 1, 200_000), kind=kind, kernel=160_000, pad=79_999, stride=100_000, dtype="float32"
    )
    assert spec.out_shape == (1, 1, 2)
    assert spec.counts == ((80_001, 160_000),)
