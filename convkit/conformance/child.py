"""A child process that runs jobs and reports each on a pipe, so that a crash is a result.

A backend given by name is loaded in a fresh interpreter (``python -m convkit.conformance.worker``),
one given as an object is taken along by a fork. Either way memory is perturbed there, every
job has a time limit, and whatever ends the child is reported for the job that was running, with
what it last wrote to its standard error; all else it wrote there is passed on when it has ended.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import itertools
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
from convkit.conformance.board import Board, Slice, dealt
from convkit.conformance.checks import CHECKS
from convkit.conformance.costs import Costs
from convkit.conformance.execute import Job, Outcome, execute
from convkit.conformance.planes import DRAWN
from convkit.conformance.subject import Subject

START_SECONDS = 120.0
SECONDS = {"quick": 30.0, "default": 60.0, "full": 60.0}
"""How long a case may take at each level before it counts as a hang, where its check sets none."""
LAST_WORDS = 1200
"""How many characters of a dying child's standard error go into its failure."""


@dataclass(frozen=True)
class Message:
    """What a child says: facts, start, done, error, end; or that it died."""

    kind: str
    index: int = -1
    outcome: Outcome = field(default_factory=lambda: Outcome("pass"))
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Share:
    """A process's share of a run that others take part in; see `convkit.conformance.board`.

    Attributes
    ----------
    slices:
        The cases of the run in pieces, whose numbers are read from ``dealt``.
    dealt, board:
        Descriptors, which the process inherits.
    number, workers:
        Which of how many processes it is.
    first:
        What it begins with: what the process before it left undone.
    """

    slices: Sequence[Slice]
    dealt: int
    board: int
    number: int
    workers: int
    first: Slice

    def order(self, board: Board, jobs: Sequence[Job]) -> Iterator[int]:
        """Yield the cases to run, as long as there are any."""
        taken = (self.slices[number] for number in dealt(self.dealt))
        for piece in itertools.chain((self.first,), taken):
            for index in range(*piece):
                if board.wanted(jobs[index], index):
                    yield index


@dataclass(frozen=True)
class Work:
    """What a child is to do: all of some jobs in order, or its share of them."""

    jobs: Sequence[Job]
    level: str = "full"
    share: Share | None = None

    def serve(self, subject: Subject, write: Callable[[dict[str, Any]], None]) -> None:
        """Run jobs and write a line before and after each."""
        guard.perturb_allocations()
        drawn, known = 0, subject.facts()["expected_failures"]
        costs, order = Costs.of(self.level), iter(range(len(self.jobs)))
        if self.share is not None:
            board = Board(self.jobs, self.share.workers, self.share.board)
            costs.spent = board.spent(self.share.number)
            order = self.share.order(board, self.jobs)
        for index in order:
            write({"kind": "start", "index": index, "said": os.fstat(2).st_size})
            outcome = execute(subject, self.jobs[index], costs)
            if outcome.plane is not None and self.jobs[index].declared(known) is None:
                # A process takes its cases in order: the run's first failures are among its first.
                drawn += 1
                if drawn > DRAWN:
                    outcome = dataclasses.replace(outcome, plane=None)
            write({"kind": "done", "index": index, "outcome": asdict(outcome)})
        write({"kind": "end"})

    def seconds(self, index: int) -> float:
        """How long a case may take; -1 is the start."""
        if index < 0:
            return START_SECONDS
        check = CHECKS[self.jobs[index].check]
        usual = guard.HANG_SECONDS if check.isolated else SECONDS[self.level]
        return check.seconds or usual

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a child inherits."""
        return () if self.share is None else (self.share.dealt, self.share.board)


# --- starting one ---------------------------------------------------------------------------


def forked(subject: Subject, work: Work) -> Generator[Message, None, None]:
    """Run jobs in a fork of this process."""
    if not hasattr(os, "fork"):
        for index, _ in enumerate(work.jobs):
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
        _serve_and_exit(write, lambda say: work.serve(subject, say))
    os.close(write)
    yield from _follow(read, child, work, errors)


def spawned(origin: str, work: Work) -> Generator[Message, None, None]:
    """Run jobs in a fresh interpreter, which loads the backend by its name."""
    read, write = os.pipe()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-m", "convkit.conformance.worker", str(write)]
    errors = _Errors()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=errors.file, env=environment,
        pass_fds=(write, *work.descriptors), start_new_session=True,
    )  # fmt: skip
    os.close(write)
    assert process.stdin is not None
    try:
        process.stdin.write(pickle.dumps((origin, work)))
        process.stdin.close()
    except BrokenPipeError:
        pass  # it died at once; the pipe tells
    yield from _follow(read, process.pid, work, errors, process)


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
    work: Work,
    errors: _Errors,
    process: subprocess.Popen[bytes] | None = None,
) -> Generator[Message, None, None]:
    """Yield what a child says, and at last that it died where it did not come to its end.

    Where that was before it had loaded the backend, it is an error of the run.
    """
    running, loaded, ended = [-1], process is None, False
    died = None
    try:
        with os.fdopen(read, "rb", buffering=0) as pipe:
            for line in _lines(pipe, lambda: work.seconds(running[0])):
                said = json.loads(line)
                outcome = Outcome.of(said.get("outcome", {"status": "pass"}))
                message = Message(
                    said["kind"], said.get("index", -1), outcome, said.get("facts", {})
                )
                running[0] = message.index if message.kind == "start" else -1
                errors.mark = said.get("said", errors.mark)
                loaded = loaded or message.kind == "facts"
                ended = ended or message.kind in ("end", "error")
                yield message
        if not ended:
            died = Outcome("fail", _reap(pid, process) + errors.last_words())
    except TimeoutError as error:
        text = f"no answer within {error} s {guard.A_HANG}" + errors.last_words()
        died = Outcome("fail", text, work.seconds(running[0]))
    finally:
        _end(pid, process)
        errors.end()
    if died is not None and loaded:
        yield Message("died", running[0], died)
    elif died is not None:
        text = f"while the backend was being loaded: {died.message}"
        yield Message("error", outcome=dataclasses.replace(died, message=text))


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
        origin, share = pickle.load(sys.stdin.buffer)
        subject = Subject(registry.load(origin).backend)
        say({"kind": "facts", "facts": subject.facts()})
        share.serve(subject, say)

    _serve_and_exit(int(descriptor), work)
