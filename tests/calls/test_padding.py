"""Padding that copies pixels: what numpy.pad gives, its adjoint, and who is handed a mode."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import convkit
from convkit import ConvSpec, registry, replay

NUMPY = {"circular": "wrap", "reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}
GEOMETRY = [
    {"pad": 1},
    {"pad": ((2, 1), (0, 3))},
    {"pad": (3, 2), "stride": (2, 3)},
    {"pad": ((0, 3), (4, 1)), "dilation": (2, 1)},
    {"pad": (2, 1), "groups": 2},
    {"pad": "same"},
]
EACH_MODE = pytest.mark.parametrize("mode", NUMPY)


def integers(rng, shape, dtype="float64"):
    return rng.integers(-5, 6, shape).astype(dtype)


def grown(spec, x):
    return np.pad(x, ((0, 0), (0, 0), *spec.pad), mode=NUMPY[spec.pad_mode])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("keywords", GEOMETRY, ids=str)
@EACH_MODE
def test_it_is_the_convolution_of_what_numpy_pads(backend, rng, keywords, mode, dtype):
    groups = keywords.get("groups", 1)
    x, w = integers(rng, (2, 4, 5, 6), dtype), integers(rng, (6, 4 // groups, 3, 2), dtype)
    b = integers(rng, (6,), dtype)
    spec = ConvSpec.of(x, w, b, **keywords, pad_mode=mode)
    plain = {key: value for key, value in keywords.items() if key != "pad"}
    with convkit.use_backend(backend):
        wanted, whole = convkit.conv_forward(grown(spec, x), w, b, **plain)
        out, cache = convkit.conv_forward(x, w, b, **keywords, pad_mode=mode)
        np.testing.assert_array_equal(out, wanted)
        assert out.dtype == dtype
        np.testing.assert_array_equal(convkit.conv(x, w, b, {**keywords, "pad_mode": mode}), out)
        dout = integers(rng, out.shape, dtype)
        dx, dw, db = convkit.conv_backward(dout, cache)
        _, *others = convkit.conv_backward(dout, whole)
        for found, expected in zip((dw, db), others, strict=True):
            np.testing.assert_array_equal(found, expected)
        # It is linear in x, so dx is what this identity says of any other x.
        other = integers(rng, x.shape, dtype)
        assert np.vdot(convkit.conv(other, w, **keywords, pad_mode=mode), dout) == np.vdot(
            dx, other
        )


@EACH_MODE
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_dx_is_each_pixels_share_of_every_copy(backend, rng, mode, axes):
    """With dout of one hot, by the definition: every padded pixel gives to the pixel it copies."""
    shape, kernel = (1, 2, *(3, 4, 5)[:axes]), (2, 3, 2)[:axes]
    w = integers(rng, (3, 2, *kernel))
    pad = ((2, 1), (1, 3), (2, 0))[:axes]
    spec = ConvSpec.of(shape, w.shape, pad=pad, pad_mode=mode, dtype="float64")
    x = integers(rng, shape)
    _, cache = convkit.conv_forward(x, w, pad=pad, pad_mode=mode, backend=backend)
    dout = integers(rng, spec.out_shape)
    _, whole = convkit.conv_forward(grown(spec, x), w, backend=backend)
    wide = convkit.conv_backward(dout, whole)[0]
    wanted = np.zeros(shape)
    pixels = grown(spec, np.arange(x.size).reshape(shape))
    np.add.at(wanted.reshape(-1), pixels.reshape(-1), wide.reshape(-1))
    np.testing.assert_array_equal(convkit.conv_backward(dout, cache)[0], wanted)


@EACH_MODE
def test_fused_with_relu_and_pool(backend, rng, mode):
    x, w, b = integers(rng, (2, 3, 6, 7)), integers(rng, (4, 3, 3, 3)), integers(rng, (4,))
    param, pool = {"pad": (1, 2), "pad_mode": mode}, {"kernel": 2}
    with convkit.use_backend(backend):
        out, cache = convkit.conv_relu_pool_forward(x, w, b, param, pool)
        z, conv_cache = convkit.conv_forward(x, w, b, param)
        top, pool_cache = convkit.max_pool_forward(np.maximum(z, 0), pool)
        np.testing.assert_array_equal(out, top)
        dout = integers(rng, out.shape)
        dz = np.where(z > 0, convkit.max_pool_backward(dout, pool_cache), 0)
        found = convkit.conv_relu_pool_backward(dout, cache)
        for one, other in zip(found, convkit.conv_backward(dz, conv_cache), strict=True):
            np.testing.assert_array_equal(one, other)


@EACH_MODE
def test_needs_and_an_empty_batch(backend, rng, mode):
    w = integers(rng, (4, 3, 3, 2))
    for images in (0, 2):
        x = integers(rng, (images, 3, 4, 5))
        out, cache = convkit.conv_forward(x, w, pad=2, pad_mode=mode, backend=backend)
        whole = dict(zip(("dx", "dw", "db"), convkit.conv_backward(out, cache), strict=True))
        assert whole["dx"].shape == x.shape
        for needs in (("dx",), ("dw",), ()):
            found = convkit.conv_backward(out, cache, needs=needs)
            for name, value in zip(whole, found, strict=True):
                if name in needs:
                    np.testing.assert_array_equal(value, whole[name])
                else:
                    assert value is None


@EACH_MODE
def test_inputs_are_left_alone_and_nothing_of_x_is_kept(backend, rng, mode):
    x, w = integers(rng, (2, 3, 4, 5)), integers(rng, (4, 3, 3, 2))
    before = x.copy()
    out, cache = convkit.conv_forward(x, w, pad=2, pad_mode=mode, backend=backend)
    dx = convkit.conv_backward(out, cache)[0]
    np.testing.assert_array_equal(x, before)
    assert not np.may_share_memory(dx, x)
    again = convkit.conv_backward(out, cache)[0]
    np.testing.assert_array_equal(again, dx)


def test_infinities_reach_the_windows_of_their_copies(backend):
    x, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 1, 1))
    x[0, 0, 0, 0], x[0, 0, 3, 3] = np.inf, -np.inf
    out, cache = convkit.conv_forward(x, w, pad=1, pad_mode="circular", backend=backend)
    spec = ConvSpec.of(x, w, pad=1, pad_mode="circular")
    np.testing.assert_array_equal(out, grown(spec, x))
    dout = np.zeros(out.shape)
    dout[0, 0, 1, 1], dout[0, 0, -1, -1] = np.inf, -np.inf  # both are of pixel (0, 0)
    with np.errstate(invalid="ignore"):
        dx, dw, _ = convkit.conv_backward(dout, cache)
    assert np.isnan(dx[0, 0, 0, 0])
    assert np.isfinite(dx).sum() == dx.size - 1
    assert dw[0, 0, 0, 0] != 0


# --- verified, stored, pickled ----------------------------------------------------------------


@EACH_MODE
def test_it_can_be_verified_and_pickled(backend, rng, mode):
    x, w = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(4, 3, 3, 3))
    with convkit.verify_with("naive"):
        out, cache = convkit.conv_forward(x, w, pad=2, pad_mode=mode, backend=backend)
        dx = convkit.conv_backward(out, cache)[0]
        param = {"pad": 1, "pad_mode": mode}
        top, fused = convkit.conv_relu_pool_forward(x, w, None, param, {"kernel": 2})
        convkit.conv_relu_pool_backward(top, fused)
    restored = pickle.loads(pickle.dumps(cache))
    np.testing.assert_array_equal(convkit.conv_backward(out, restored)[0], dx)


def test_a_fold_gone_wrong_is_noticed_stored_and_made_again(monkeypatch, rng):
    """The reference pads by convkit too, so what is spoiled here is the backend's side alone."""
    x, w = rng.normal(size=(1, 2, 4, 5)), rng.normal(size=(3, 2, 3, 3))
    right = registry.load("im2col_numpy").backend

    class Spoiled(type(right)):
        name = "spoiled"

        def conv_backward(self, spec, dout, x, w, saved, needs):
            dx, *others = super().conv_backward(spec, dout, x, w, saved, needs)
            dx[0, 0, 0, 0] += 1  # a pixel of the padding
            return (dx, *others)

    with convkit.verify_with("naive"):
        out, cache = convkit.conv_forward(x, w, pad=1, pad_mode="reflect", backend=Spoiled())
        with pytest.raises(convkit.VerifyError, match=r"pad_mode=reflect") as error:
            convkit.conv_backward(out, cache)
    path = str(error.value).partition("replay('")[2].partition("'")[0]
    replay.replay(path, backend="im2col_numpy")
    with pytest.raises(convkit.VerifyError, match=r"dx\[0, 0, 1, 1\]"):
        replay.replay(path, backend=Spoiled())


# --- who is handed a mode ---------------------------------------------------------------------


def recorder(modes, **methods):
    """A correct backend that notes the specs it is handed."""
    seen = []
    base = type(registry.load("im2col_numpy").backend)

    class Own(base):
        name = "own"

        def supports(self, spec):
            seen.append(spec)

    if modes is not None:
        Own.pad_modes = modes
    for name, method in methods.items():
        setattr(Own, name, method)
    return Own(), seen


def test_a_backend_that_names_a_mode_is_handed_it(rng):
    x, w = rng.normal(size=(1, 2, 4, 5)), rng.normal(size=(3, 2, 3, 3))
    own, seen = recorder(
        ("zeros", "edge"),
        conv_forward=lambda self, spec, x, w, b: (np.zeros(spec.out_shape), spec.pad_mode),
    )
    _, cache = convkit.conv_forward(x, w, pad=1, pad_mode="edge", backend=own)
    assert cache.saved == "edge"
    assert {s.pad_mode for s in seen} == {"edge"}
    seen.clear()
    _, cache = convkit.conv_forward(x, w, pad=1, pad_mode="reflect", backend=own)
    assert cache.saved[1] == "zeros"
    assert {(s.pad_mode, s.pad, s.x_shape) for s in seen} == {
        ("zeros", ((0, 0), (0, 0)), (1, 2, 6, 7))
    }


def test_one_that_says_nothing_pads_with_zeros_alone(rng):
    x, w = rng.normal(size=(1, 2, 4, 5)), rng.normal(size=(3, 2, 3, 3))
    own, seen = recorder(None)
    convkit.conv(x, w, pad=1, pad_mode="edge", backend=own)
    convkit.conv(x, w, pad=1, backend=own)
    assert [(s.pad_mode, s.pad[0]) for s in seen] == [("zeros", (0, 0)), ("zeros", (1, 1))]


def test_what_the_padded_problem_is_refused_for_is_the_reason(rng):
    x, w = rng.normal(size=(1, 2, 4, 5)), rng.normal(size=(3, 2, 3, 3))
    own, _ = recorder(None, supports=lambda self, spec: f"no {spec.x_shape}")
    with pytest.raises(convkit.BackendUnsupportedError, match=r"no \(1, 2, 6, 7\)"):
        convkit.conv(x, w, pad=1, pad_mode="edge", backend=own)


@pytest.mark.parametrize(
    ("method", "result", "message"),
    [
        ("conv_forward", None, r"conv_forward must return \(out, saved\), not a NoneType"),
        ("conv_forward", (np.zeros((1, 3, 3, 3)), None), "from conv_forward for .*: it has shape"),
        ("conv_infer", 3, "from conv_infer for .*: it is a int"),
        ("conv_backward", (1, 2), r"conv_backward must return \(dx, dw, db\), not a tuple of 2"),
        ("conv_backward", (None, None, None), "from conv_backward for .*: it is a NoneType"),
    ],
)
def test_a_wrong_result_is_put_into_words(rng, method, result, message):
    x, w = rng.normal(size=(1, 2, 4, 5)), rng.normal(size=(3, 2, 3, 3))
    own, _ = recorder(None, **{method: lambda self, *_: result})

    def calls():
        if method == "conv_infer":
            convkit.conv(x, w, pad=1, pad_mode="edge", backend=own)
        convkit.conv_backward(*convkit.conv_forward(x, w, pad=1, pad_mode="edge", backend=own))

    with pytest.raises(convkit.BackendResultError, match=message):
        calls()


def test_a_result_that_is_the_padded_image_is_refused(rng):
    """It would be overwritten where dx is folded, or outlive what backward needs."""
    x, w = rng.normal(size=(1, 1, 4, 4)), np.ones((1, 1, 1, 1))
    own, _ = recorder(None, conv_forward=lambda self, spec, x, w, b: (x, None))
    with pytest.raises(convkit.BackendResultError, match="shares memory with an input"):
        convkit.conv_forward(x, w, pad=1, pad_mode="edge", backend=own)


@pytest.mark.parametrize("modes", ["zeros", ("edge",), ("zeros", "wrap"), ("zeros", []), None])
def test_pad_modes_are_a_tuple_of_known_names(modes):
    own, _ = recorder(modes)
    if modes is None:
        assert registry.load(own).backend is own
        return
    with pytest.raises(convkit.BackendLoadError, match=r"its pad_modes .* must be a tuple of"):
        registry.load(own)


# --- the API ---------------------------------------------------------------------------------


def test_keyword_and_dictionary_may_not_disagree():
    x, w = np.zeros((1, 2, 4, 5)), np.zeros((3, 2, 3, 3))
    with pytest.raises(convkit.ParameterError, match=r"pad_mode .* disagree"):
        convkit.conv(x, w, None, {"pad_mode": "edge"}, pad=1, pad_mode="reflect")


TORCH = {"circular": "circular", "reflect": "reflect", "edge": "replicate"}


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("mode", TORCH)
def test_it_is_pytorchs(backend, rng, axes, mode):
    """torch.nn.Conv1d to Conv3d with padding_mode; it has no "symmetric"."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    kind = getattr(torch.nn, f"Conv{axes}d")
    kernel, stride = (3, 2, 3)[:axes], (2, 1, 1)[:axes]
    layer = kind(
        4, 6, kernel, stride, padding=2, groups=2, padding_mode=TORCH[mode], dtype=torch.float64
    )
    w, b = (integers(rng, tuple(p.shape)) for p in (layer.weight, layer.bias))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(w))
        layer.bias.copy_(torch.from_numpy(b))
    x = integers(rng, (2, 4, *(5, 4, 6)[:axes]))
    tensor = torch.from_numpy(x).requires_grad_()
    expected = layer(tensor)
    keywords = {"stride": stride, "pad": 2, "groups": 2, "pad_mode": mode}
    out, cache = convkit.conv_forward(x, w, b, **keywords, backend=backend)
    np.testing.assert_array_equal(out, expected.detach().numpy())
    dout = integers(rng, out.shape)
    expected.backward(torch.from_numpy(dout))
    theirs = (tensor.grad, layer.weight.grad, layer.bias.grad)
    for found, wanted in zip(convkit.conv_backward(dout, cache), theirs, strict=True):
        np.testing.assert_array_equal(found, wanted.numpy())
