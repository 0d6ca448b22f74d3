"""The incremental build, on a C project of two objects, two headers and a program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from build_support.incremental import BuildError, Step, build, parallel_jobs  # noqa: E402
from build_support.kernels import Tools, compile_step, library_steps  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc)")

TOOLS = Tools(("cc",), ("ar", "rcs"), ("cc",), version="cc 1")
FILES = {
    "one.h": "#define ONE 1\n",
    "both.h": "#define BOTH 2\n",
    "first.c": '#include "one.h"\n#include "both.h"\nint first(void) { return ONE + BOTH; }\n',
    "main.c": '#include "both.h"\nint first(void);\nint main(void) { return first() + BOTH; }\n',
}


class Project:
    """The C project, built in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.sources, self.out = folder / "src", folder / "out"
        self.sources.mkdir()
        for name, text in FILES.items():
            (self.sources / name).write_text(text)
        self.said: list[str] = []

    def steps(self, *flags: str, tools: Tools = TOOLS) -> list[Step]:
        objects = [
            compile_step(name, self.sources / name, self.out / f"{name[:-2]}.o", [*flags], tools)
            for name in ("first.c", "main.c")
        ]
        made = tuple(step.output for step in objects)
        program = self.out / "program"
        link = (*tools.link, *map(str, made), "-o", str(program))
        return [*objects, Step("program", link, program, made)]

    def build(self, steps: list[Step] | None = None, jobs: int = 1, **how: bool) -> set[str]:
        """Build, and return which steps ran."""
        ran = build(
            self.steps() if steps is None else steps,
            self.out, self.sources, jobs, say=self.said.append, **how,
        )  # fmt: skip
        assert len(ran) == len(set(ran))
        return set(ran)

    def result(self) -> int:
        return subprocess.run([self.out / "program"]).returncode


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    assert made.build() == {"first.c", "main.c", "program"}
    assert made.result() == 5
    return made


def test_nothing_changed_runs_nothing(project: Project) -> None:
    project.said.clear()
    assert project.build() == set()
    assert project.said == []
    os.utime(project.sources / "both.h")  # a new time is no change
    assert project.build() == set()


def test_a_changed_header_recompiles_what_includes_it(project: Project) -> None:
    (project.sources / "one.h").write_text("#define ONE 10\n")
    assert project.build() == {"first.c", "program"}
    assert project.result() == 14
    (project.sources / "both.h").write_text("#define BOTH 3\n")
    assert project.build() == {"first.c", "main.c", "program"}
    assert project.result() == 16
    assert project.build() == set()


def test_a_header_put_back_with_an_old_time_is_a_change(project: Project) -> None:
    header = project.sources / "one.h"
    header.write_text("#define ONE 20\n")
    os.utime(header, (0, 0))
    assert project.build() == {"first.c", "program"}
    assert project.result() == 24


def test_a_header_that_a_header_includes_counts(project: Project) -> None:
    (project.sources / "deep.h").write_text("#define ONE 30\n")
    (project.sources / "one.h").write_text('#include "deep.h"\n')
    assert project.build() == {"first.c", "program"}
    (project.sources / "deep.h").write_text("#define ONE 40\n")
    assert project.build() == {"first.c", "program"}
    assert project.result() == 44


def test_a_changed_flag_or_compiler_recompiles_all(project: Project) -> None:
    assert project.build(project.steps("-O1")) == {"first.c", "main.c", "program"}
    assert project.build(project.steps("-O1")) == set()
    newer = replace(TOOLS, version="cc 2")
    assert project.build(project.steps("-O1", tools=newer)) >= {"first.c", "main.c"}


def test_an_argument_declared_unstable_does_not_count(project: Project) -> None:
    def steps(folder: str) -> list[Step]:
        flag = f"-I{folder}"
        return [replace(s, unstable=frozenset({flag})) for s in project.steps(flag)]

    project.build(steps("a"))
    assert project.build(steps("b")) == set()


def test_what_is_missing_is_made_again(project: Project) -> None:
    (project.out / "main.o").unlink()
    assert project.build() == {"main.c", "program"}
    (project.out / "first.d").unlink()
    assert project.build() == {"first.c", "program"}
    assert project.build(force=True) == {"first.c", "main.c", "program"}


def test_a_failure_says_which_command_and_is_tried_again(project: Project) -> None:
    header = project.sources / "one.h"
    header.write_text("#error no such number\n")
    for _ in range(2):
        with pytest.raises(BuildError, match=r"(?s)^first\.c: cc .* failed:.*no such number"):
            project.build()
    header.write_text(FILES["one.h"])
    assert project.build() == {"first.c", "program"}
    absent = replace(TOOLS, compile=("no-such-compiler",))
    with pytest.raises(BuildError, match="no-such-compiler cannot be run"):
        project.build(project.steps(tools=absent))


def test_a_file_saved_during_its_compilation_is_compiled_again(project: Project) -> None:
    header = project.sources / "one.h"
    header.write_text("#define ONE 7\n")
    soon = time.time() + 60
    os.utime(header, (soon, soon))  # as if it was saved after the compiler had read it
    assert project.build() == {"first.c", "program"}
    assert project.build() == {"first.c", "program"}


def test_progress_counts_and_the_heaviest_starts_first(project: Project) -> None:
    first, main, program = project.steps("-O1")
    project.said.clear()
    project.build([replace(first, weight=1), replace(main, weight=2), program])
    header, *lines = project.said
    assert header == "Compiling the kernels, 1 at a time; a first build takes a minute or so."
    assert lines == ["[1/3] main.c", "[2/3] first.c", "[3/3] program"]


def test_commands_run_at_the_same_time(tmp_path: Path) -> None:
    """Each of two steps waits for what the other writes."""
    code = "import pathlib, sys, time\nmine, other = map(pathlib.Path, sys.argv[1:])\n"
    code += "mine.touch()\nend = time.time() + 60\n"
    code += "while not other.exists() and time.time() < end: time.sleep(0.01)\n"
    code += "sys.exit(not other.exists())"
    a, b = tmp_path / "a", tmp_path / "b"
    steps = [
        Step(mine.name, (sys.executable, "-c", code, str(mine), str(other)), mine, ())
        for mine, other in ((a, b), (b, a))
    ]
    assert set(build(steps, tmp_path, tmp_path, 2, say=lambda line: None)) == {"a", "b"}


def test_an_archive_holds_only_the_present_sources(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.out)  # the build's folder is relative

    def members(*names: str) -> list[str]:
        sources = [str(project.sources / name) for name in names]
        info = {"sources": sources, "macros": [], "cflags": []}
        steps = library_steps("convkit_x", info, project.sources, TOOLS)
        build(steps, project.out, project.sources, 2, say=lambda line: None)
        listed = subprocess.run(["ar", "t", steps[-1].output], capture_output=True, text=True)
        return sorted(n for n in listed.stdout.split() if not n.startswith("__"))

    assert members("first.c", "main.c") == ["first.o", "main.o"]
    assert members("first.c") == ["first.o"]


def test_the_sources_known_to_be_slow_start_first(project: Project) -> None:
    names = ["a.c", "first.c", "main.c", "z.c"]
    info = {"sources": [str(project.sources / n) for n in names], "macros": [], "cflags": []}
    *objects, archive = library_steps("x", info, project.sources, TOOLS, ["main.c", "z.c"])
    assert [step.weight for step in objects] == [0, 0, 2, 1]
    assert archive.inputs == tuple(step.output for step in objects)


@pytest.mark.parametrize(
    ("environ", "jobs"),
    [
        ({"CONVKIT_BUILD_JOBS": "3"}, 3),
        ({"CONVKIT_BUILD_JOBS": " 2 ", "MAKEFLAGS": " -j8"}, 2),
        ({"MAKEFLAGS": " -j8 --jobserver-auth=3,4"}, 8),
        ({"MAKEFLAGS": "ks -j5"}, 5),
    ],
)
def test_how_many_jobs(environ: dict[str, str], jobs: int) -> None:
    assert parallel_jobs(environ) == jobs


def test_jobs_are_one_per_core_unless_told() -> None:
    assert parallel_jobs({}) == parallel_jobs({"MAKEFLAGS": "w"}) >= 1
    if hasattr(os, "sched_getaffinity"):
        assert parallel_jobs({}) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("asked", ["0", "-1", "many", "²"])
def test_jobs_that_are_no_number_are_refused(asked: str) -> None:
    with pytest.raises(ValueError) as caught:
        parallel_jobs({"CONVKIT_BUILD_JOBS": asked})
    assert str(caught.value) == (
        f"CONVKIT_BUILD_JOBS (={asked!r}) must be a whole number, 1 or more; "
        "unset it for one job per core"
    )
