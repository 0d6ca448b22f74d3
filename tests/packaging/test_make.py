"""Every target of the Makefile in a fresh clone, as somebody does it who has just cloned convkit.

The clone is shared, so that one environment and one build serve all targets.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from environments import QUICK, ROOT, run
from filelock import FileLock

pytestmark = [
    pytest.mark.packaging,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout"),
]

#: How each target is run: arguments that keep it short, and what must be in its output.
TARGETS: dict[str, tuple[dict[str, str], str]] = {
    "help": ({}, "make sanitize"),
    "run": ({"RUN_ARGS": "--epochs 1 --name once"}, "Report: runs/once/report.html"),
    "test": ({"TEST_ARGS": "tests/test_contract.py"}, " passed"),
    "test-fast": ({"TEST_ARGS": "tests/test_contract.py"}, " passed"),
    "test-all": ({"TEST_ARGS": "tests/test_contract.py"}, " passed"),
    "lint": ({}, "Success: no issues found"),
    "docs": ({}, ""),
    "bench": (
        {
            "COMPARE_ARGS": "--images 1 --rounds 1 --backend im2col_numpy --reference cython",
            "BENCH_ARGS": "--set tiny --rounds 1",
            "BENCHMARK_ARGS": "-k tiny-forward-float32-im2col_numpy",
        },
        "tiny",
    ),
    "sanitize": (
        {
            "SANITIZE_ISAS": "generic",
            "SANITIZE_CFLAGS": "-O0",
            "SANITIZE_ARGS": "--op max_pool --dtype float32 --check forward-exact",
        },
        "== generic cython_fast",
    ),
    "mutants": ({"MUTANT_ARGS": "--jobs 1 --log known.jsonl"}, "1/1 Row("),
    "clean": ({}, ""),
}

Make = Callable[[str, Mapping[str, str]], subprocess.CompletedProcess[str]]


def tracked_files() -> list[str]:
    """Return the files of the working tree that git tracks or would add."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others"]
    listed = subprocess.run(
        [*command, "--exclude-standard"], capture_output=True, text=True, check=True
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def clone(shared: Path) -> Path:
    """A clone with the working tree's files, and nothing that git ignores."""
    folder = shared / "clone"
    with FileLock(shared / "clone.lock"):
        if not (folder / ".git" / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            run("git", "clone", "--quiet", "--no-checkout", ROOT, folder, cwd=shared)
            for name in tracked_files():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
            run("git", "add", "--all", cwd=folder)
            (folder / ".git" / "ready").touch()
    return folder


@pytest.fixture
def make(clone: Path, shared: Path) -> Make:
    """Run one target in the clone, one at a time."""

    def run_target(target: str, arguments: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        given = [f"{name}={value}" for name, value in arguments.items()]
        with FileLock(shared / "make.lock"):
            return run(
                "make", target, f"PYTHON={sys.executable}", *given, cwd=clone, env=QUICK
            )  # fmt: skip

    return run_target


def leave_one_mutant(clone: Path) -> None:
    """Write the log of an earlier run that stopped before the last planted bug."""
    code = "import json; from conformance_mutants.__main__ import MUTANTS as all_of_them;"
    code += "print(json.dumps([*all_of_them]))"
    done = run(
        clone / ".venv" / "bin" / "python", "-c", code, cwd=clone, env={"PYTHONPATH": "tests"}
    )
    rows = [
        {"name": name, "level": "quick", "found_by": ["a check"], "complete": True}
        for name in json.loads(done.stdout)[1:]
    ]
    (clone / "known.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_every_target_is_tested(make: Make) -> None:
    shown = re.findall(r"^ *make (\S+)", make("help", {}).stdout, re.MULTILINE)
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    assert set(shown) == set(declared[1].split()) == set(TARGETS)


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "clean"])
def test_a_target_works_in_a_fresh_clone(target: str, make: Make, clone: Path) -> None:
    arguments, output = TARGETS[target]
    if target == "mutants":
        make(".venv/dev.stamp", {})
        leave_one_mutant(clone)
    assert output in make(target, arguments).stdout
    if target == "docs":
        assert (clone / "site" / "index.html").is_file()


def test_a_build_with_nothing_changed_compiles_nothing(make: Make, clone: Path) -> None:
    make(".venv/dev.stamp", {})
    (clone / "setup.py").touch()
    for stamp in ("run", "dev", "docs"):
        done = make(f".venv/{stamp}.stamp", {})
        assert "pip install" in done.stdout or stamp == "run"  # dev brings run up to date too
        assert "Compiling" not in done.stdout


def test_a_build_shows_what_it_compiles(make: Make, clone: Path) -> None:
    make(".venv/dev.stamp", {})
    header = next(iter(sorted((clone / "backends" / "cython" / "src").rglob("*depthwise*.h"))))
    header.write_text(header.read_text() + "/* changed */\n")
    lines = make(".venv/dev.stamp", {}).stdout.splitlines()
    shown = [line for line in lines if re.match(r"\[ *\d+/\d+\] ", line)]
    sources = [line.partition("] ")[2] for line in shown if line.endswith(".c")]
    assert "Compiling the kernels" in "\n".join(lines)
    assert 0 < len(sources) < 10
    assert {name.partition("/")[0] for name in sources} >= {"generic"}
    assert len({name.partition("/")[2] for name in sources}) == 1


def test_clean_leaves_nothing_built(make: Make, clone: Path) -> None:
    """The last, for whatever comes after it has to build again."""
    make(".venv/run.stamp", {})
    assert list(clone.glob("backends/cython/*.so"))
    assert (clone / "build").exists()
    make("clean", {})
    assert not list(clone.glob("backends/cython/*.so"))
    assert not (clone / "build").exists()
