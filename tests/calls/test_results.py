"""What a backend returns is checked: shape, dtype, layout, memory of its own."""

from __future__ import annotations

import numpy as np
import pytest
from small_calls import W, X, forward, infer, there_and_back

import convkit


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


@pytest.mark.parametrize("step", ["forward", "infer"])
@pytest.mark.parametrize("view", [False, True])
def test_the_weights_are_no_result_either(double, step, view):
    double.conv_forward = lambda s, spec, x, w, b: (w[:] if view else w, None)
    double.conv_infer = lambda s, spec, x, w, b: w[:] if view else w
    x = w = np.ones((2, 2, 2, 2), "f4")
    call = convkit.conv if step == "infer" else convkit.conv_forward
    with pytest.raises(convkit.BackendResultError, match="shares memory with an input"):
        call(x.copy(), w, pad=((1, 0), (1, 0)), backend=double())


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(("spoil", "message"), WRONG)
@pytest.mark.parametrize("step", ["forward", "infer"])
def test_a_wrong_pool_out_is_caught(double, kind, spoil, message, step):
    real = double.pool_forward
    if step == "forward":
        double.pool_forward = lambda s, spec, x: (spoil(real(s, spec, x)[0], x), None)
    else:
        double.pool_infer = lambda s, spec, x: spoil(real(s, spec, x)[0], x)
    call = getattr(convkit, f"{kind}_pool" if step == "infer" else f"{kind}_pool_forward")
    with pytest.raises(convkit.BackendResultError, match=message) as caught:
        call(X, kernel=1, backend=double())  # out has the shape of x
    assert f"wrong out from pool_{step} for {kind}_pool(x" in str(caught.value)


@pytest.mark.parametrize(("spoil", "message"), WRONG)
@pytest.mark.parametrize("name", ["out", "dx", "dw", "db"])
def test_a_wrong_result_of_the_fused_operation_is_caught(double, spoil, message, name):
    if name == "db" and ("shares" in message or "contiguous" in message):
        return  # no input has the shape of db, and every vector is contiguous

    def forward(self, conv, pool, x, w, b):
        out = np.ones(pool.out_shape, "f4")
        return (spoil(out, x) if name == "out" else out), None

    def backward(self, conv, pool, dout, x, w, saved, needs):
        right = {"dx": x.copy(), "dw": w.copy(), "db": np.ones(len(w), "f4")}
        own = {"dx": x, "dw": w, "db": None}
        return tuple(spoil(a, own[n]) if n == name else a for n, a in right.items())

    double.conv_relu_pool_forward, double.conv_relu_pool_backward = forward, backward
    w, b = np.ones((4, 4, 3, 3), "f4"), np.ones(4, "f4")

    def call():
        out, cache = convkit.conv_relu_pool_forward(
            X, w, b, {"pad": 1}, {"kernel": 1}, backend=double()
        )
        convkit.conv_relu_pool_backward(out, cache)

    with pytest.raises(convkit.BackendResultError, match=message) as caught:
        call()
    step = "forward" if name == "out" else "backward"
    assert f"wrong {name} from conv_relu_pool_{step} for conv(x" in str(caught.value)


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


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(("spoil", "message"), WRONG)
def test_a_wrong_pool_gradient_is_caught(double, kind, spoil, message):
    real = double.pool_backward
    double.pool_backward = lambda s, spec, dout, saved: spoil(real(s, spec, dout, saved), dout)
    out, cache = getattr(convkit, f"{kind}_pool_forward")(X, kernel=1, backend=double())
    with pytest.raises(convkit.BackendResultError, match=message):
        getattr(convkit, f"{kind}_pool_backward")(out, cache)


def test_a_pool_gradient_is_no_part_of_what_was_saved(double):
    double.pool_forward = lambda s, spec, x: (np.ones(spec.out_shape, "f4"), x.copy())
    double.pool_backward = lambda s, spec, dout, saved: saved
    out, cache = convkit.max_pool_forward(X, kernel=2, backend=double())
    with pytest.raises(convkit.BackendResultError, match="shares memory with an input"):
        convkit.max_pool_backward(out, cache)


@pytest.mark.parametrize("result", [None, (1,), (1, 2, 3), [1, 2], np.ones((2, 3, 4, 4), "f4")])
@pytest.mark.parametrize("operation", ["conv", "max_pool", "avg_pool", "conv_relu_pool"])
def test_what_is_no_pair_is_caught(double, result, operation):
    method = {"conv": "conv_forward", "conv_relu_pool": "conv_relu_pool_forward"}
    method = method.get(operation, "pool_forward")
    setattr(double, method, lambda *_: result)
    if operation == "conv_relu_pool":
        double.conv_relu_pool_backward = lambda *_: None
    with pytest.raises(convkit.BackendResultError) as caught:
        forward(operation, double())
    kind = f"tuple of {len(result)}" if type(result) is tuple else type(result).__name__
    assert str(caught.value) == (
        f"backend 'double': {method} must return (out, saved), not a {kind}"
    )


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


def test_an_error_of_its_own_about_unpacking_is_not_taken_for_a_wrong_result(double):
    def fails(*_):
        _, _ = (1,)

    double.conv_forward = fails
    with pytest.raises(convkit.BackendCallError, match="raised ValueError in conv_forward"):
        convkit.conv_forward(X, W, backend=double())


def raising(double, method):
    def fails(*_):
        raise ZeroDivisionError("oh")

    setattr(double, method, fails)
    return double()


@pytest.mark.parametrize("operation", ["conv", "max_pool", "avg_pool", "conv_relu_pool"])
@pytest.mark.parametrize("step", ["forward", "infer", "backward"])
def test_whatever_raises_is_named(double, operation, step):
    method = {"conv": "conv", "conv_relu_pool": "conv_relu_pool"}.get(operation, "pool")
    method += f"_{step}"
    if operation == "conv_relu_pool":
        if step == "infer":
            return  # it has none
        double.conv_relu_pool_forward = lambda s, c, p, *_: (np.ones(p.out_shape, "f4"), None)
        double.conv_relu_pool_backward = lambda *_: None
    backend = raising(double, method)
    call = infer if step == "infer" else there_and_back
    with pytest.raises(convkit.BackendCallError) as caught:
        call(operation, backend)
    start = f"backend 'double' raised ZeroDivisionError in {method} for {operation[:4]}"
    assert str(caught.value).startswith(start)
    assert "(x (2, 4, 6, 6)" in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
