"""Verification raises at the first wrong element, of every result, and never at a right one."""

from __future__ import annotations

import os
import re
import subprocess

import numpy as np
import pytest

import convkit
from convkit import registry
from convkit.replay import replay

RESULTS = ("out", "dx", "dw", "db", "pool out", "pool dx")


def planted(result, size=1e-2):
    """A backend that is right but for the last element of one result."""
    real = registry.load("im2col_numpy").backend

    def spoil(name, array):
        if name == result and array is not None:
            array.flat[-1] += size
        return array

    class Planted:
        name = "planted"
        api_version = 1

        def supports(self, spec):
            return None

        def conv_forward(self, spec, x, w, b):
            out, saved = real.conv_forward(spec, x, w, b)
            return spoil("out", out), saved

        def conv_backward(self, spec, dout, x, w, saved, needs):
            found = real.conv_backward(spec, dout, x, w, saved, needs)
            return tuple(map(spoil, ("dx", "dw", "db"), found))

        def pool_forward(self, spec, x):
            out, saved = real.pool_forward(spec, x)
            return spoil("pool out", out), saved

        def pool_backward(self, spec, dout, saved):
            return spoil("pool dx", real.pool_backward(spec, dout, saved))

    return Planted()


def every_call(rng, backend, dtype, scale=1.0):
    def data(*shape):
        return (scale * rng.standard_normal(shape)).astype(dtype)

    x, w, b = data(2, 4, 7, 6), data(6, 2, 3, 2), data(6)
    out, cache = convkit.conv_forward(x, w, b, stride=(2, 1), pad=1, groups=2, backend=backend)
    convkit.conv_backward(data(*out.shape), cache)
    convkit.conv_backward(data(*out.shape), cache, needs=("dw",))
    convkit.conv(x, w, groups=2, backend=backend)
    for kernel, stride in ((2, 2), (3, 1)):
        for kind in ("max", "avg"):
            forward = getattr(convkit, f"{kind}_pool_forward")
            out, cache = forward(x, kernel=kernel, stride=stride, pad=1, backend=backend)
            getattr(convkit, f"{kind}_pool_backward")(data(*out.shape), cache)
    for each in (x, np.round(x), np.zeros_like(x)):  # the latter two are full of ties
        out, cache = convkit.conv_relu_pool_forward(
            each, w, b, {"pad": 1, "groups": 2}, {"kernel": 2, "stride": 1}, backend=backend
        )
        convkit.conv_relu_pool_backward(data(*out.shape), cache)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("reference", ["naive", "im2col_numpy", "cython"])
def test_what_is_right_passes(rng, backend, reference, dtype):
    with convkit.verify_with(reference):
        every_call(rng, backend, dtype)
        every_call(rng, backend, dtype, scale=1e-30 if dtype == "f4" else 1e-200)


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_is_wrong_is_found(rng, result, dtype):
    with pytest.raises(convkit.VerifyError, match="expected"), convkit.verify_with("im2col_numpy"):
        every_call(rng, planted(result), dtype)


def test_float64_is_held_to_float64(rng):
    with pytest.raises(convkit.VerifyError), convkit.verify_with("naive"):
        every_call(rng, planted("out", 1e-9), "f8")


def test_max_pooling_is_compared_with_equality():
    x = np.ones((1, 1, 4, 4))
    tiny = np.finfo(float).eps
    with pytest.raises(convkit.VerifyError), convkit.verify_with("naive"):
        convkit.max_pool(x, kernel=2, backend=planted("pool out", tiny))


WRONG = """
from convkit_im2col_numpy import Im2colNumpy

def spoiled(array):
    array.flat[-1] += 2.0**-6
    return array

class Wrong(Im2colNumpy):
    name = "wrong"
"""
GRADIENT = """
    def conv_backward(self, *args):
        found = list(super().conv_backward(*args))
        found[{place}] = spoiled(found[{place}])
        return tuple(found)
"""
METHODS = {
    "out": """
    def conv_forward(self, *args):
        out, saved = super().conv_forward(*args)
        return spoiled(out), saved
""",
    "conv's out without a cache": """
    def conv_infer(self, *args):
        return spoiled(super().conv_forward(*args)[0])
""",
    "pool's out": """
    def pool_forward(self, *args):
        out, saved = super().pool_forward(*args)
        return spoiled(out), saved
""",
    "pool's out without a cache": """
    def pool_infer(self, *args):
        return spoiled(super().pool_infer(*args))
""",
    "pool's dx": """
    def pool_backward(self, *args):
        return spoiled(super().pool_backward(*args))
""",
    **{name: GRADIENT.format(place=i) for i, name in enumerate(("dx", "dw", "db"))},
}
CALLS = """
rng = np.random.default_rng(0)
x, w, b = (rng.standard_normal(s).astype({dtype!r}) for s in ((2, 4, 6, 5), (4, 2, 3, 2), 4))
geometry = {{"stride": (2, 1), "pad": ((1, 0), (0, 1)), "groups": 2, "dilation": (1, 2)}}
pool = {{"kernel": (3, 2), "stride": (2, 1), "pad": (1, 0)}}
def conv():
    convkit.conv(x, w, b, **geometry)
    out, cache = convkit.conv_forward(x, w, b, **geometry)
    convkit.conv_backward(out, cache)
def pooling(kind):
    getattr(convkit, kind)(x, **pool)
    out, cache = getattr(convkit, kind + "_forward")(x, **pool)
    getattr(convkit, kind + "_backward")(out, cache)
def conv_relu_pool():
    out, cache = convkit.conv_relu_pool_forward(x, w, b, geometry, pool)
    convkit.conv_relu_pool_backward(np.ones_like(out), cache)
calls = {{"conv": conv, "max_pool": lambda: pooling("max_pool"),
         "avg_pool": lambda: pooling("avg_pool"), "conv_relu_pool": conv_relu_pool}}
result = error(calls[{operation!r}])
"""
FOUND = [("conv", n) for n in ("out", "conv's out without a cache", "dx", "dw", "db")]
FOUND += [
    (kind, n)
    for kind in ("max_pool", "avg_pool")
    for n in ("pool's out", "pool's out without a cache", "pool's dx")
]
FOUND += [("conv_relu_pool", n) for n in ("pool's out", "dx", "dw", "db")]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("operation", "spoiled"), FOUND)
def test_the_message_has_index_values_and_a_line_that_reproduces_it(
    site, operation, spoiled, dtype
):
    (site.folder / "planted.py").write_text(WRONG + METHODS[spoiled])
    variables = {"CONVKIT_BACKEND": "planted:Wrong", "TMPDIR": str(site.folder)}
    code = CALLS.format(dtype=dtype, operation=operation)
    kind, text = site.value(code, CONVKIT_VERIFY="naive", **variables)
    assert kind == "VerifyError"
    said = re.match(
        r"backend 'planted:Wrong': (\w+)\[([\d, ]+)\] is (\S+), expected (\S+) within (\S+); "
        r"1 of \d+ differ .* \(by backend 'naive'\) in (\w+) for (.*); reproduce with: (.*)$",
        text,
    )
    assert said, text
    what, index, got, expected, bound, method, problem, line = said.groups()
    assert what == (spoiled if len(spoiled) < 4 else spoiled.split()[1])
    assert {"conv": 1, "max_pool": 0, "avg_pool": 0}.get(operation, 1) == ("w (" in problem)
    assert method.startswith(operation if "conv" in operation else "pool")
    assert float(bound) < abs(float(got) - float(expected)) < 2.0**-5
    assert len(index.split(",")) == (1 if what == "db" else 4)
    # The line is run as it stands, in a shell of its own, without the variables of the first run.
    own = {k: v for k, v in os.environ.items() if not k.startswith("CONVKIT")}
    own["PYTHONPATH"] = str(site.folder)
    again = subprocess.run(line, shell=True, capture_output=True, text=True, env=own)
    assert again.returncode == 1
    assert (
        again.stderr.splitlines()[-1]
        .rpartition("; reproduce with:")[0]
        .endswith(text.rpartition("; reproduce with:")[0])
    )


def test_a_case_may_be_replayed_with_another_backend(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(convkit.VerifyError), convkit.verify_with("naive"):
        convkit.max_pool(np.ones((1, 1, 4, 4)), kernel=2, backend=planted("pool out"))
    (stored,) = tmp_path.glob("*.npz")
    replay(str(stored), "naive")
    assert capsys.readouterr().out == "verified: no element is beyond its bound\n"
    with pytest.raises(convkit.VerifyError):
        replay(str(stored), planted("pool out"))


def test_the_variable_verifies_every_call(monkeypatch, rng):
    monkeypatch.setenv("CONVKIT_VERIFY", "naive")
    convkit.reload()
    try:
        with pytest.raises(convkit.VerifyError):
            every_call(rng, planted("dw"), "f4")
        monkeypatch.setenv("CONVKIT_VERIFY", "navie")
        convkit.reload()
        with pytest.raises(convkit.BackendNotFoundError, match="did you mean 'naive'"):
            convkit.max_pool(np.ones((1, 1, 2, 2)), kernel=2)
    finally:
        monkeypatch.undo()
        convkit.reload()


def test_caches_made_before_and_after(rng):
    x = rng.standard_normal((1, 2, 4, 4))
    with convkit.verify_with("naive"):
        out, cache = convkit.max_pool_forward(x, kernel=2)
    convkit.max_pool_backward(out, cache)
    with convkit.verify_with("naive"):
        convkit.max_pool_backward(out, cache)
    out, cache = convkit.max_pool_forward(x, kernel=2)
    with (
        convkit.verify_with("naive"),
        pytest.raises(convkit.CacheError, match="made while verification was off"),
    ):
        convkit.max_pool_backward(out, cache)
    out, cache = convkit.avg_pool_forward(x, kernel=2)
    with convkit.verify_with("naive"):
        convkit.avg_pool_backward(out, cache)


def test_not_a_number_and_infinity_are_no_false_alarm(backend):
    x = np.ones((1, 1, 6, 6), "f4")
    x[0, 0, 0, 0], x[0, 0, 5, 5] = np.nan, np.inf
    with convkit.verify_with("naive"):
        convkit.conv(x, np.ones((1, 1, 3, 3), "f4"), backend=backend)
        convkit.max_pool(x, kernel=2, backend=backend)
        convkit.avg_pool(x, kernel=2, backend=backend)


def test_a_reference_is_one_backend():
    with pytest.raises(convkit.ParameterError, match="must name one backend"):
        convkit.verify_with("naive,cython")
    with pytest.raises(convkit.BackendNotFoundError), convkit.verify_with("nowhere"):
        pass


def fused(backend, x, w):
    out, cache = convkit.conv_relu_pool_forward(x, w, None, {}, {"kernel": 2}, backend=backend)
    convkit.conv_relu_pool_backward(np.ones_like(out), cache)


def test_the_gradient_of_a_maximum_is_compared_with_equality():
    with convkit.verify_with("naive"):
        out, cache = convkit.max_pool_forward(
            np.ones((1, 1, 4, 4)), kernel=2, backend=planted("pool dx", 1e-16)
        )
        with pytest.raises(convkit.VerifyError):
            convkit.max_pool_backward(out, cache)


def test_a_wrong_gradient_of_the_fused_operation_is_found(rng):
    x, w = rng.standard_normal((1, 2, 8, 8)), rng.standard_normal((3, 2, 3, 3))
    with convkit.verify_with("naive"):
        fused("naive", x, w)
        with pytest.raises(convkit.VerifyError, match="dx"):
            fused(planted("dx", 1e-6), x, w)


def test_a_maximum_that_rounding_decides_is_no_false_alarm():
    x, w = np.ones((1, 1, 3, 3), "f4"), np.ones((1, 1, 2, 2), "f4")
    with convkit.verify_with("naive"):  # all elements are 4; the last one is a little larger
        fused(planted("out", 1e-6), x, w)
