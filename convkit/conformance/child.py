"""A child process that runs jobs and reports each on a pipe, so that a crash is a result.

A backend given by name is loaded in a fresh interpreter (``python -m convkit.conformance.worker``),
one given as an object is taken along by a fork. Either way memory is perturbed there, every
job has a time limit, and whatever ends the child is reported for the job that was running, with
what it last wrote to its standard error; all else it wrote there is passed on when it has ended.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

from convkit.conformance import guard
from convkit.conformance.checks import CHECKS
from convkit.conformance.execute import Job, Outcome, execute
from convkit.conformance.subject import Subject

START_SECONDS = 120.0
LAST_WORDS = 1200
"""How many characters of a dying child's standard error go into its failure."""


@dataclass(frozen=True)
class Message:
    """What a child says: facts, start, done, error; or that it died."""

    kind: str
    index: int = -1
    outcome: Outcome = field(default_factory=lambda: Outcome("pass"))
    facts: dict[str, Any] = field(default_factory=dict)


def serve(
    subject: Subject,
    jobs: Sequence[Job],
    costs: dict[Any, Any],
    write: Callable[[dict[str, Any]], None],
) -> None:
    """Run jobs in order and write a line before and after each."""
    guard.perturb_allocations()
    for index, job in enumerate(jobs):
        write({"kind": "start", "index": index, "said": os.fstat(2).st_size})
        outcome = execute(subject, job, costs)
        write({"kind": "done", "index": index, "outcome": asdict(outcome)})


# --- starting one ---------------------------------------------------------------------------


def forked(
    subject: Subject, jobs: Sequence[Job], costs: dict[Any, Any]
) -> Generator[Message, None, None]:
    """Run jobs in a fork of this process."""
    if not hasattr(os, "fork"):
        for index, _ in enumerate(jobs):
            text = "this platform has no fork; name the backend as module:object"
            yield Message("done", index, Outcome("n/a", text))
        return
    read, write = os.pipe()
    errors = _Errors()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.dup2(errors.file.fileno(), 2)
        if faulthandler.is_enabled():  # to a copy of the terminal, where pytest switched it on
            faulthandler.enable(2)
        _serve_and_exit(write, lambda say: serve(subject, jobs, costs, say))
    os.close(write)
    yield from _follow(read, child, jobs, errors)


def spawned(
    origin: str, jobs: Sequence[Job], costs: dict[Any, Any]
) -> Generator[Message, None, None]:
    """Run jobs in a fresh interpreter, which loads the backend by its name."""
    read, write = os.pipe()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-m", "convkit.conformance.worker", str(write)]
    errors = _Errors()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=errors.file, pass_fds=(write,), env=environment,
        start_new_session=True,
    )  # fmt: skip
    os.close(write)
    assert process.stdin is not None
    try:
        process.stdin.write(pickle.dumps((origin, list(jobs), costs)))
        process.stdin.close()
    except BrokenPipeError:
        pass  # it died at once; the pipe tells
    yield from _follow(read, process.pid, jobs, errors, process)


def _serve_and_exit(write: int, work: Callable[[Callable[[dict[str, Any]], None]], None]) -> None:
    """In the child: run, writing lines of JSON, and leave without any clean-up."""
    with os.fdopen(write, "wb", buffering=0) as pipe:
        status = 1
        try:
            work(lambda message: _send(pipe, message))
            status = 0
        except KeyboardInterrupt:
            pass
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            _send(pipe, {"kind": "error", "outcome": asdict(Outcome("fail", text))})
        finally:
            sys.stdout.flush()
            os._exit(status)


def _send(pipe: Any, message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message).encode() + b"\n")


# --- following one --------------------------------------------------------------------------


class _Errors:
    """A child's standard error in a file, so that a crash's last words are part of its failure."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self.mark = 0
        """How much there was when the running job began, as the child says."""

    def last_words(self) -> str:
        """Return, and take away, what the running job wrote; cut where it is long."""
        said = os.pread(self.file.fileno(), 1 << 20, self.mark).decode(errors="replace")
        os.truncate(self.file.fileno(), self.mark)
        words = " ".join(said.split())
        return f"; it wrote: {words[:LAST_WORDS]}" if words else ""

    def end(self) -> None:
        """Pass on what belongs to no failure."""
        self.file.seek(0)
        sys.stderr.write(self.file.read().decode(errors="replace"))
        self.file.close()


def _follow(
    read: int,
    pid: int,
    jobs: Sequence[Job],
    errors: _Errors,
    process: subprocess.Popen[bytes] | None = None,
) -> Generator[Message, None, None]:
    """Yield what a child says, and at last that it died where it left jobs undone."""
    running, finished, ended = [-1], 0, False
    try:
        with os.fdopen(read, "rb", buffering=0) as pipe:
            for line in _lines(pipe, lambda: _limit(jobs, running[0])):
                said = json.loads(line)
                outcome = Outcome(**said.get("outcome", {"status": "pass"}))
                message = Message(
                    said["kind"], said.get("index", -1), outcome, said.get("facts", {})
                )
                running[0] = message.index if message.kind == "start" else -1
                errors.mark = said.get("said", errors.mark)
                finished += message.kind == "done"
                ended = ended or message.kind == "error"
                yield message
        if finished < len(jobs) and not ended:
            died = _reap(pid, process)
            yield Message("died", running[0], Outcome("fail", died + errors.last_words()))
    except TimeoutError as error:
        died = f"no answer within {error} s (a hang)"
        yield Message("died", running[0], Outcome("fail", died + errors.last_words()))
    finally:
        _end(pid, process)
        errors.end()


def _limit(jobs: Sequence[Job], running: int) -> float:
    if running < 0:
        return START_SECONDS
    check = CHECKS[jobs[running].check]
    return guard.HANG_SECONDS if check.isolated else check.seconds


def _lines(pipe: BinaryIO, limit: Callable[[], float]) -> Iterator[bytes]:
    """Yield lines as they come; raise TimeoutError when one takes longer than ``limit()``."""
    pending = b""
    while True:
        seconds = limit()
        until = time.monotonic() + seconds
        while b"\n" not in pending:
            left = until - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise TimeoutError(f"{seconds:g}")
            chunk = pipe.read(65_536)
            if not chunk:
                return
            pending += chunk
        line, _, pending = pending.partition(b"\n")
        yield line


def _reap(pid: int, process: subprocess.Popen[bytes] | None) -> str:
    """Wait for a child whose pipe is closed and say how it ended."""
    code = (
        process.wait() if process is not None else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    )
    if code < 0:
        return f"crashed with {signal.Signals(-code).name}"
    return f"ended the process with exit status {code}"


def _end(pid: int, process: subprocess.Popen[bytes] | None) -> None:
    """Make sure that a child is gone."""
    try:
        if process is not None:  # with the children it forked: they hold its output open
            os.killpg(pid, signal.SIGKILL)
            process.wait()
        else:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def main(descriptor: str) -> None:
    """The fresh interpreter's side: load the backend that standard input names, and run."""
    from convkit import registry

    def work(say: Callable[[dict[str, Any]], None]) -> None:
        origin, jobs, costs = pickle.load(sys.stdin.buffer)
        subject = Subject(registry.load(origin).backend)
        say({"kind": "facts", "facts": subject.facts()})
        serve(subject, jobs, costs, say)

    _serve_and_exit(int(descriptor), work)
