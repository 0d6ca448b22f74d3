"""Transposed convolution: by the definition, as the adjoint, and as PyTorch has it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import convkit
from convkit import ConvTransposeSpec

GEOMETRY = [
    {},
    {"stride": 2},
    {"stride": (2, 3), "pad": (1, 0)},
    {"stride": (3, 2), "pad": ((1, 0), (0, 2)), "output_pad": (2, 1)},
    {"dilation": (2, 3), "pad": (1, 2)},
    {"stride": (1, 2), "dilation": (3, 2), "output_pad": (2, 1)},  # output_pad >= stride
    {"dilation": 3, "pad": ((0, 1), (1, 2)), "output_pad": 2},  # some of it shows real pixels
    {"dilation": 3, "pad": ((10, 0), (0, 0)), "output_pad": 2},  # x reaches nothing
    {"groups": 2, "stride": 2, "pad": 1},
    {"pad": "same", "stride": (2, 3)},
    {"pad": "same", "stride": (5, 4)},  # a window smaller than the stride
    {"pad": "valid"},
]


def definition(spec, x, w, b):
    """Every product goes where the formula says; what falls on the padding is left out."""
    out = np.zeros(spec.out_shape)
    f_per_group = spec.w_shape[1]
    for n, c in np.ndindex(*x.shape[:2]):
        group = c // (x.shape[1] // spec.groups)
        for place, tap in itertools.product(np.ndindex(*x.shape[2:]), np.ndindex(*spec.kernel)):
            at = tuple(
                o * s - p[0] + k * d
                for o, s, p, k, d in zip(
                    place, spec.stride, spec.pad, tap, spec.dilation, strict=True
                )
            )
            if all(0 <= i < size for i, size in zip(at, spec.out_shape[2:], strict=True)):
                first = group * f_per_group
                out[n, first : first + f_per_group, *at] += w[c, :, *tap] * x[n, c, *place]
    return out if b is None else out + b.reshape(-1, *(1,) * spec.axes)


def integers(rng, shape, dtype="float64"):
    return rng.integers(-5, 6, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("keywords", GEOMETRY, ids=str)
def test_it_is_the_definition(backend, rng, keywords, dtype):
    groups = keywords.get("groups", 1)
    x, w = integers(rng, (2, 4, 3, 5), dtype), integers(rng, (4, 3, 3, 2), dtype)
    b = integers(rng, (3 * groups,), dtype)
    spec = ConvTransposeSpec.of(x, w, b, **keywords)
    with convkit.use_backend(backend):
        out, cache = convkit.conv_transpose_forward(x, w, b, **keywords)
        assert out.shape == spec.out_shape
        assert out.dtype == dtype
        np.testing.assert_array_equal(out, definition(spec, x, w, b))
        np.testing.assert_array_equal(convkit.conv_transpose(x, w, b, keywords), out)
        dout = integers(rng, out.shape, dtype)
        dx, dw, db = convkit.conv_transpose_backward(dout, cache)
    # It is linear in x, in w and in b, so the gradients are what these identities say.
    other_x, other_w = integers(rng, x.shape, dtype), integers(rng, w.shape, dtype)
    assert np.vdot(dout, definition(spec, other_x, w, None)) == np.vdot(dx, other_x)
    assert np.vdot(dout, definition(spec, x, other_w, None)) == np.vdot(dw, other_w)
    np.testing.assert_array_equal(db, dout.sum(axis=(0, 2, 3)))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    "keywords", [k for k in GEOMETRY if "dilation" in k and "output_pad" in k], ids=str
)
def test_beyond_all_that_x_reaches_nothing_meets_what_is_infinite(backend, rng, keywords):
    x, w = np.abs(integers(rng, (1, 2, 3, 5))) + 1, np.abs(integers(rng, (2, 1, 3, 2))) + 1
    spec = ConvTransposeSpec.of(x, w, **keywords)
    unseen = np.isnan(spec.placed(np.full(spec.adjoint.x_shape, np.nan))) == 0
    _, cache = convkit.conv_transpose_forward(x, w, **keywords, backend=backend)
    dx, dw, _ = convkit.conv_transpose_backward(np.where(unseen, np.inf, 1.0), cache)
    wanted = convkit.conv_transpose_backward(np.where(unseen, 0.0, 1.0), cache)
    np.testing.assert_array_equal(dx, wanted[0])
    np.testing.assert_array_equal(dw, wanted[1])
    w[...] = np.inf
    assert unseen.any()
    assert not convkit.conv_transpose(x, w, **keywords, backend=backend)[unseen].any()


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_it_is_the_adjoint_of_the_convolution(backend, rng, axes):
    w = integers(rng, (4, 3, *(3, 2, 4)[:axes]))
    y = integers(rng, (2, 3, *(9, 8, 7)[:axes]))
    keywords = {"stride": (2, 3, 1)[:axes], "pad": ((1, 0), (0, 1), (2, 1))[:axes]}
    with convkit.use_backend(backend):
        z = convkit.conv(y, w, **keywords)
        x = integers(rng, z.shape)
        short = ConvTransposeSpec.of(x, w, **keywords).out_shape
        more = tuple(a - b for a, b in zip(y.shape[2:], short[2:], strict=True))
        back = convkit.conv_transpose(x, w, **keywords, output_pad=more)
    assert back.shape == y.shape
    assert np.vdot(z, x) == np.vdot(y, back)


def test_needs_and_no_bias(backend, rng):
    x, w = integers(rng, (2, 4, 3, 5)), integers(rng, (4, 3, 3, 2))
    out, cache = convkit.conv_transpose_forward(x, w, stride=2, backend=backend)
    whole = convkit.conv_transpose_backward(out, cache)
    assert whole[2] is None
    for needs in (("dx",), ("dw",), (), ("dw", "db")):
        found = convkit.conv_transpose_backward(out, cache, needs=needs)
        for name, value, wanted in zip(("dx", "dw", "db"), found, whole, strict=True):
            if name in needs and wanted is not None:
                np.testing.assert_array_equal(value, wanted)
            else:
                assert value is None


def test_an_empty_batch(backend):
    x, w = np.zeros((0, 2, 3, 3), "f4"), np.ones((2, 3, 2, 2), "f4")
    out, cache = convkit.conv_transpose_forward(x, w, np.ones(3, "f4"), backend=backend)
    assert out.shape == (0, 3, 4, 4)
    dx, dw, db = convkit.conv_transpose_backward(out, cache)
    assert dx.shape == x.shape
    assert not dw.any()
    assert not db.any()


def test_it_can_be_verified_and_pickled(backend, rng):
    import pickle

    x, w = rng.normal(size=(2, 4, 3, 5)), rng.normal(size=(4, 3, 3, 2))
    with convkit.verify_with("naive"):
        out, cache = convkit.conv_transpose_forward(x, w, stride=2, pad=1, backend=backend)
        convkit.conv_transpose_backward(out, cache)
    dx = convkit.conv_transpose_backward(out, pickle.loads(pickle.dumps(cache)))[0]
    np.testing.assert_array_equal(dx, convkit.conv_transpose_backward(out, cache)[0])


TORCH = [
    (axes, dtype, keywords)
    for axes in (1, 2, 3)
    for dtype in ("float32", "float64")
    for keywords in (
        {},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": 3, "dilation": 2, "output_padding": 2, "groups": 2},
        {"stride": 1, "dilation": 3, "output_padding": 2},
    )
]


@pytest.mark.parametrize(("axes", "dtype", "keywords"), TORCH)
def test_it_is_pytorchs(backend, rng, axes, dtype, keywords):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    groups = keywords.get("groups", 1)
    x = integers(rng, (2, 4, *(5, 4, 3)[:axes]), dtype)
    w = integers(rng, (4, 3, *(3, 2, 2)[:axes]), dtype)
    b = integers(rng, (3 * groups,), dtype)
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, w, b)]
    expected = getattr(torch.nn.functional, f"conv_transpose{axes}d")(*tensors, **keywords)
    names = {"padding": "pad", "output_padding": "output_pad"}
    ours = {names.get(key, key): value for key, value in keywords.items()}
    out, cache = convkit.conv_transpose_forward(x, w, b, **ours, backend=backend)
    np.testing.assert_array_equal(out, expected.detach().numpy())
    dout = integers(rng, out.shape, dtype)
    expected.backward(torch.from_numpy(dout))
    for ours_, theirs in zip(convkit.conv_transpose_backward(dout, cache), tensors, strict=True):
        np.testing.assert_array_equal(ours_, theirs.grad.numpy())
