"""The path of one call: what a backend does wrong is caught, and plans are found again."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import convkit
from convkit import registry, state
from convkit.calls import dispatch, planner

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


def forward(operation, backend):
    """One forward call of an operation."""
    if operation == "conv":
        return convkit.conv_forward(X, W, backend=backend)
    if operation == "conv_relu_pool":
        return convkit.conv_relu_pool_forward(X, W, None, {}, {"kernel": 2}, backend=backend)
    return getattr(convkit, f"{operation}_forward")(X, kernel=2, backend=backend)


def infer(operation, backend):
    """One call without a cache."""
    if operation == "conv":
        return convkit.conv(X, W, backend=backend)
    return getattr(convkit, operation)(X, kernel=2, backend=backend)


def there_and_back(operation, backend):
    """One forward call of an operation and its backward call."""
    out, cache = forward(operation, backend)
    return getattr(convkit, f"{operation}_backward")(out, cache)


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
    monkeypatch.setattr(dispatch, "new_plan", None)
    convkit.conv(X, W, stride=1, backend=backend)
    with pytest.raises(TypeError):
        convkit.conv(X, W, stride=2, backend=backend)


GEOMETRY = {
    "conv": ("stride", "pad", "dilation", "groups"),
    "max_pool": ("kernel", "stride", "pad", "dilation", "ceil_mode"),
    "avg_pool": ("kernel", "stride", "pad", "ceil_mode", "count_include_pad"),
}
CASES = [(o, name, None) for o, names in GEOMETRY.items() for name in names]
CASES += [("conv_relu_pool", n, p) for p, o in enumerate(("conv", "max_pool")) for n in GEOMETRY[o]]


@pytest.mark.parametrize("wrong", [1.0, True, np.float32(1), np.True_, (1.0, 1), [1, True]])
@pytest.mark.parametrize(("operation", "name", "place"), CASES)
def test_equal_keys_of_other_types_do_not_meet(operation, name, place, wrong):
    x, w = np.ones((1, 2, 6, 6), "f4"), np.ones((2, 2, 3, 3), "f4")
    flag = name in ("ceil_mode", "count_include_pad")

    def call(value):
        if operation == "conv":
            return convkit.conv(x, w, **{name: value})
        params = [{}, {"kernel": 2}]
        params[1 if place is None else place][name] = value
        if operation == "conv_relu_pool":
            return convkit.conv_relu_pool_forward(x, w, None, *params)
        return getattr(convkit, operation)(x, **params[1])

    wrong = 1 if flag and isinstance(wrong, bool | np.bool_) else wrong
    call(True if flag else 1)
    with pytest.raises(convkit.ParameterError, match=name):
        call(wrong)


def test_the_table_is_bounded(monkeypatch):
    monkeypatch.setattr(state, "MAX_PLANS", 8)
    for n in range(1, 40):
        convkit.max_pool(np.ones((n, 1, 2, 2), "f4"), kernel=2)
        assert len(planner.table) <= 8 or n == 1


def test_a_plan_whose_making_something_overtook_is_used_once_and_not_stored(monkeypatch):
    select = planner.select

    def overtaken(*args):
        state.changed()
        return select(*args)

    monkeypatch.setattr(planner, "select", overtaken)
    assert convkit.max_pool(np.ones((1, 1, 2, 2), "f4"), kernel=2).shape == (1, 1, 1, 1)
    assert not planner.table


def test_what_a_new_problem_raises_does_not_tell_of_the_look_up():
    x = np.ones((1, 3, 4, 4))
    for call in (lambda: convkit.conv(x, x[:, :2]), lambda: convkit.max_pool(x, kernel=9)):
        with pytest.raises(convkit.ConvkitError) as caught:
            call()
        assert caught.value.__context__ is None


def test_many_threads_use_the_table_at_once(monkeypatch):
    monkeypatch.setattr(state, "MAX_PLANS", 16)
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
