"""Every way to install convkit, each in a fresh environment and used from another folder."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from environments import LEFT_OUT, ROOT, Environment

pytestmark = [pytest.mark.packaging, pytest.mark.slow]

PACKAGES = {"cython", "im2col_numpy", "naive"}
COMPILED = {"cython", "cython_fast"}
BUNDLED = PACKAGES | COMPILED
SOURCES = ROOT / "backends" / "cython" / "src"

USE = """
import importlib.util, json, sys
import numpy as np
import convkit

x = np.linspace(-0.1, 0.5, 96).reshape(2, 3, 4, 4)
w = np.linspace(-0.2, 0.3, 144).reshape(3, 3, 4, 4)
sums = {}
for name in sys.argv[1:]:
    out, cache = convkit.conv_forward(x, w, stride=2, pad=1, backend=name)
    pooled, _ = convkit.max_pool_forward(out, kernel=2, backend=name)
    dx, dw, db = convkit.conv_backward(np.ones_like(out), cache)
    sums[name] = [float(part.sum()) for part in (out, pooled, dx, dw)]
print(json.dumps({
    "file": convkit.__file__,
    "version": convkit.__version__,
    "sums": sums,
    "typed": bool(importlib.util.find_spec("convkit").submodule_search_locations),
    "strays": [n for n in ("backends", "tests") if importlib.util.find_spec(n)],
}))
"""


def check_use(environment: Environment, inside: Path, names: set[str]) -> None:
    """Compute with every named backend, and let the two scripts speak."""
    done = environment.run("python", "-c", USE, *sorted(names))
    seen = json.loads(done.stdout)
    assert Path(seen["file"]).is_relative_to(inside)
    assert (Path(seen["file"]).parent / "py.typed").is_file()
    assert seen["strays"] == []
    first, *others = seen["sums"].values()
    assert len(others) == len(names) - 1
    for sums in others:
        assert sums == pytest.approx(first, rel=1e-12)
    version = f"convkit {seen['version']}\n"
    assert environment.run("convkit", "--version").stdout == version
    assert environment.run("python", "-m", "convkit", "--version").stdout == version
    assert {name for name, state in states(environment).items() if state == "loaded"} == names


def rows(environment: Environment) -> dict[str, dict[str, str]]:
    listed = json.loads(environment.run("convkit", "backends", "--json").stdout)
    return {row["name"]: row for row in listed}


def states(environment: Environment) -> dict[str, str]:
    return {name: row["state"] for name, row in rows(environment).items()}


def test_sdist(distributions: dict[str, Path]) -> None:
    """It holds all that a build reads, and nothing that a build made."""
    with tarfile.open(distributions["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    kernels = {path.relative_to(ROOT).as_posix() for path in SOURCES.rglob("*") if path.is_file()}
    helpers = {p.relative_to(ROOT).as_posix() for p in (ROOT / "build_support").glob("*.py")}
    assert len(kernels) > 20
    assert helpers
    assert names >= kernels | helpers | {"backends/cython/_kernels.pyx", "setup.py"}
    assert not [name for name in names if name.endswith(("_kernels.c", ".so", ".o", ".a", ".pyc"))]


def test_wheel_from_sdist(distributions: dict[str, Path], environment: Environment) -> None:
    files = zipfile.ZipFile(distributions["wheel"]).namelist()
    assert {name.split("/")[0] for name in files if ".dist-info/" not in name} == {
        "convkit",
        *(f"convkit_{name}" for name in PACKAGES),
    }
    assert any(
        name.startswith("convkit_cython/_kernels.") and name.endswith(".so") for name in files
    )
    templates = {f"convkit/report/{path.name}" for path in (ROOT / "convkit/report").glob("*.j2")}
    assert len(templates) >= 2
    assert templates <= set(files)
    environment.install(distributions["wheel"])
    check_use(environment, environment.folder, BUNDLED)


def test_users_do_not_wait_for_the_wide_kernels(
    distributions: dict[str, Path], environment: Environment
) -> None:
    environment.install(distributions["wheel"])
    listed = "from convkit_cython import _kernels as k; print(*k.isas())"
    assert "wide" not in environment.run("python", "-c", listed).stdout.split()
    asked = "import os; os.environ['CONVKIT_ISA'] = 'wide';"
    asked += "import convkit_cython as c; c.convkit_backend()"
    done = environment.run("python", "-c", asked, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: CONVKIT_ISA (='wide') must name kernels that are built, and these are for "
        "tests only; build them in a checkout: CONVKIT_BUILD_WIDE=1 pip install -e ."
    )


def test_pip_install_folder(sources: Path, environment: Environment) -> None:
    environment.install(sources)
    check_use(environment, environment.folder, BUNDLED)


def test_pip_install_editable(sources: Path, environment: Environment) -> None:
    environment.install("--editable", sources)
    check_use(environment, sources, BUNDLED)
    (sources / "convkit" / "added.py").write_text("VALUE = 7\n")
    code = "from convkit.added import VALUE; print(VALUE)"
    assert environment.run("python", "-c", code).stdout == "7\n"


def test_without_a_c_compiler(sources: Path, environment: Environment) -> None:
    nothing = environment.elsewhere / "no-compiler"
    nothing.write_text("#!/bin/sh\nexit 1\n")
    nothing.chmod(0o755)
    environment.install(f"{sources}[train]", env={"CC": str(nothing), "CXX": str(nothing)})
    check_use(environment, environment.folder, BUNDLED - COMPILED)

    row = rows(environment)["cython"]
    assert row["state"] == "broken"
    assert "compiled" in row["problem"] or "_kernels" in row["problem"]
    asked = environment.run("convkit", "train", "--backend", "cython", check=False)
    assert asked.returncode == 1
    assert asked.stderr.startswith("convkit: error: backend 'cython' cannot be loaded: ")
    assert len(asked.stderr.splitlines()) == 1

    done = environment.run("convkit", "train", "--iterations", "20", "--name", "short")
    assert "* im2col_numpy" in done.stdout
    written = {path.name for path in (environment.elsewhere / "runs" / "short").iterdir()}
    assert {"report.html", "history.csv", "weights.safetensors", "loss.png"} <= written


@pytest.mark.parametrize("made", ["new", "example"])
def test_a_backend_of_another_package(
    distributions: dict[str, Path], environment: Environment, tmp_path: Path, made: str
) -> None:
    """Written by ``convkit new-backend`` or kept under examples/: installed, found, and sound."""
    environment.install(distributions["wheel"])
    folder, name = tmp_path / "fft_backend", "fft"
    if made == "example":
        shutil.copytree(ROOT / "examples" / "fft_backend", folder, ignore=LEFT_OUT)
    else:
        folder, name = tmp_path / "made", "taps"
        environment.run("convkit", "new-backend", name, "--output", folder)
    environment.install(f"{folder}[test]")
    code = "import convkit, numpy as np; x = np.ones((1, 1, 4, 4));"
    code += "print(convkit.conv_forward(x, x)[1].backend)"
    chosen = f"import os; os.environ['CONVKIT_BACKEND'] = {name!r};"
    done = environment.run("python", "-c", chosen + code)
    assert done.stdout.strip() == name
    assert environment.run("python", "-c", code).stdout.strip() == "cython"
    environment.run("pytest", "-q", "-p", "no:cacheprovider", folder)
