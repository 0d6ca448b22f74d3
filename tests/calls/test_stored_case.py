"""A failed verification is stored, and the message has a line that reproduces it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import spoiled_backends

import convkit
from convkit.calls.stored_case import read_case
from convkit.replay import replay

GEOMETRY = {"stride": (2, 1), "pad": ((1, 0), (0, 1)), "groups": 2, "dilation": (1, 2)}
POOL = {"kernel": (3, 2), "stride": (2, 1), "pad": (1, 0)}
MESSAGE = (
    r"backend '{backend}': (\w+)\[([\d, ]+)\] is (\S+), expected (\S+) within (\S+); "
    r"1 of \d+ differ .* \(by backend 'naive'\) in (\w+) for (.*); reproduce with: (.*)$"
)

#: Which result of which operation is wrong, in the words of the message, and by which backend.
FOUND = [
    ("conv", "out", "Out"),
    ("conv", "out", "OutOfInference"),
    ("conv", "dx", "Dx"),
    ("conv", "dw", "Dw"),
    ("conv", "db", "Db"),
    *(
        (kind, what, backend)
        for kind in ("max_pool", "avg_pool")
        for what, backend in (("out", "PoolOut"), ("out", "PoolOutOfInference"), ("dx", "PoolDx"))
    ),
    ("conv_relu_pool", "out", "PoolOut"),
    ("conv_relu_pool", "dx", "Dx"),
    ("conv_relu_pool", "dw", "Dw"),
    ("conv_relu_pool", "db", "Db"),
]


def failure(operation: str, backend: str, dtype: str) -> str:
    """Return what verification says of an operation's calls."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in ((2, 4, 6, 5), (4, 2, 3, 2), 4))
    inputs = (x, w, b) if operation.startswith("conv") else (x,)
    params = {"conv": (GEOMETRY,), "conv_relu_pool": (GEOMETRY, POOL)}.get(operation, (POOL,))

    def calls() -> None:
        if operation != "conv_relu_pool":
            getattr(convkit, operation)(*inputs, *params)
        out, cache = getattr(convkit, f"{operation}_forward")(*inputs, *params)
        getattr(convkit, f"{operation}_backward")(np.ones_like(out), cache)

    chosen, verified = convkit.use_backend(backend), convkit.verify_with("naive")
    with chosen, verified, pytest.raises(convkit.VerifyError) as caught:
        calls()
    return str(caught.value)


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("operation", "what", "wrong"), FOUND)
def test_the_message_has_index_values_and_a_line_that_reproduces_it(
    tmp_path, operation, what, wrong, dtype
):
    name = f"{spoiled_backends.__name__}:{wrong}"
    text = failure(operation, name, dtype)
    said = re.match(MESSAGE.format(backend=name), text)
    assert said, text
    found, index, got, expected, bound, method, problem, line = said.groups()
    assert found == what
    assert operation.startswith("conv") == ("w (" in problem)
    assert method.startswith(operation if "conv" in operation else "pool")
    assert float(bound) < abs(float(got) - float(expected)) < 2.0**-5
    assert len(index.split(",")) == (1 if what == "db" else 4)
    (stored,) = tmp_path.glob("*.npz")
    assert repr(str(stored)) in line
    with pytest.raises(convkit.VerifyError) as again:
        replay(str(stored))
    without_line = text.rpartition("; reproduce with:")[0]
    assert str(again.value).rpartition("; reproduce with:")[0] == without_line


@pytest.mark.parametrize(("operation", "wrong"), [("conv", "Dw"), ("conv_relu_pool", "PoolOut")])
def test_the_line_runs_as_it_is_in_a_shell_of_its_own(operation, wrong):
    text = failure(operation, f"{spoiled_backends.__name__}:{wrong}", "f4")
    before, _, line = text.rpartition("; reproduce with: ")
    own = {name: v for name, v in os.environ.items() if not name.startswith("CONVKIT")}
    own["PYTHONPATH"] = str(Path(spoiled_backends.__file__).parent)
    again = subprocess.run(line, shell=True, capture_output=True, text=True, env=own)
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].rpartition("; reproduce with: ")[0].endswith(before)


def test_what_is_stored_is_what_is_read(tmp_path):
    failure("conv_relu_pool", f"{spoiled_backends.__name__}:Db", "f8")
    (stored,) = tmp_path.glob("*.npz")
    case = read_case(str(stored))
    assert (case.operation.name, case.step) == ("conv_relu_pool", "backward")
    assert (case.backend, case.reference) == ("spoiled_backends:Db", "naive")
    assert [array.shape for array in case.inputs] == [(2, 4, 6, 5), (4, 2, 3, 2), (4,)]
    assert {array.dtype for array in (*case.inputs, case.dout)} == {np.dtype("f8")}
    conv, pool = case.parameters
    geometry = {"stride": [2, 1], "pad": [[1, 0], [0, 1]], "dilation": [1, 2], "groups": 2}
    assert conv == {**geometry, "pad_mode": "zeros"}
    assert pool["kernel"] == [3, 2]
    assert pool["pad"] == [[1, 1], [0, 0]]
