"""The backends made of published libraries: short, and right on a small problem where installed.

None of the libraries is a dependency. What is missing is skipped by name. Each runs in a process of
its own, for their thread pools disturb each other and one that crashes must not end the tests.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples" / "strangers"
FILES = sorted(FOLDER.glob("*.py"))
OURS = {"convkit", "inference_only", "numpy"}

SMOKE = """
import sys
import numpy as np
import convkit

name = sys.argv[1]
random = np.random.default_rng(0)
shapes = {"x": (2, 3, 9, 8), "w": (4, 3, 3, 2), "b": (4,)}
x, w, b = (random.integers(-3, 4, s).astype(np.float32) for s in shapes.values())
param = {"stride": (2, 1), "pad": ((1, 0), (1, 1))}
out, cache = convkit.conv_forward(x, w, b, param, backend=name)
dout = random.integers(-3, 4, out.shape).astype(np.float32)
found = (out, *convkit.conv_backward(dout, cache))
out, cache = convkit.conv_forward(x, w, b, param, backend="naive")
wanted = (out, *convkit.conv_backward(dout, cache))
for label, a, b in zip(("out", "dx", "dw", "db"), found, wanted, strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-4, err_msg=label)
print("computed by", name)
"""

MISSING = """
import sys
import numpy as np
import convkit

sys.modules[sys.argv[2]] = None
try:
    convkit.conv(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), backend=sys.argv[1])
except convkit.BackendLoadError as error:
    print(error)
"""


def libraries(file: Path) -> list[str]:
    """The top-level names that a file imports beside ours and the standard library's."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    return sorted(names - OURS - set(sys.stdlib_module_names))


def objects(file: Path) -> list[str]:
    """``module:object`` of a file's backends: its instances of Backend, or else the class."""
    made = [
        str(node.targets[0].id)
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "Backend"
    ]
    return [f"{file.stem}:{name}" for name in made or ["Backend"]]


STRANGERS = [file for file in FILES if libraries(file)]
BACKENDS = [pytest.param(f, name, id=name) for f in STRANGERS for name in objects(f)]


def run(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(FOLDER), *sys.path])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


def test_there_are_at_least_six_libraries():
    assert len(STRANGERS) >= 6


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_short(file):
    assert len(file.read_text().splitlines()) < 80


@pytest.mark.parametrize(("file", "name"), BACKENDS)
def test_a_small_convolution_and_its_gradients(file, name):
    missing = [lib for lib in libraries(file) if importlib.util.find_spec(lib) is None]
    if missing:
        pytest.skip(f"{file.name} needs {' and '.join(missing)}, not installed")
    done = run(SMOKE, name)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"computed by {name}" in done.stdout


@pytest.mark.parametrize(("file", "name"), BACKENDS)
def test_a_missing_library_is_named(file, name):
    library = libraries(file)[0]
    done = run(MISSING, name, library)
    assert done.returncode == 0, done.stderr[-2000:]
    assert library in done.stdout
