"""The tests of unfold and fold find every planted bug: each is put in the place of the function.

Neither has a backend, so that the conformance suite does not ask about them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from functions import test_windows as tests

from convkit.calls import windows

unfold, fold = windows.to_columns, windows.from_columns


def checks():
    """Run the tests of both functions on data of their own."""
    rng = np.random.default_rng(0)
    for keywords in tests.UNFOLDS:
        for dtype in ("float32", "float64"):
            tests.test_columns_are_the_windows(rng, keywords, dtype)
    for axes in (1, 2, 3):
        tests.test_a_convolution_is_a_product_with_the_columns(rng, axes)
    tests.test_fold_of_unfold_counts_the_windows(rng)
    tests.test_columns_of_any_layout_of_no_images_and_of_infinities(rng)
    tests.test_results_are_new(rng)


def misread(change):
    """Both functions, each with the spec misread; columns keep their shape."""

    def wrong_unfold(spec, x):
        other = replace(change(spec), out_shape=spec.out_shape)
        found = np.zeros(spec.columns_shape, spec.dtype)
        wrong = unfold(other, x)
        found.flat[: wrong.size] = wrong.flat[: found.size]
        return found

    def wrong_fold(spec, columns):
        return fold(replace(change(spec), out_shape=spec.out_shape), columns)

    return {"to_columns": wrong_unfold, "from_columns": wrong_fold}


def taps_of(spec, columns):
    """(N, C, taps, windows)."""
    n, c = spec.x_shape[:2]
    return columns.reshape(n, c, -1, columns.shape[2])


def kernel_of(spec, columns):
    """(N, C, K..., windows)."""
    return columns.reshape(*spec.x_shape[:2], *spec.kernel, columns.shape[2])


def places_of(spec, columns):
    """(N, C * taps, OH, OW)."""
    return columns.reshape(*columns.shape[:2], *spec.out_shape[2:])


def changed(spec, columns, change, view=None):
    """The columns, one view of them changed, in their shape again."""
    seen = columns if view is None else view(spec, columns)
    return np.ascontiguousarray(change(seen)).reshape(columns.shape)


MISREAD = {
    "strides exchanged": lambda s: replace(s, stride=s.stride[::-1]),
    "stride ignored": lambda s: replace(s, stride=(1,) * s.axes),
    "dilations exchanged": lambda s: replace(s, dilation=s.dilation[::-1]),
    "dilation ignored": lambda s: replace(s, dilation=(1,) * s.axes),
    "pads exchanged": lambda s: replace(s, pad=s.pad[::-1]),
    "beginning and end of pad exchanged": lambda s: replace(s, pad=tuple(p[::-1] for p in s.pad)),
    "pad ignored": lambda s: replace(s, pad=((0, 0),) * s.axes),
    "pad of the first axis": lambda s: replace(s, pad=s.pad[:1] * s.axes),
    "stride of the first axis": lambda s: replace(s, stride=s.stride[:1] * s.axes),
    "dilation of the first axis": lambda s: replace(s, dilation=s.dilation[:1] * s.axes),
}
ORDERS = {
    "taps before channels": (taps_of, lambda a: a.swapaxes(1, 2)),
    "taps reversed": (taps_of, lambda a: a[:, :, ::-1]),
    "kernel transposed": (kernel_of, lambda a: a.swapaxes(2, -2)),
    "windows reversed": (None, lambda a: a[:, :, ::-1]),
    "windows by columns": (places_of, lambda a: a.swapaxes(2, -1)),
    "windows before rows": (None, lambda a: a.swapaxes(1, 2)),
    "images reversed": (None, lambda a: a[::-1]),
    "channels reversed": (taps_of, lambda a: a[:, ::-1]),
    "the first image alone": (None, lambda a: np.concatenate([a[:1]] * len(a)) if len(a) else a),
    "the first channel alone": (taps_of, lambda a: np.repeat(a[:, :1], a.shape[1], axis=1)),
}


def edge_padded(spec, x):
    """Padding repeats the edge."""
    pairs = ((0, 0), (0, 0), *spec.pad)
    grown = np.pad(x, pairs, mode="edge")
    return unfold(replace(spec, x_shape=grown.shape, pad=((0, 0),) * spec.axes), grown)


def last_tap_lost(spec, x):
    """The last tap is left zero."""
    found = unfold(spec, x)
    taps_of(spec, found)[:, :, -1] = 0
    return found


def last_window_lost(spec, x):
    """The last window is left zero."""
    found = unfold(spec, x)
    found[:, :, -1:] = 0
    return found


def infinities_lost(spec, columns):
    """Infinite numbers are left out of the sum."""
    return fold(spec, np.where(np.isfinite(columns), columns, 0).astype(spec.dtype))


def assigned(spec, columns):
    """A pixel has the last place that reads it, not their sum."""
    x = np.zeros(spec.x_shape, spec.dtype)
    by_tap = columns.reshape(*spec.x_shape[:2], -1, *spec.out_shape[2:])
    for place, (_, outs, ins) in enumerate(spec.taps()):
        x[:, :, *ins] = by_tap[:, :, place, *outs]
    return x


def averaged(spec, columns):
    """A pixel has the mean of the places that read it."""
    counts = fold(spec, np.ones_like(columns))
    return (fold(spec, columns) / np.maximum(counts, 1)).astype(spec.dtype)


def border_lost(spec, columns):
    """The last row of pixels is left zero."""
    x = fold(spec, columns)
    x[:, :, -1:] = 0
    return x


def tap_lost(spec, columns):
    """The first tap is left out of the sum."""
    left = columns.copy()
    taps_of(spec, left)[:, :, 0] = 0
    return fold(spec, left)


UNFOLD = {
    **{name: misread(change)["to_columns"] for name, change in MISREAD.items()},
    **{
        name: lambda spec, x, v=view, c=change: changed(spec, unfold(spec, x), c, v)
        for name, (view, change) in ORDERS.items()
    },
    "edges repeated": edge_padded,
    "last tap lost": last_tap_lost,
    "last window lost": last_window_lost,
    "off by a thousandth": lambda spec, x: (unfold(spec, x) * 1.001).astype(spec.dtype),
    "in float32": lambda spec, x: unfold(spec, x).astype(np.float32),
    "in Fortran order": lambda spec, x: np.asfortranarray(unfold(spec, x)),
    "a view of x": lambda spec, x: (
        x.reshape(spec.columns_shape)
        if x.size == np.prod(spec.columns_shape) and set(spec.kernel) == {1}
        else unfold(spec, x)
    ),
}
FOLD = {
    **{name: misread(change)["from_columns"] for name, change in MISREAD.items()},
    **{
        name: lambda spec, columns, v=view, c=change: fold(spec, changed(spec, columns, c, v))
        for name, (view, change) in ORDERS.items()
    },
    "assigned": assigned,
    "averaged": averaged,
    "border lost": border_lost,
    "first tap lost": tap_lost,
    "infinities lost": infinities_lost,
    "in float32": lambda spec, columns: fold(spec, columns).astype(np.float32),
    "doubled": lambda spec, columns: 2 * fold(spec, columns),
    "a view of columns": lambda spec, columns: (
        columns.reshape(spec.x_shape)
        if columns.size == np.prod(spec.x_shape) and set(spec.kernel) == {1}
        else fold(spec, columns)
    ),
}


def test_there_are_many():
    assert len(UNFOLD) + len(FOLD) >= 40


def test_what_is_right_passes():
    checks()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(pytest.param("to_columns", w, id=f"unfold: {n}") for n, w in UNFOLD.items()),
        *(pytest.param("from_columns", w, id=f"fold: {n}") for n, w in FOLD.items()),
    ],
)
def test_it_is_found(monkeypatch, name, wrong):
    monkeypatch.setattr(windows, name, wrong)
    with pytest.raises((AssertionError, ValueError, IndexError)):
        checks()
