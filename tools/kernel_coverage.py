#!/usr/bin/env python3
"""Measure which lines and branches of the compiled kernels the conformance suite runs (gcov).

    tools/kernel_coverage.py --folder build/coverage [--level quick] [--report]

Builds one instruction set in a copy of the working tree, runs the level with both backends made of
the kernels, and prints for each file the share of lines and branches that ran, and the lines that
did not. A template counts once: a line has run if it has in any of its instantiations.
``--report`` prints what an earlier run measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import kernel_copy

CFLAGS = "-O1 -fno-inline-functions --coverage -fprofile-update=atomic"
BACKENDS = ("cython", "cython_fast")

#: Processes of a run end by os._exit, which writes no counts; so do those of guard pages and forks.
DUMP = """
extern void __gcov_dump(void);
__attribute__((visibility("default"))) void convkit_write_counts(void) { __gcov_dump(); }
"""
AT_EXIT = """\
import ctypes, os, sys
_exit = os._exit
def write_counts_and_exit(status):
    kernels = sys.modules.get("convkit_cython._kernels")
    if kernels is not None:
        ctypes.CDLL(kernels.__file__).convkit_write_counts()
    _exit(status)
os._exit = write_counts_and_exit
"""

Lines = dict[str, dict[int, int]]
Branches = dict[str, dict[tuple[int, int], int]]


def prepare(copy: Path) -> None:
    """Have every process of a run write its counts."""
    with (copy / kernel_copy.SOURCES / "runtime" / "dispatch.c").open("a") as file:
        file.write(DUMP)
    (copy / "site" / "sitecustomize.py").write_text(AT_EXIT)


def measure(copy: Path, level: str, jobs: int, ops: list[str]) -> None:
    """Run the level in the copy; SystemExit where it is not clean."""
    for backend in BACKENDS:
        command = [sys.executable, "-m", "convkit", "conformance", backend, f"--{level}"]
        command += ["--jobs", str(jobs), *(part for op in ops for part in ("--op", op))]
        subprocess.run(command, cwd=copy.parent, check=True, env=kernel_copy.environment(copy))


def read(copy: Path) -> tuple[Lines, Branches]:
    """Return how often each line and branch ran, by file below backends/cython/src."""
    lines: Lines = defaultdict(lambda: defaultdict(int))
    branches: Branches = defaultdict(lambda: defaultdict(int))
    for notes in sorted(copy.glob("build/kernels-*/convkit_*/**/*.gcno")):
        told = subprocess.run(
            ["gcov", "--json-format", "--stdout", "--branch-probabilities", str(notes)],
            cwd=copy, check=True, capture_output=True, text=True,
        )  # fmt: skip
        for document in filter(None, told.stdout.splitlines()):
            for file in json.loads(document)["files"]:
                _, inside, name = file["file"].partition(f"{kernel_copy.SOURCES}/")
                if inside:
                    for line in file["lines"]:
                        lines[name][line["line_number"]] += line["count"]
                        for i, branch in enumerate(line["branches"]):
                            branches[name][line["line_number"], i] += branch["count"]
    return lines, branches


def ranges(numbers: list[int]) -> str:
    """Return numbers as ``3, 7-9``."""
    groups = groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    runs = [[n for _, n in group] for _, group in groups]
    return ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs)


def table(lines: Lines, branches: Branches) -> str:
    """Return the shares of each file, the lines that did not run, and the sums."""
    rows = [f"{'file':36}{'lines':>14}{'branches':>16}  not run"]
    total = [0, 0, 0, 0]
    for name in sorted(lines):
        ran, taken = lines[name], branches[name]
        counts = [
            sum(map(bool, ran.values())),
            len(ran),
            sum(map(bool, taken.values())),
            len(taken),
        ]
        total = [a + b for a, b in zip(total, counts, strict=True)]
        missed = ranges(sorted(n for n, count in ran.items() if not count))
        rows.append(_row(name, counts) + f"  {missed}")
    return "\n".join([*rows, _row("all", total)])


def _row(name: str, counts: list[int]) -> str:
    line, lines, branch, branches = counts
    return (
        f"{name:36}{line:5}/{lines:<5}{line / max(lines, 1):4.0%}"
        f"{branch:6}/{branches:<5}{branch / max(branches, 1):4.0%}"
    )


def main() -> int:
    """Build, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/coverage"))
    parser.add_argument("--level", choices=["quick", "default", "full"], default="default")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--op", action="append", default=[], help="only this operation")
    parser.add_argument("--report", action="store_true", help="print an earlier run's figures")
    options = parser.parse_args()
    copy = options.folder.absolute() / "tree"
    if not options.report:
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(parents=True)
        kernel_copy.copy_tree(copy)
        prepare(copy)
        kernel_copy.build(copy, CFLAGS)
        measure(copy, options.level, options.jobs, options.op)
    print(table(*read(copy)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
