"""A failed verification is stored, and the message has a line that reproduces it."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

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
