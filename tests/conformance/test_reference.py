"""The reference against values that others published, and against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from convkit.conformance import reference
from convkit.spec import ConvSpec, PoolSpec


def test_convolution_of_the_course_notebook() -> None:
    """CS231n, ConvolutionalNetworks.ipynb, "Convolution: Naive forward pass"."""
    x = np.linspace(-0.1, 0.5, num=96).reshape(2, 3, 4, 4)
    w = np.linspace(-0.2, 0.3, num=144).reshape(3, 3, 4, 4)
    b = np.linspace(-0.1, 0.2, num=3)
    spec = ConvSpec.of(x, w, b, stride=2, pad=1)
    published = [
        [[[-0.08759809, -0.10987781], [-0.18387192, -0.2109216]],
         [[0.21027089, 0.21661097], [0.22847626, 0.23004637]],
         [[0.50813986, 0.54309974], [0.64082444, 0.67101435]]],
        [[[-0.98053589, -1.03143541], [-1.19128892, -1.24695841]],
         [[0.69108355, 0.66880383], [0.59480972, 0.56776003]],
         [[2.36270298, 2.36904306], [2.38090835, 2.38247847]]],
    ]  # fmt: skip
    np.testing.assert_allclose(reference.conv_forward(spec, x, w, b), published, atol=5e-9)


def test_max_pooling_of_the_course_notebook() -> None:
    """CS231n, ConvolutionalNetworks.ipynb, "Max-Pooling: Naive forward"."""
    x = np.linspace(-0.3, 0.4, num=96).reshape(2, 3, 4, 4)
    spec = PoolSpec.of(x, kind="max", kernel=2, stride=2)
    published = [
        [[[-0.26315789, -0.24842105], [-0.20421053, -0.18947368]],
         [[-0.14526316, -0.13052632], [-0.08631579, -0.07157895]],
         [[-0.02736842, -0.01263158], [0.03157895, 0.04631579]]],
        [[[0.09052632, 0.10526316], [0.14947368, 0.16421053]],
         [[0.20842105, 0.22315789], [0.26736842, 0.28210526]],
         [[0.32631579, 0.34105263], [0.38526316, 0.4]]],
    ]  # fmt: skip
    np.testing.assert_allclose(reference.max_pool_forward(spec, x)[0], published, atol=5e-9)


@pytest.mark.parametrize(
    ("pad", "stride", "shape", "published"),
    [
        (
            ((1, 1), (1, 1)), 1, (5, 5),
            [12, 21, 27, 33, 24, 33, 54, 63, 72, 51, 63, 99, 108, 117, 81, 93, 144, 153, 162, 111,
             72, 111, 117, 123, 84],
        ),
        (((0, 0), (0, 0)), 1, (5, 5), [54, 63, 72, 99, 108, 117, 144, 153, 162]),
        (((1, 1), (1, 1)), 2, (7, 5), [12, 27, 24, 63, 108, 81, 123, 198, 141, 112, 177, 124]),
        (((0, 0), (0, 0)), 2, (7, 5), [54, 72, 144, 162, 234, 252]),
        (((1, 1), (0, 0)), 2, (7, 5), [21, 33, 99, 117, 189, 207, 171, 183]),
    ],
)  # fmt: skip
def test_convolution_of_the_onnx_specification(pad, stride, shape, published) -> None:  # type: ignore[no-untyped-def]
    """ONNX, Operators.md, Conv: the examples conv and conv_with_strides."""
    x = np.arange(np.prod(shape), dtype=np.float64).reshape(1, 1, *shape)
    w = np.ones((1, 1, 3, 3))
    spec = ConvSpec.of(x, w, pad=pad, stride=stride)
    assert reference.conv_forward(spec, x, w, None).ravel().tolist() == published


def test_pooling_of_the_onnx_specification() -> None:
    """ONNX, Operators.md: maxpool_2d_precomputed_pads, averagepool_2d_precomputed_pads(_count…)."""
    x = np.arange(1.0, 26.0).reshape(1, 1, 5, 5)
    shared = {"kernel": 5, "stride": 1, "pad": 2}
    largest = [13, 14, 15, 15, 15, 18, 19, 20, 20, 20, 23, 24, 25, 25, 25]
    largest += [23, 24, 25, 25, 25, 23, 24, 25, 25, 25]
    spec = PoolSpec.of(x, kind="max", **shared)
    assert reference.max_pool_forward(spec, x)[0].ravel().tolist() == largest
    spec = PoolSpec.of(x, kind="avg", **shared)
    averages = [[7, 7.5, 8, 8.5, 9], [9.5, 10, 10.5, 11, 11.5], [12, 12.5, 13, 13.5, 14],
                [14.5, 15, 15.5, 16, 16.5], [17, 17.5, 18, 18.5, 19]]  # fmt: skip
    assert reference.avg_pool_forward(spec, x)[0, 0].tolist() == averages
    spec = PoolSpec.of(x, kind="avg", count_include_pad=True, **shared)
    counted = [[2.52, 3.6, 4.8, 4.08, 3.24], [4.56, 6.4, 8.4, 7.04, 5.52],
               [7.2, 10, 13, 10.8, 8.4], [6.96, 9.6, 12.4, 10.24, 7.92],
               [6.12, 8.4, 10.8, 8.88, 6.84]]  # fmt: skip
    np.testing.assert_allclose(reference.avg_pool_forward(spec, x)[0, 0], counted, rtol=1e-15)


def test_ceil_mode_of_the_onnx_specification() -> None:
    """ONNX, Operators.md: maxpool_2d_ceil and averagepool_2d_ceil."""
    x = np.arange(1.0, 17.0).reshape(1, 1, 4, 4)
    spec = PoolSpec.of(x, kind="max", kernel=3, stride=2, ceil_mode=True)
    assert reference.max_pool_forward(spec, x)[0].tolist() == [[[[11, 12], [15, 16]]]]
    spec = PoolSpec.of(x, kind="avg", kernel=3, stride=2, ceil_mode=True)
    assert reference.avg_pool_forward(spec, x).tolist() == [[[[6, 7.5], [12, 13.5]]]]


def _brute(spec: ConvSpec, x: np.ndarray, w: np.ndarray, dout: np.ndarray):  # type: ignore[no-untyped-def]
    """Every product of the definition, one by one."""
    out = np.zeros(spec.out_shape)
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    filters = spec.w_shape[0] // spec.groups
    for n, f, *o in np.ndindex(spec.out_shape):
        for c, *k in np.ndindex(spec.w_shape[1:]):
            channel = f // filters * spec.w_shape[1] + c
            p = [
                o[a] * spec.stride[a] - spec.pad[a][0] + k[a] * spec.dilation[a]
                for a in range(spec.axes)
            ]
            if all(0 <= p[a] < spec.x_shape[2 + a] for a in range(spec.axes)):
                out[n, f, *o] += x[n, channel, *p] * w[f, c, *k]
                dx[n, channel, *p] += dout[n, f, *o] * w[f, c, *k]
                dw[f, c, *k] += dout[n, f, *o] * x[n, channel, *p]
    return out, dx, dw


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "geometry"),
    [
        ((2, 4, 7, 6), (6, 2, 3, 2), {"groups": 2, "stride": (2, 1), "pad": ((1, 0), (2, 3))}),
        (
            (1, 3, 9, 8),
            (2, 3, 2, 3),
            {"dilation": (3, 2), "stride": (1, 2), "pad": ((0, 4), (1, 1))},
        ),
        ((2, 2, 11), (4, 1, 3), {"groups": 2, "dilation": 2, "stride": 3}),
        ((1, 2, 4, 3, 5), (2, 2, 2, 3, 2), {"stride": (2, 1, 3), "pad": ((1, 0), (0, 1), (2, 0))}),
    ],
)
def test_convolution_and_gradients_are_the_sum_of_every_product(x_shape, w_shape, geometry) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    spec = ConvSpec.of(x_shape, w_shape, dtype="float64", **geometry)
    x, w, dout = (rng.integers(-9, 10, s).astype(float) for s in (x_shape, w_shape, spec.out_shape))
    out, dx, dw = _brute(spec, x, w, dout)
    np.testing.assert_array_equal(reference.conv_forward(spec, x, w, None), out)
    np.testing.assert_array_equal(reference.conv_dx(spec, dout, w), dx)
    np.testing.assert_array_equal(reference.conv_dw(spec, dout, x), dw)
    np.testing.assert_array_equal(
        reference.conv_db(spec, dout), dout.sum((0, *range(2, dout.ndim)))
    )


def test_the_first_maximum_wins_nan_before_numbers_and_padding_never() -> None:
    x = np.array([[[[-np.inf, -np.inf], [-np.inf, -np.inf]]]])
    spec = PoolSpec.of(x, kind="max", kernel=2, stride=1, pad=1)
    out, winner = reference.max_pool_forward(spec, x)
    assert (out == -np.inf).all()
    assert winner.ravel().tolist() == [0, 0, 1, 0, 0, 1, 2, 2, 3]
    x = np.array([[[5.0, np.nan, 7.0, np.nan]]])
    spec = PoolSpec.of(x, kind="max", kernel=4)
    out, winner = reference.max_pool_forward(spec, x)
    assert np.isnan(out).all()
    assert winner.item() == 1


def test_overlapping_windows_add_up() -> None:
    x = np.array([[[1.0, 9.0, 2.0, 3.0]]])
    spec = PoolSpec.of(x, kind="max", kernel=2, stride=1)
    _, winner = reference.max_pool_forward(spec, x)
    dout = np.array([[[1.0, 10.0, 100.0]]])
    assert reference.max_pool_dx(spec, dout, winner).tolist() == [[[0, 11, 0, 100]]]
    spec = PoolSpec.of(x, kind="avg", kernel=2, stride=1)
    assert reference.avg_pool_dx(spec, dout).tolist() == [[[0.5, 5.5, 55, 50]]]


def test_exact_dot_rounds_once() -> None:
    """Against rational arithmetic, where plain float64 is off."""
    rng = np.random.default_rng(1)
    a = rng.standard_normal((3, 40)) * 10.0 ** rng.integers(-8, 9, (3, 40))
    b = rng.standard_normal((40, 2))
    exact = [
        [
            float(sum(Fraction(p) * Fraction(q) for p, q in zip(row, col, strict=True)))
            for col in b.T
        ]
        for row in a.tolist()
    ]
    assert reference.exact_dot(a, b).tolist() == exact
    assert (a @ b).tolist() != exact
