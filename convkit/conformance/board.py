"""What the processes of one run share: which cases are whose, what was spent, where to stop.

The cases of a run are dealt out in slices, in order, through a pipe: whoever is free reads the
number of the next one. A small file that all of them map holds the seconds spent, a row for each
process, and for each check the case after which nothing is run any more.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from convkit.conformance.costs import Key
from convkit.conformance.execute import Job

Slice: TypeAlias = tuple[int, int]
"""The first case, and the one after the last."""
SLICE = 50
"""Cases that a process takes at once."""
MOST_SLICES = 2000
"""As many numbers as a pipe surely holds."""
_NUMBER = struct.Struct("i")
NEVER = np.iinfo(np.int64).max


def slices(jobs: Sequence[Job]) -> list[Slice]:
    """Divide jobs into runs of one check and operation each, none of them long."""
    most = max(SLICE, -(-len(jobs) // MOST_SLICES))
    found: list[Slice] = []
    begin = 0
    for end in range(1, len(jobs) + 1):
        if end == len(jobs) or end - begin == most or _key(jobs[end]) != _key(jobs[begin]):
            found.append((begin, end))
            begin = end
    return found


def _key(job: Job) -> Key:
    return job.check, job.case.op


class Board:
    """The file that the processes of a run map."""

    def __init__(self, jobs: Sequence[Job], workers: int, descriptor: int = -1) -> None:
        self.keys = {key: i for i, key in enumerate(dict.fromkeys(map(_key, jobs)))}
        self.checks = {name: i for i, name in enumerate(dict.fromkeys(j.check for j in jobs))}
        cells = len(self.checks) + len(self.keys) * workers
        self.file: Any = None
        if descriptor < 0:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115 - see close
            self.file.truncate(8 * cells)
            descriptor = self.file.fileno()
        self.descriptor, self.workers = descriptor, workers
        memory = mmap.mmap(descriptor, 8 * cells)
        self._cuts = np.frombuffer(memory, np.int64, len(self.checks))
        spent = np.frombuffer(memory, np.float64, offset=8 * len(self.checks))
        self._spent = spent.reshape(workers, len(self.keys))
        if self.file is not None:
            self._cuts[:] = NEVER

    def close(self) -> None:
        """Close the file, when no more processes will be started that map it."""
        if self.file is not None:
            self.file.close()

    def cut(self, check: str, index: int) -> None:
        """Have no case of a check run that comes after a case."""
        self._cuts[self.checks[check]] = min(index, int(self._cuts[self.checks[check]]))

    def cut_all(self, index: int) -> None:
        """Have no case run that comes after a case."""
        np.minimum(self._cuts, index, out=self._cuts)

    def wanted(self, job: Job, index: int) -> bool:
        """Whether a case is still to be run."""
        return index <= int(self._cuts[self.checks[job.check]])

    def spent(self, worker: int) -> MutableMapping[Key, float]:
        """Return what all processes spent; what is added is noted in the row of one of them."""
        return _Spent(self, worker)


@dataclass
class _Spent(MutableMapping[Key, float]):
    """Seconds by check and operation, of all processes together."""

    board: Board
    worker: int

    def __getitem__(self, key: Key) -> float:
        return float(self.board._spent[:, self.board.keys[key]].sum())

    def __setitem__(self, key: Key, total: float) -> None:
        self.board._spent[self.worker, self.board.keys[key]] += total - self[key]

    def __delitem__(self, key: Key) -> None:
        raise TypeError("what is spent is spent")

    def __iter__(self) -> Iterator[Key]:
        return iter(self.board.keys)

    def __len__(self) -> int:
        return len(self.board.keys)


# --- dealing slices -------------------------------------------------------------------------


def deal(count: int) -> int:
    """Return the end of a pipe from which the numbers below ``count`` are read, each once."""
    read, write = os.pipe()
    os.write(write, b"".join(_NUMBER.pack(i) for i in range(count)))
    os.close(write)
    return read


def dealt(descriptor: int) -> Iterator[int]:
    """Yield the next numbers until there are no more."""
    while number := os.read(descriptor, _NUMBER.size):
        yield _NUMBER.unpack(number)[0]
