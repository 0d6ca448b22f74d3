"""A process that was forked before any call, and runs backward calls of other processes' caches.

It has seen none of the forward calls, so whatever a backend kept of them outside the cache, in a
table of the process or of a thread, is missing there.
"""

from __future__ import annotations

import io
import os
import pickle
import select
import signal
import struct
from typing import Any

from convkit import registry
from convkit.conformance import guard
from convkit.conformance.cases import Case
from convkit.conformance.reference import FloatArray
from convkit.conformance.subject import Failed, Subject
from convkit.registry import Record

_SIZE = struct.Struct("q")


class Helper:
    """The process, which ends with `close`."""

    def __init__(self, subject: Subject) -> None:
        asked, ask = os.pipe()
        answer, answered = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            os.close(ask)
            os.close(answer)
            _serve(subject, asked, answered)
        os.close(asked)
        os.close(answered)
        self.ask, self.answer = ask, answer

    def backward(self, case: Case, dout: FloatArray, cache: Any) -> dict[str, FloatArray] | None:
        """Return the gradients as the process computes them; None where a cache is not portable."""
        try:
            text = _pickled((case, dout, cache))
        except Exception:  # a backend's saved state need not pickle
            return None
        _write(self.ask, text)
        if not select.select([self.answer], [], [], guard.FORK_SECONDS)[0]:
            raise Failed(
                f"backward in another process: no answer within {guard.FORK_SECONDS:g} s "
                f"{guard.A_HANG}"
            )
        said = _read(self.answer)
        if said is None:
            raise Failed("backward in another process ended that process")
        found = pickle.loads(said)
        if isinstance(found, str):
            raise Failed(f"backward in another process: {found}")
        return dict(found)

    def close(self) -> None:
        """End the process."""
        os.close(self.ask)
        os.close(self.answer)
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)


class _Pickler(pickle.Pickler):
    """Leaves out the backend, which a test may have made on the spot: both processes have it."""

    def persistent_id(self, found: Any) -> str | None:
        """Name the registry's record of the backend; all else is pickled."""
        return "the backend" if isinstance(found, Record) else None


class _Unpickler(pickle.Unpickler):
    """Puts this process's backend in."""

    def __init__(self, text: bytes, record: Record) -> None:
        super().__init__(io.BytesIO(text))
        self.record = record

    def persistent_load(self, name: str) -> Record:
        """Return the registry's record of the backend."""
        return self.record


def _pickled(found: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(found)
    return file.getvalue()


def _serve(subject: Subject, asked: int, answered: int) -> None:
    """In the child: answer until nobody asks any more, and leave without any clean-up."""
    try:
        record = registry.load(subject.recorder)
        while (text := _read(asked)) is not None:
            try:
                case, dout, cache = _Unpickler(text, record).load()
                found: Any = subject.backward(case, dout, cache)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            _write(answered, pickle.dumps(found))
    finally:
        os._exit(0)


def _write(descriptor: int, text: bytes) -> None:
    left = memoryview(_SIZE.pack(len(text)) + text)
    while left:
        left = left[os.write(descriptor, left) :]


def _read(descriptor: int) -> bytes | None:
    head = _exactly(descriptor, _SIZE.size)
    return None if head is None else _exactly(descriptor, _SIZE.unpack(head)[0])


def _exactly(descriptor: int, size: int) -> bytes | None:
    chunks: list[bytes] = []
    while size:
        chunk = os.read(descriptor, min(size, 1 << 16))
        if not chunk:
            return None
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)
