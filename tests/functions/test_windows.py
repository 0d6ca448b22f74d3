"""Where maxima are, windows as columns and back: by the definition, as adjoints, as PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import convkit
from convkit import registry
from convkit.spec import PoolSpec, UnfoldSpec

POOLS = [
    {"kernel": 2},
    {"kernel": 3, "stride": 2, "pad": 1},
    {"kernel": (3, 2), "stride": (1, 2), "pad": ((1, 0), (0, 1))},
    {"kernel": (2, 3), "dilation": (3, 2), "stride": 1},
    {"kernel": 3, "stride": 2, "ceil_mode": True},
    {"kernel": 2, "stride": 3},
]
UNFOLDS = [
    {"kernel": 2},
    {"kernel": (3, 2), "pad": (1, 0)},
    {"kernel": (2, 3), "stride": (3, 2), "pad": ((1, 2), (0, 3))},
    {"kernel": (2, 2), "dilation": (2, 3), "pad": 2},
    {"kernel": 1, "stride": (2, 3), "pad": ((0, 3), (2, 0))},
    {"kernel": 3, "pad": "same"},
    {"kernel": (6, 7)},
]
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def integers(rng, shape, dtype="float64", most=3):
    return rng.integers(-most, most + 1, shape).astype(dtype)


# --- indices ----------------------------------------------------------------------------------


def first_maximum(spec, plane):
    """By the definition: window by window, row by row."""
    found = np.zeros(spec.out_shape[2:], np.int64)
    for place in np.ndindex(*found.shape):
        best = None
        for tap in np.ndindex(*spec.kernel):
            at = tuple(
                o * s - p[0] + k * d
                for o, s, p, k, d in zip(
                    place, spec.stride, spec.pad, tap, spec.dilation, strict=True
                )
            )
            if not all(0 <= i < n for i, n in zip(at, plane.shape, strict=True)):
                continue
            better = best is None or plane[at] > plane[best] or np.isnan(plane[at])
            if better and not (best is not None and np.isnan(plane[best])):
                best = at
        found[place] = np.ravel_multi_index(best, plane.shape)
    return found


@DTYPES
@pytest.mark.parametrize("keywords", POOLS, ids=str)
def test_indices_are_those_of_the_first_maxima(backend, rng, keywords, dtype):
    x = integers(rng, (2, 3, 7, 8), dtype)
    x[0, 0, 1:4, 2:5] = np.nan
    x[1, 1] = -np.inf
    x[1, 2, ::2] = -0.0
    spec = PoolSpec.of(x, kind="max", **keywords)
    out, indices = convkit.max_pool_indices(x, **keywords, backend=backend)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(out, convkit.max_pool(x, **keywords, backend=backend))
    for n, c in np.ndindex(2, 3):
        np.testing.assert_array_equal(indices[n, c], first_maximum(spec, x[n, c]))
    found = np.take_along_axis(x.reshape(2, 3, -1), indices.reshape(2, 3, -1), axis=2)
    np.testing.assert_array_equal(found.reshape(out.shape), out)


def test_the_gradient_goes_to_the_indices(backend, rng):
    x = integers(rng, (2, 3, 6, 7))
    out, indices = convkit.max_pool_indices(x, kernel=3, stride=1, backend=backend)
    _, cache = convkit.max_pool_forward(x, kernel=3, stride=1, backend=backend)
    dout = integers(rng, out.shape)
    wanted = np.zeros((6, 42))
    np.add.at(wanted, (np.arange(6)[:, None], indices.reshape(6, -1)), dout.reshape(6, -1))
    np.testing.assert_array_equal(convkit.max_pool_backward(dout, cache).reshape(6, -1), wanted)


def test_indices_take_the_courses_dictionary(rng):
    x = integers(rng, (1, 2, 6, 6))
    param = {"pool_height": 2, "pool_width": 3, "stride": 2, "backend": "naive"}
    found = convkit.max_pool_indices(x, param)
    for one, other in zip(found, convkit.max_pool_indices(x, kernel=(2, 3), stride=2), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(convkit.ParameterError, match="unknown key 'strides'"):
        convkit.max_pool_indices(x, {"kernel": 2, "strides": 1})
    with pytest.raises(convkit.ParameterError, match="kernel is needed"):
        convkit.max_pool_indices(x)


def test_indices_of_any_layout_and_of_no_images(rng):
    x = integers(rng, (2, 3, 6, 7))
    wanted = convkit.max_pool_indices(x, kernel=2)
    for other in (np.asfortranarray(x), x.astype(">f8"), x[::-1, :, :, ::-1][::-1, :, :, ::-1]):
        for found, expected in zip(convkit.max_pool_indices(other, kernel=2), wanted, strict=True):
            np.testing.assert_array_equal(found, expected)
    out, indices = convkit.max_pool_indices(x[:0], kernel=2)
    assert out.shape == indices.shape == (0, 3, 3, 3)


def test_a_maximum_that_is_no_pixel_of_its_window_is_refused(rng):
    class Off(type(registry.load("im2col_numpy").backend)):
        name = "off"

        def pool_infer(self, spec, x):
            out = super().pool_infer(spec, x)
            out[0, 1, 2, 0] += 0.5
            return out

    x = integers(rng, (1, 2, 6, 7))
    message = (
        r"^the backend returned .* as out\[0, 1, 2, 0\] of max_pool\(.*, which no pixel of its"
    )
    with pytest.raises(convkit.BackendResultError, match=message):
        convkit.max_pool_indices(x, kernel=2, backend=Off())


# --- columns ----------------------------------------------------------------------------------


def columns_of(spec, x):
    """By the definition: every tap of every window, padding 0."""
    taps, places = (list(np.ndindex(*n)) for n in (spec.kernel, spec.out_shape[2:]))
    found = np.zeros((*x.shape[:2], len(taps), len(places)))
    for (i, tap), (j, place) in itertools.product(enumerate(taps), enumerate(places)):
        at = tuple(
            o * s - p[0] + k * d
            for o, s, p, k, d in zip(place, spec.stride, spec.pad, tap, spec.dilation, strict=True)
        )
        if all(0 <= a < n for a, n in zip(at, x.shape[2:], strict=True)):
            found[:, :, i, j] = x[:, :, *at]
    return found.reshape(len(x), x.shape[1] * len(taps), len(places))


@DTYPES
@pytest.mark.parametrize("keywords", UNFOLDS, ids=str)
def test_columns_are_the_windows(rng, keywords, dtype):
    x = integers(rng, (2, 3, 6, 7), dtype)
    spec = UnfoldSpec.of(x, **keywords)
    columns = convkit.unfold(x, **keywords)
    assert columns.dtype == dtype
    assert columns.flags.c_contiguous
    np.testing.assert_array_equal(columns, columns_of(spec, x))
    # fold is linear, so it is what this identity says of any other x.
    other = integers(rng, columns.shape, dtype)
    folded = convkit.fold(other, x.shape, **keywords)
    assert folded.dtype == dtype
    again = integers(rng, x.shape, dtype)
    assert np.vdot(convkit.unfold(again, **keywords), other) == np.vdot(again, folded)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_convolution_is_a_product_with_the_columns(rng, axes):
    kernel, stride = (2, 3, 2)[:axes], (1, 2, 1)[:axes]
    x, w = integers(rng, (2, 3, *(5, 6, 4)[:axes])), integers(rng, (4, 3, *kernel))
    keywords = {"stride": stride, "pad": 1}
    out, cache = convkit.conv_forward(x, w, **keywords)
    rows = w.reshape(4, -1)
    product = rows @ convkit.unfold(x, kernel=kernel, **keywords)
    np.testing.assert_array_equal(product.reshape(out.shape), out)
    dout = integers(rng, out.shape)
    back = rows.T @ dout.reshape(2, 4, -1)
    dx = convkit.fold(back, x.shape, kernel=kernel, **keywords)
    np.testing.assert_array_equal(dx, convkit.conv_backward(dout, cache)[0])


def test_fold_of_unfold_counts_the_windows(rng):
    x = integers(rng, (2, 3, 6, 7), most=9)
    keywords = {"kernel": (3, 2), "stride": (2, 1), "pad": 1}
    both = convkit.fold(convkit.unfold(x, **keywords), x.shape, **keywords)
    ones = convkit.fold(convkit.unfold(np.ones_like(x), **keywords), x.shape, **keywords)
    np.testing.assert_array_equal(both, x * ones)
    assert ones.max() > 1


def test_columns_of_any_layout_of_no_images_and_of_infinities(rng):
    x = integers(rng, (2, 3, 6, 7))
    wanted = convkit.unfold(x, kernel=2)
    for other in (np.asfortranarray(x), x.astype(">f8"), x.transpose(0, 1, 3, 2).copy().mT):
        np.testing.assert_array_equal(convkit.unfold(other, kernel=2), wanted)
    np.testing.assert_array_equal(
        convkit.fold(wanted.astype(">f8"), x.shape, kernel=2),
        convkit.fold(np.asfortranarray(wanted), x.shape, kernel=2),
    )
    none = convkit.unfold(x[:0], kernel=2)
    assert none.shape == (0, 12, 30)
    assert convkit.fold(none, (0, 3, 6, 7), kernel=2).shape == (0, 3, 6, 7)
    wanted[0, 0, 0], wanted[0, 1, 0] = np.inf, -np.inf  # of pixels (0, 0) and (0, 1)
    folded = convkit.fold(wanted, x.shape, kernel=2)
    assert folded[0, 0, 0, 0] == np.inf
    assert folded[0, 0, 0, 1] == -np.inf
    assert np.isfinite(folded).sum() == folded.size - 2


def test_results_are_new(rng):
    x = integers(rng, (1, 1, 3, 4))
    columns = convkit.unfold(x, kernel=1)
    assert not np.may_share_memory(columns, x)
    assert not np.may_share_memory(convkit.fold(columns, x.shape, kernel=1), columns)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: convkit.unfold(x[0, 0], kernel=2), convkit.ShapeError, "at least 3 axes"),
        (lambda x: convkit.unfold(x, kernel=9), convkit.ShapeError, "must not be larger than"),
        (lambda x: convkit.unfold(x, kernel=0), convkit.ParameterError, r"kernel \(=0\)"),
        (lambda x: convkit.unfold(x, kernel=2, stride=1.0), convkit.ParameterError, "stride"),
        (lambda x: convkit.unfold(x.astype(int), kernel=2), convkit.DtypeError, "float32"),
        (
            lambda x: convkit.fold(np.zeros((2, 12, 29)), x.shape, kernel=2),
            convkit.ShapeError,
            r"columns.shape \(=\(2, 12, 29\)\) must be \(N, C \* taps, windows\) = \(2, 12, 30\) "
            r"for unfold\(x \(2, 3, 6, 7\), kernel=\(2, 2\), stride=\(1, 1\)",
        ),
        (
            lambda x: convkit.fold(np.zeros((2, 12, 30)), (6, 7), kernel=2),
            convkit.ShapeError,
            "at least 3 axes",
        ),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call(np.zeros((2, 3, 6, 7)))


def test_the_global_average_is_a_pool_with_the_images_own_window(backend, rng):
    x = integers(rng, (2, 3, 4, 8))
    out, cache = convkit.avg_pool_forward(x, kernel=x.shape[2:], backend=backend)
    np.testing.assert_array_equal(out, x.mean(axis=(2, 3), keepdims=True))
    dout = integers(rng, out.shape)
    dx = convkit.avg_pool_backward(dout, cache)
    np.testing.assert_array_equal(dx, np.broadcast_to(dout / 32, x.shape))


# --- PyTorch ----------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_indices_are_pytorchs(backend, rng, axes, ceil_mode):
    """But for windows of several NaN: PyTorch names the last of them, convkit the first."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = integers(rng, (2, 3, *(7, 8, 6)[:axes]))
    pool = getattr(torch.nn.functional, f"max_pool{axes}d")
    keywords = {"stride": 2, "dilation": 2, "ceil_mode": ceil_mode}
    wanted = pool(torch.from_numpy(x), 3, padding=1, return_indices=True, **keywords)
    found = convkit.max_pool_indices(x, kernel=3, pad=1, **keywords, backend=backend)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other.numpy())


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"stride": (2, 1), "padding": (1, 2)},
        {"dilation": (2, 3), "padding": 2},
        {"stride": 3, "dilation": 2, "padding": (0, 1)},
    ],
    ids=str,
)
def test_columns_are_pytorchs(rng, keywords):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = integers(rng, (2, 3, 7, 8))
    ours = {("pad" if key == "padding" else key): value for key, value in keywords.items()}
    columns = convkit.unfold(x, kernel=(2, 3), **ours)
    theirs = torch.nn.functional.unfold(torch.from_numpy(x), (2, 3), **keywords)
    np.testing.assert_array_equal(columns, theirs.numpy())
    other = integers(rng, columns.shape)
    wanted = torch.nn.functional.fold(torch.from_numpy(other), (7, 8), (2, 3), **keywords)
    folded = convkit.fold(other, x.shape, kernel=(2, 3), **ours)
    np.testing.assert_array_equal(folded, wanted.numpy())
