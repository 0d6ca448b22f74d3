"""Divide a run among processes, and put what they say in the order of one.

Whatever the number of processes, a report holds the same results in the same order: outcomes wait
for those before them, and where a check or a run is cut short, it is at the same case. A process
that dies is followed by another, which goes on behind the case that ended it. Crashes and hangs
have a budget for the whole run, so that a backend in which everything hangs ends as well.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from convkit.conformance import guard
from convkit.conformance.board import Board, Slice, deal, slices
from convkit.conformance.child import Message, Share
from convkit.conformance.execute import Job, Outcome
from convkit.conformance.report import NOT_RUN

MAX_CRASHES = 3
"""After so many crashes or hangs in one check its later cases count as failed without being run."""
CRASH_SECONDS = 1.0
"""What a crash counts as in the budget: about what starting another process takes."""
LOST = {"quick": 90.0, "default": 240.0, "full": 3600.0}
"""The seconds that a run may lose by crashes and hangs; its later cases count as failed."""

Starter: TypeAlias = Callable[[Share], Generator[Message, None, None]]
Deliver: TypeAlias = Callable[[Job, Outcome], bool]
"""Takes an outcome, in order; returns whether the run is to end."""


@dataclass
class _Place:
    """Where a process is: the case that it runs, or -1, and the last one that it ended."""

    running: int = -1
    last: int = -1


@dataclass
class Pool:
    """The processes of one run, and what is known of its cases."""

    jobs: Sequence[Job]
    workers: int
    lost: float
    """The budget for crashes and hangs, in seconds."""
    deliver: Deliver
    facts: dict[str, Any] | None = None
    stopped: str = ""
    """Why the run ended early; empty where it did not."""
    _ended: bool = False
    _next: int = 0
    _died: dict[int, float] = field(default_factory=dict)
    """What each case that crashed or hung cost, in seconds of the budget."""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        """Nothing is done yet."""
        self.workers = max(1, min(self.workers, len(slices(self.jobs))))
        self._board = Board(self.jobs, self.workers)
        self._outcomes: list[Outcome | None] = [None] * len(self.jobs)

    def run(self, start: Starter) -> None:
        """Run all jobs in processes that ``start`` starts. A pool runs once."""
        with closing(self._board):
            while not self._ended and (left := self._left()):
                descriptor = deal(len(left))
                try:
                    if self.workers == 1:
                        self._work(start, left, descriptor, 0)
                    else:
                        self._together(start, left, descriptor)
                finally:
                    os.close(descriptor)

    def _together(self, start: Starter, left: list[Slice], descriptor: int) -> None:
        with ThreadPoolExecutor(self.workers) as threads:
            try:
                work = [
                    threads.submit(self._work, start, left, descriptor, number)
                    for number in range(self.workers)
                ]
                for done in work:
                    done.result()
            except BaseException:
                self._ended = True
                raise

    def _left(self) -> list[Slice]:
        """Return what is still to be run; after the first round, what nobody went on with."""
        if self._next == 0 and not any(self._outcomes):
            return slices(self.jobs)
        wanted = [
            i for i in range(self._next, len(self.jobs))
            if self._outcomes[i] is None and self._board.wanted(self.jobs[i], i)
        ]  # fmt: skip
        return [(i, i + 1) for i in wanted]

    def _work(self, start: Starter, left: list[Slice], descriptor: int, number: int) -> None:
        """Follow one process after another, until there is nothing left to take."""
        first: Slice | None = (0, 0)
        while first is not None and not self._ended:
            place = _Place()
            share = Share(left, descriptor, self._board.descriptor, number, self.workers, first)
            first = None
            with closing(start(share)) as messages:
                for message in messages:
                    with self._lock:
                        if message.kind == "died":
                            first = self._buried(message, place, left)
                        else:
                            self._take(message, place)
                    if self._ended:
                        return

    def _take(self, message: Message, place: _Place) -> None:
        if message.kind == "facts":
            self.facts = message.facts
        elif message.kind == "start":
            place.running = message.index
        elif message.kind == "done":
            place.running, place.last = -1, message.index
            self._note(message.index, message.outcome)
        elif message.kind == "error":
            self._stop(message.outcome.message)

    def _buried(self, message: Message, place: _Place, left: list[Slice]) -> Slice | None:
        """Note that a process died; return what the next one is to go on with."""
        index = place.running
        if index < 0 and place.last >= 0:  # between two cases
            index = place.last + 1
        end = _end_of_slice(left, index - 1 if place.running < 0 else index)
        if index < 0 or index >= end:
            self._stop(f"a process of the run {message.outcome.message}")
            return None
        self._note(index, message.outcome, died=True)
        return index + 1, end

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or why
        self._ended = True

    def _note(self, index: int, outcome: Outcome, died: bool = False) -> None:
        """Keep an outcome, draw the line where it cuts the run, and deliver what is in order."""
        self._outcomes[index] = outcome
        hung = outcome.status == "fail" and guard.A_HANG in outcome.message
        if died or hung:
            self._died[index] = outcome.seconds if hung else CRASH_SECONDS
            self._cut(self.jobs[index].check)
        while not self._ended and self._next < len(self.jobs):
            job = self.jobs[self._next]
            found = self._outcomes[self._next]
            if not self._board.wanted(job, self._next):
                found = Outcome("fail", self._why_not_run(job))
            if found is None:
                break
            self._next += 1
            self._ended = self._ended or self.deliver(job, found)

    def _cut(self, check: str) -> None:
        """Set how far a check and the run go: by the cases in order, not by when they came."""
        counted: Counter[str] = Counter()
        spent = 0.0
        for index in sorted(self._died):
            name = self.jobs[index].check
            counted[name] += 1
            if counted[name] > MAX_CRASHES:  # one process would not have come here
                continue
            if name == check and counted[name] == MAX_CRASHES:
                self._board.cut(check, index)
            spent += self._died[index]
            if spent >= self.lost:
                self._board.cut_all(index)
                break

    def _why_not_run(self, job: Job) -> str:
        before = sum(1 for i in self._died if i < self._next and self.jobs[i].check == job.check)
        if before >= MAX_CRASHES:
            return f"{NOT_RUN}{job.check} crashed or hung {MAX_CRASHES} times"
        return f"{NOT_RUN}the {self.lost:g} s that a run may lose by crashes and hangs are spent"


def _end_of_slice(left: Sequence[Slice], index: int) -> int:
    at = bisect_right(left, index, key=lambda piece: piece[0]) - 1
    return left[at][1] if at >= 0 else -1
