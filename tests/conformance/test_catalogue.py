"""The catalogue of problems: what real convolution code gets wrong is in it, at the quick level."""

import math

import pytest

from convkit.conformance import catalogue
from convkit.conformance.entries import ENTRIES


def differ(values):
    return len(set(values)) == len(values) > 1


def leftover(spec, axis):
    """Pixels at the end that no window reaches."""
    axis %= spec.axes
    used = (spec.out_shape[2 + axis] - 1) * spec.stride[axis] + spec.window[axis]
    return spec.x_shape[2 + axis] + sum(spec.pad[axis]) - used


CONV = {
    "every stride, dilation and kernel size differs by axis": lambda s: (
        differ(s.stride) and differ(s.dilation) and differ(s.kernel)
    ),
    "every padding differs": lambda s: differ([p for pair in s.pad for p in pair]),
    "pad >= kernel": lambda s: any(max(p) >= k for p, k in zip(s.pad, s.window, strict=True)),
    "stride > kernel": lambda s: any(a > k for a, k in zip(s.stride, s.kernel, strict=True)),
    "dilation and padding": lambda s: max(s.dilation) > 1 and any(map(any, s.pad)),
    "dilation and groups": lambda s: max(s.dilation) > 1 and s.groups > 1,
    "leftover rows": lambda s: leftover(s, 0) > 0,
    "leftover columns": lambda s: leftover(s, -1) > 0,
    "1x1 with stride": lambda s: set(s.kernel) == {1} and max(s.stride) > 1,
    "1x1 with padding": lambda s: set(s.kernel) == {1} and any(map(any, s.pad)),
    "kernel = image": lambda s: s.kernel == s.x_shape[2:] and max(s.kernel) > 1,
    "one pixel": lambda s: math.prod(s.x_shape) == 1,
    "N = 1": lambda s: s.x_shape[0] == 1,
    "depthwise": lambda s: s.groups == s.x_shape[1] > 1,
    "depthwise with 24 channels": lambda s: s.groups == s.x_shape[1] == 24,
    "depthwise with two filters a channel": lambda s: s.w_shape[0] == 2 * s.groups > 2,
    "groups of several channels": lambda s: s.groups > 1 < s.w_shape[1],
    "without bias": lambda s: not s.has_bias,
    "C == H == W": lambda s: len(set(s.x_shape[1:])) == 1 and s.x_shape[1] > 1 and s.axes == 2,
    "a wide image": lambda s: s.axes == 2 and s.x_shape[3] > 16 * s.x_shape[2],
    "a tall image": lambda s: s.axes == 2 and s.x_shape[2] > 16 * s.x_shape[3],
    "a sum of more than 512 terms": lambda s: s.w_shape[1] * math.prod(s.kernel) > 512,
    "one axis": lambda s: s.axes == 1,
    "three axes": lambda s: s.axes == 3,
}
POOL = {
    "every padding differs": lambda s: len({p for pair in s.pad for p in pair}) > 2,
    "stride > kernel": lambda s: any(a > k for a, k in zip(s.stride, s.kernel, strict=True)),
    "overlap": lambda s: all(a < k for a, k in zip(s.stride, s.kernel, strict=True)),
    "leftover rows": lambda s: leftover(s, 0) > 0,
    "leftover columns": lambda s: leftover(s, -1) > 0,
    "overhang of ceil_mode": lambda s: s.ceil_mode and leftover(s, 0) < 0,
    "overhang of rows side by side": lambda s: s.kernel == s.stride and leftover(s, 0) < 0,
    "overhang of columns side by side": lambda s: s.kernel == s.stride and leftover(s, -1) < 0,
    "kernel = image": lambda s: s.kernel == s.x_shape[2:] and max(s.kernel) > 1,
    "one pixel": lambda s: math.prod(s.x_shape[2:]) == 1,
    "2x2 with stride 2": lambda s: s.kernel == s.stride == (2, 2) and not any(map(any, s.pad)),
    "2x2 with stride 2 and padding": lambda s: s.kernel == s.stride == (2, 2) and s.pad[0][0],
    "more than 256 taps": lambda s: math.prod(s.kernel) > 256,
    "one axis": lambda s: s.axes == 1,
    "three axes": lambda s: s.axes == 3,
}


@pytest.mark.parametrize("what", CONV)
def test_convolution(what):
    assert any(CONV[what](c.specs[0]) for c in catalogue.geometries("conv", "quick"))


@pytest.mark.parametrize("what", POOL)
@pytest.mark.parametrize("op", ["max_pool", "avg_pool"])
def test_pooling(op, what):
    assert any(POOL[what](c.specs[0]) for c in catalogue.geometries(op, "quick"))


@pytest.mark.parametrize("block", [4, 8, 16, 32, 64])
def test_sizes_around_a_block_in_every_dimension(block):
    """At the default level one below, the block and one above; at quick one above."""
    for level, around in (
        ("default", {block - 1, block, block + 1}),
        ("quick", {block + 1}),
    ):
        specs = [c.specs[0] for c in catalogue.geometries("conv", level)]
        dimensions = {
            "N": {s.x_shape[0] for s in specs},
            "C": {s.x_shape[1] for s in specs if s.groups == 1},
            "F": {s.w_shape[0] for s in specs},
            "OH": {s.out_shape[2] for s in specs},
            "OW": {s.out_shape[-1] for s in specs},
            "depthwise C": {s.groups for s in specs if s.groups == s.x_shape[1]},
        }
        for name, sizes in dimensions.items():
            assert around <= sizes, (level, name)


@pytest.mark.parametrize("op", ENTRIES)
def test_empty_batches(op):
    assert all(c.x_shape[0] == 0 for c in catalogue.empty_batches(op))
    assert len(catalogue.empty_batches(op)) > 1
