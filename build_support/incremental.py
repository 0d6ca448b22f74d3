"""Run the steps of a build that are out of date, in parallel, and show progress.

A step is out of date when its fingerprint is not the one stored beside its output. The fingerprint
covers the command line, the versions of the tools and the contents of every file that was read, so
that a checkout of another branch and back recompiles nothing that ends up the same.

It knows nothing of what is built and imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path


class BuildError(Exception):
    """A command of the build could not be run, or failed."""


@dataclass(frozen=True)
class Step:
    """One command that writes one file.

    label: what the progress line shows.
    command: the arguments, the program first.
    output: the file that it writes.
    inputs: the files that it is known to read; outputs of earlier steps among them.
    depfile: where the command lists what it read, in make's syntax; None where `inputs` is all.
    versions: what the output depends on beyond the command line and the tracked files.
    unstable: arguments that do not count, such as the path of a temporary environment.
    weight: how long it takes compared to the others; the longest start first.
    """

    label: str
    command: tuple[str, ...]
    output: Path
    inputs: tuple[Path, ...]
    depfile: Path | None = None
    versions: str = ""
    unstable: frozenset[str] = frozenset()
    weight: int = 0

    @property
    def stamp(self) -> Path:
        """The file that holds the fingerprint of the last successful run."""
        return self.output.with_name(self.output.name + ".stamp")


def files_read(step: Step, tracked: Path) -> list[Path]:
    """Return the step's inputs and what its depfile names below ``tracked``, each once.

    Headers elsewhere (of the system, of Python, of NumPy) are covered by ``Step.versions``.
    """
    read = dict.fromkeys(step.inputs)
    if step.depfile is not None and step.depfile.exists():
        _, _, listed = step.depfile.read_text().replace("\\\n", " ").partition(": ")
        for name in re.findall(r"(?:\\.|\S)+", listed):
            path = Path(re.sub(r"\\(.)", r"\1", name).replace("$$", "$"))
            if path.is_relative_to(tracked):
                read[path] = None
    return list(read)


def fingerprint(step: Step, tracked: Path) -> str:
    """Return a digest of all that the step's output depends on; OSError where a file is missing."""
    digest = hashlib.sha256(step.versions.encode())
    for argument in step.command:
        if argument not in step.unstable:
            digest.update(b"\0" + argument.encode())
    for path in files_read(step, tracked):
        digest.update(
            b"\0" + os.fsencode(path) + b"\0" + hashlib.sha256(path.read_bytes()).digest()
        )
    return digest.hexdigest()


def is_current(step: Step, tracked: Path) -> bool:
    """Whether the step's output is there and made from what would be read now."""
    if not step.output.exists() or (step.depfile is not None and not step.depfile.exists()):
        return False
    try:
        return step.stamp.read_text() == fingerprint(step, tracked)
    except OSError:
        return False


def out_of_date(steps: Sequence[Step], tracked: Path) -> list[Step]:
    """Return the steps to run. A step is listed after those whose outputs it reads."""
    stale: list[Step] = []
    rewritten: set[Path] = set()
    for step in steps:
        if not rewritten.isdisjoint(step.inputs) or not is_current(step, tracked):
            stale.append(step)
            rewritten.add(step.output)
    return stale


def run_step(step: Step, tracked: Path) -> str:
    """Run the command and store the fingerprint. Return what it printed; BuildError if it fails."""
    step.output.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (step.stamp, step.output):  # archivers add to an old archive
        leftover.unlink(missing_ok=True)
    started = time.time()
    try:
        done = subprocess.run(
            step.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        raise BuildError(f"{step.label}: {step.command[0]} cannot be run: {error}") from error
    if done.returncode:
        raise BuildError(
            f"{step.label}: {shlex.join(step.command)} failed:\n{done.stdout}".rstrip()
        )
    # A file saved while the command was reading it would be recorded with the wrong contents.
    if all(path.stat().st_mtime <= started for path in files_read(step, tracked)):
        step.stamp.write_text(fingerprint(step, tracked))
    return done.stdout


def build(
    steps: Sequence[Step],
    folder: Path,
    tracked: Path,
    jobs: int,
    *,
    force: bool = False,
    say: Callable[[str], None] = lambda line: print(line, flush=True),
) -> list[str]:
    """Bring every step's output in ``folder`` up to date, ``jobs`` commands at a time.

    Files below ``tracked`` are watched. Returns the labels of the steps that ran, in the order they
    started. Raises BuildError at the first command that fails, when those running have ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        stale = list(steps) if force else out_of_date(steps, tracked)
        if not stale:
            return []
        first = "; a first build takes a minute or so" if len(stale) == len(steps) else ""
        say(f"Compiling the kernels, {jobs} at a time{first}.")
        return _run_in_parallel(stale, tracked, jobs, say)


def _run_in_parallel(
    stale: Sequence[Step], tracked: Path, jobs: int, say: Callable[[str], None]
) -> list[str]:
    writer = {step.output: step for step in stale}
    graph = {step: {writer[path] for path in step.inputs if path in writer} for step in stale}
    order = TopologicalSorter(graph)
    order.prepare()
    ready: list[Step] = []
    running: dict[Future[str], Step] = {}
    started: list[str] = []
    width = len(str(len(stale)))
    with ThreadPoolExecutor(jobs) as pool:
        while order.is_active():
            ready = sorted([*ready, *order.get_ready()], key=lambda step: step.weight)
            while ready and len(running) < jobs:
                step = ready.pop()
                started.append(step.label)
                say(f"[{len(started):>{width}}/{len(stale)}] {step.label}")
                running[pool.submit(run_step, step, tracked)] = step
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                if printed := future.result().strip():
                    say(printed)
                order.done(running.pop(future))
    return started


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one build at a time into a folder, where the system has file locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def parallel_jobs(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many commands to run at a time: CONVKIT_BUILD_JOBS, make's -j, or all cores."""
    if asked := environ.get("CONVKIT_BUILD_JOBS", "").strip():
        if not (asked.isascii() and asked.isdecimal() and int(asked) > 0):
            raise ValueError(
                f"CONVKIT_BUILD_JOBS (={asked!r}) must be a whole number, 1 or more; "
                "unset it for one job per core"
            )
        return int(asked)
    if of_make := re.search(r"(?:^|\s)-j(\d+)", environ.get("MAKEFLAGS", "")):
        return int(of_make[1])
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
