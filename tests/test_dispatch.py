"""The path of one call: what a backend does wrong is caught, and plans are found again."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import convkit
from convkit import dispatch, registry

X = np.ones((2, 4, 6, 6), "f4")
W = np.ones((3, 4, 3, 3), "f4")


@pytest.fixture
def double():
    """A backend whose methods a test replaces."""
    real = registry.load("im2col_numpy").backend

    class Double:
        name = "double"
        api_version = 1

        def supports(self, spec):
            return None

        def conv_forward(self, spec, x, w, b):
            return real.conv_forward(spec, x, w, b)

        def conv_backward(self, spec, dout, x, w, saved, needs):
            return real.conv_backward(spec, dout, x, w, saved, needs)

        def pool_forward(self, spec, x):
            return real.pool_forward(spec, x)

        def pool_backward(self, spec, dout, saved):
            return real.pool_backward(spec, dout, saved)

    return Double


def read_only(a):
    a.flags.writeable = False
    return a


WRONG = [
    (lambda out, x: out[:-1].copy(), r"has shape .* instead of"),
    (lambda out, x: out.astype("f8"), "has dtype float64 instead of float32"),
    (lambda out, x: read_only(out), "is read-only"),
    (lambda out, x: out.copy("F"), "is not C-contiguous"),
    (lambda out, x: out.tolist(), "is a list, not a numpy.ndarray"),
    (lambda out, x: None, "is a NoneType"),
    (lambda out, x: x, "shares memory with an input"),
    (lambda out, x: x[:], "shares memory with an input"),
]


@pytest.mark.parametrize(("spoil", "message"), WRONG)
@pytest.mark.parametrize("step", ["forward", "infer"])
def test_a_wrong_out_is_caught(double, spoil, message, step):
    real = double.conv_forward
    if step == "forward":
        double.conv_forward = lambda s, spec, x, w, b: (spoil(real(s, spec, x, w, b)[0], x), None)
    else:
        double.conv_infer = lambda s, spec, x, w, b: spoil(real(s, spec, x, w, b)[0], x)
    w = np.ones((4, 4, 3, 3), "f4")  # out has the shape of x
    call = convkit.conv if step == "infer" else convkit.conv_forward
    with pytest.raises(convkit.BackendResultError, match=message) as caught:
        call(X, w, pad=1, backend=double())
    assert f"backend 'double' returned a wrong out from conv_{step} for conv(x" in str(caught.value)


@pytest.mark.parametrize(("spoil", "message"), WRONG)
@pytest.mark.parametrize("name", ["dx", "dw", "db"])
def test_a_wrong_gradient_is_caught(double, spoil, message, name):
    real = double.conv_backward
    place = ("dx", "dw", "db").index(name)

    def backward(self, spec, dout, x, w, saved, needs):
        found = list(real(self, spec, dout, x, w, saved, needs))
        aliased = {"dx": x, "dw": w, "db": dout}[name]
        found[place] = spoil(found[place], aliased)
        return tuple(found)

    double.conv_backward = backward
    if name == "db" and ("shares" in message or "contiguous" in message):
        pytest.skip("no input has the shape of db, and every vector is contiguous")
    _, cache = convkit.conv_forward(X, W, np.ones(3, "f4"), backend=double())
    with pytest.raises(convkit.BackendResultError, match=message):
        convkit.conv_backward(np.ones((2, 3, 4, 4), "f4"), cache)


@pytest.mark.parametrize(("spoil", "message"), WRONG[:6])
def test_a_wrong_pool_gradient_is_caught(double, spoil, message):
    real = double.pool_backward
    double.pool_backward = lambda s, spec, dout, saved: spoil(real(s, spec, dout, saved), dout)
    out, cache = convkit.max_pool_forward(X, kernel=2, backend=double())
    with pytest.raises(convkit.BackendResultError, match=message):
        convkit.max_pool_backward(out, cache)


@pytest.mark.parametrize("result", [None, (1,), (1, 2, 3)])
def test_a_pair_that_is_none_is_caught(double, result):
    double.conv_forward = lambda *_: result
    with pytest.raises(convkit.ConvkitError, match="conv_forward must return"):
        convkit.conv_forward(X, W, backend=double())


def test_a_backend_that_raises_is_named_with_operation_and_spec(double):
    def fails(*_):
        raise ZeroDivisionError("oh")

    double.conv_forward = fails
    with pytest.raises(convkit.BackendCallError) as caught:
        convkit.conv_forward(X, W, backend=double())
    assert str(caught.value) == (
        "backend 'double' raised ZeroDivisionError in conv_forward for conv(x (2, 4, 6, 6), "
        "w (3, 4, 3, 3), kernel=(3, 3), stride=(1, 1), pad=((0, 0), (0, 0)), no bias, float32): oh"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(convkit.BackendCallError, match=r"'double' raised .* in conv_forward"):
        convkit.conv_relu_pool_forward(X, W, None, {}, {"kernel": 2}, backend=double())


def test_an_error_in_a_call_never_falls_back(double):
    def fails(*_):
        raise ZeroDivisionError("oh")

    double.conv_forward = fails
    with pytest.raises(convkit.BackendCallError):
        convkit.conv_forward(X, W, backend=[double(), "naive"])


@pytest.mark.parametrize("answer", [True, False, "", 1])
def test_supports_must_answer_none_or_a_reason(double, answer):
    double.supports = lambda self, spec: answer
    with pytest.raises(convkit.BackendResultError, match="supports must return None"):
        convkit.conv(X, W, backend=double())


def test_a_known_problem_is_one_look_up(double, monkeypatch):
    backend = double()
    convkit.conv(X, W, stride=1, backend=backend)
    monkeypatch.setattr(dispatch, "_new_conv", None)
    convkit.conv(X, W, stride=1, backend=backend)
    with pytest.raises(TypeError):
        convkit.conv(X, W, stride=2, backend=backend)


@pytest.mark.parametrize("stride", [1.0, True, np.float32(1), np.True_])
def test_equal_keys_of_other_types_do_not_meet(stride):
    convkit.conv(X, W, stride=1)
    with pytest.raises(convkit.ParameterError, match="stride"):
        convkit.conv(X, W, stride=stride)


def test_the_table_is_bounded(monkeypatch):
    monkeypatch.setattr(dispatch, "_MAX_PLANS", 8)
    for n in range(1, 40):
        convkit.max_pool(np.ones((n, 1, 2, 2), "f4"), kernel=2)
        assert len(dispatch._plans) <= 8 or n == 1


def test_many_threads_use_the_table_at_once(monkeypatch):
    monkeypatch.setattr(dispatch, "_MAX_PLANS", 16)
    failures = []

    def work(seed):
        try:
            for n in np.random.default_rng(seed).integers(1, 40, 300):
                assert convkit.max_pool(np.ones((n, 1, 2, 2), "f4"), kernel=2).shape[0] == n
                if n == 7:
                    convkit.set_default_backend(None)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_arrays_that_were_pickled_or_of_another_byte_order_are_welcome():
    import pickle

    expected = convkit.conv(X, W)
    other = X.astype(X.dtype.newbyteorder(">" if X.dtype.byteorder in "=<" else "<"))
    for x in (pickle.loads(pickle.dumps(X)), other, X.tolist() and X[::-1][::-1]):
        for _ in range(2):
            np.testing.assert_array_equal(convkit.conv(x, W), expected)
