"""The semantics decided once, sentence by sentence, for every bundled backend.

The conformance suite checks values over thousands of problems; here each rule has one small test
that a reader can check by hand.
"""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from convkit import (
    avg_pool,
    avg_pool_backward,
    avg_pool_forward,
    conv,
    conv_backward,
    conv_forward,
    conv_relu_pool_backward,
    conv_relu_pool_forward,
    max_pool,
    max_pool_backward,
    max_pool_forward,
)

NAN, INF = np.nan, np.inf


def image(*rows):
    """One image of one channel."""
    return np.array([[rows]], dtype=float)


def test_no_kernel_is_flipped(backend):
    out = conv(image([1, 2, 3]), image([10, 1]), backend=backend)
    np.testing.assert_array_equal(out, image([12, 23]))


def test_groups_see_their_own_channels(backend):
    x = np.arange(1.0, 5).reshape(1, 4, 1, 1)
    w = np.array([1.0, 10, 100, 1000]).reshape(2, 2, 1, 1)
    out = conv(x, w, groups=2, backend=backend)
    np.testing.assert_array_equal(out.ravel(), [21, 4300])


def test_depthwise_keeps_channels_apart(backend):
    x = np.arange(6.0).reshape(1, 3, 1, 2)
    w = np.array([1.0, 10, 100]).reshape(3, 1, 1, 1)
    np.testing.assert_array_equal(
        conv(x, w, groups=3, backend=backend).ravel(), [0, 1, 20, 30, 400, 500]
    )


def test_padding_begins_and_ends_where_it_says(backend):
    out = conv(image([1, 2]), image([1, 10, 100]), pad=((0, 0), (2, 1)), backend=backend)
    np.testing.assert_array_equal(out, image([100, 210, 21]))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_number_of_spatial_axes(backend, rng, axes):
    x = rng.integers(-4, 5, (2, 2, *range(4, 4 + axes))).astype(float)
    w = rng.integers(-4, 5, (3, 2, *(2,) * axes)).astype(float)
    out, cache = conv_forward(x, w, stride=2, pad=1, backend=backend)
    dout = rng.integers(-4, 5, out.shape).astype(float)
    dx, dw, db = conv_backward(dout, cache)
    assert db is None
    # The adjoint identities hold exactly on integers.
    assert (out * dout).sum() == (x * dx).sum() == (w * dw).sum()
    assert max_pool(x, kernel=2, backend=backend).shape == (2, 2, *(n // 2 for n in x.shape[2:]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_dtype_of_the_inputs_and_lie_in_c_order(backend, rng, dtype):
    x = rng.standard_normal((2, 3, 6, 5)).astype(dtype)
    w = rng.standard_normal((4, 3, 3, 3)).astype(dtype)
    b = rng.standard_normal(4).astype(dtype)
    for layout in (np.asfortranarray, lambda a: a[..., ::-1][..., ::-1], lambda a: a.astype(">f8")):
        if layout(x).dtype.itemsize != x.dtype.itemsize:
            continue
        out, cache = conv_forward(layout(x), layout(w), b, pad=1, backend=backend)
        np.testing.assert_array_equal(out, conv(x, w, b, pad=1, backend=backend))
        for result in (out, *conv_backward(layout(np.ones_like(out)), cache)):
            assert result.dtype == dtype
            assert result.dtype.isnative
            assert result.flags.c_contiguous


def test_inputs_are_never_written_to(backend, rng):
    arrays = [rng.standard_normal(s) for s in ((2, 2, 5, 5), (4, 2, 3, 3), (4,), (2, 4, 2, 2))]
    for array in arrays:
        array.flags.writeable = False
    x, w, b, dout = arrays
    _, cache = conv_forward(x, w, b, stride=2, backend=backend)
    conv_backward(dout, cache)
    out, cache = max_pool_forward(x, kernel=2, backend=backend)
    max_pool_backward(np.ones_like(out), cache)


def test_an_empty_batch_gives_empty_results_and_zero_weight_gradients(backend):
    x, w, b = np.ones((0, 2, 5, 5)), np.ones((3, 2, 2, 2)), np.ones(3)
    out, cache = conv_forward(x, w, b, backend=backend)
    assert out.shape == (0, 3, 4, 4)
    dx, dw, db = conv_backward(out, cache)
    assert dx.shape == x.shape
    assert not dw.any()
    assert not db.any()
    for forward, backward in (
        (max_pool_forward, max_pool_backward),
        (avg_pool_forward, avg_pool_backward),
    ):
        out, cache = forward(x, kernel=2, backend=backend)
        assert out.shape == (0, 2, 2, 2)
        assert backward(out, cache).shape == x.shape


def test_what_is_not_needed_is_none(backend, rng):
    x, w, b = rng.standard_normal((2, 2, 5, 5)), rng.standard_normal((3, 2, 3, 3)), np.zeros(3)
    out, cache = conv_forward(x, w, b, backend=backend)
    everything = conv_backward(out, cache)
    for needs in ((), ("dx",), ("dw",), ("db",), ("dx", "db"), ("dw", "db"), ("dx", "dw")):
        for name, got, full in zip(
            ("dx", "dw", "db"), conv_backward(out, cache, needs=needs), everything, strict=True
        ):
            if name in needs:
                np.testing.assert_allclose(got, full, rtol=1e-12, atol=1e-12)
            else:
                assert got is None


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_nonfinite_pixel_reaches_exactly_the_windows_that_hold_it(backend, rng, value):
    x, w = rng.standard_normal((2, 2, 7, 9)), rng.uniform(1, 2, (3, 2, 3, 3))
    x[1, 0, 3, 4] = value
    out, cache = conv_forward(x, w, pad=1, stride=2, backend=backend)
    hit = np.zeros_like(out, bool)
    hit[1, :, 1:3, 2:3] = True  # rows 1, 2 and column 2 (pixels 3..5) see pixel (3, 4)
    np.testing.assert_array_equal(~np.isfinite(out), hit)
    _, dw, _ = conv_backward(np.ones_like(out), cache)
    assert np.isfinite(dw[:, 1]).all()


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_nonfinite_gradient_reaches_exactly_its_window(backend, rng, value):
    x, w = rng.uniform(1, 2, (2, 2, 5, 5)), rng.uniform(1, 2, (3, 2, 3, 3))
    out, cache = conv_forward(x, w, pad=1, backend=backend)
    dout = np.ones_like(out)
    dout[0, 1, 0, 0] = value  # the corner: taps of row 0 and of column 0 meet padding alone
    dx, dw, _ = conv_backward(dout, cache)
    hit = np.zeros_like(x, bool)
    hit[0, :, :2, :2] = True
    np.testing.assert_array_equal(~np.isfinite(dx), hit)
    hit = np.zeros_like(w, bool)
    hit[1, :, 1:, 1:] = True
    np.testing.assert_array_equal(~np.isfinite(dw), hit)


def test_of_equal_maxima_the_first_takes_the_gradient(backend):
    out, cache = max_pool_forward(image([1, 7, 0], [7, 7, 0]), kernel=2, stride=1, backend=backend)
    np.testing.assert_array_equal(out, image([7, 7]))
    np.testing.assert_array_equal(
        max_pool_backward(image([1, 10]), cache), image([0, 11, 0], [0, 0, 0])
    )


def test_nan_wins_and_takes_the_gradient(backend):
    out, cache = max_pool_forward(image([INF, NAN], [NAN, 3]), kernel=2, backend=backend)
    assert np.isnan(out).all()
    np.testing.assert_array_equal(max_pool_backward(image([5]), cache), image([0, 5], [0, 0]))


def test_padding_never_wins(backend):
    for value in (-5.0, -INF):
        x = np.full((1, 1, 2, 2), value)
        out, cache = max_pool_forward(x, kernel=2, pad=1, backend=backend)
        np.testing.assert_array_equal(out, x)
        np.testing.assert_array_equal(max_pool_backward(np.ones((1, 1, 2, 2)), cache), 1)


def test_the_average_divides_by_what_it_says(backend):
    x = np.full((1, 1, 3, 3), 36.0)
    real = avg_pool(x, kernel=2, pad=1, ceil_mode=True, backend=backend)
    np.testing.assert_array_equal(real, 36)
    padded = avg_pool(x, kernel=2, pad=1, count_include_pad=True, backend=backend)
    np.testing.assert_array_equal(padded, image([9, 18], [18, 36]))
    # A window that hangs over the padded image counts only what is inside it.
    over = avg_pool(
        x[:, :, :1], kernel=(1, 2), pad=0, ceil_mode=True, count_include_pad=True, backend=backend
    )
    np.testing.assert_array_equal(over, image([36, 36]))
    out, cache = avg_pool_forward(x, kernel=2, pad=1, backend=backend)
    np.testing.assert_array_equal(
        avg_pool_backward(np.full_like(out, 4), cache), image([4, 2, 2], [2, 1, 1], [2, 1, 1])
    )


def test_relu_keeps_nan_and_has_derivative_zero_at_zero(backend):
    x, w = image([NAN, 1, 0, 0, -3, -4]), image([1])
    out, cache = conv_relu_pool_forward(
        x, w, None, {"stride": 1}, {"pool_height": 1, "pool_width": 2}, backend=backend
    )
    np.testing.assert_array_equal(out, image([NAN, 0, 0]))
    dx, dw, db = conv_relu_pool_backward(image([INF, 1, 1]), cache)
    np.testing.assert_array_equal(dx, np.zeros_like(x))
    assert dw.shape == w.shape
    assert db is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_fused_layer_equals_its_parts(backend, rng, dtype):
    x = rng.integers(-5, 6, (3, 4, 9, 7)).astype(dtype)
    w, b = rng.integers(-5, 6, (6, 2, 3, 2)).astype(dtype), rng.integers(-9, 9, 6).astype(dtype)
    conv_param = {"stride": (2, 1), "pad": ((1, 0), (0, 2)), "groups": 2}
    pool_param = {"kernel": (2, 3), "stride": (1, 2), "pad": (0, 1), "ceil_mode": True}
    fused, cache = conv_relu_pool_forward(x, w, b, conv_param, pool_param, backend=backend)
    z, conv_cache = conv_forward(x, w, b, conv_param, backend=backend)
    out, pool_cache = max_pool_forward(np.maximum(z, 0), pool_param, backend=backend)
    np.testing.assert_array_equal(fused, out)
    dout = rng.integers(-5, 6, out.shape).astype(dtype)
    dz = np.where(z > 0, max_pool_backward(dout, pool_cache), 0).astype(dtype)
    for got, expected in zip(
        conv_relu_pool_backward(dout, cache), conv_backward(dz, conv_cache), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_inference_equals_forward(backend, rng):
    x, w = rng.standard_normal((2, 3, 8, 8)), rng.standard_normal((4, 3, 3, 3))
    np.testing.assert_allclose(
        conv(x, w, pad=1, backend=backend),
        conv_forward(x, w, pad=1, backend=backend)[0],
        rtol=1e-12,
        atol=1e-12,
    )
    for infer, forward in ((max_pool, max_pool_forward), (avg_pool, avg_pool_forward)):
        np.testing.assert_array_equal(
            infer(x, kernel=3, stride=2, backend=backend),
            forward(x, kernel=3, stride=2, backend=backend)[0],
        )


def test_the_same_call_twice_gives_the_same_bits(backend, rng):
    x = rng.standard_normal((4, 3, 17, 13)).astype(np.float32)
    w = rng.standard_normal((5, 3, 3, 3)).astype(np.float32)
    results = []
    for _ in range(2):
        out, cache = conv_forward(x, w, pad=1, backend=backend)
        conv(x[:1, :, :5, :5], w, backend=backend)  # another shape in between
        results.append([out, *conv_backward(out, cache)[:2]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_backward_goes_home(backend, rng):
    x, w = rng.standard_normal((1, 1, 4, 4)), rng.standard_normal((1, 1, 3, 3))
    out, cache = conv_forward(x, w, backend=backend)
    assert cache.backend == backend
    with convkit.use_backend("naive"):
        dx, _, _ = conv_backward(out, cache)
    assert cache.backend == backend
    assert dx.shape == x.shape


@pytest.mark.parametrize("large", [2**40, 2**62])
def test_a_stride_beyond_the_image_is_one_window_in_every_backend(backend: str, large: int) -> None:
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    out, cache = convkit.max_pool_forward(x, kernel=3, stride=large, backend=backend)
    assert out.tolist() == [[[[10.0]]]]
    assert np.argmax(convkit.max_pool_backward(np.ones((1, 1, 1, 1)), cache)) == 10
    assert convkit.avg_pool(x, kernel=2, stride=large, backend=backend).tolist() == [[[[2.5]]]]
    w = np.ones((1, 1, 1, 1))
    assert convkit.conv(x, w, stride=large, backend=backend).tolist() == [[[[0.0]]]]
    np.testing.assert_array_equal(convkit.conv(x, w, dilation=large, backend=backend), x)


@pytest.mark.parametrize("name", ["stride", "dilation"])
def test_a_stride_of_2_to_the_70_is_refused_in_every_backend(backend: str, name: str) -> None:
    x, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 1, 1))
    with pytest.raises(convkit.ParameterError, match=rf"^{name} \(=1180591620717411303424\) must "):
        convkit.conv(x, w, backend=backend, **{name: 2**70})  # type: ignore[arg-type]
    with pytest.raises(convkit.ParameterError, match=rf"^{name} \(=1180591620717411303424\) must "):
        convkit.max_pool(x, kernel=1, backend=backend, **{name: 2**70})  # type: ignore[arg-type]
