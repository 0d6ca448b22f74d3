"""A search of the space until time is up: ``convkit conformance NAME --for 10m``.

Problems are drawn from each operation's spaces, guided to combinations that were not met yet, and
put to the check ``space`` in child processes, so that a crash is a failure like any other. What
fails is shrunk to the smallest problem that still fails. With a state file the search goes on
where it was left.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from convkit import registry
from convkit.conformance.cases import Case
from convkit.conformance.child import Work, spawned
from convkit.conformance.covering import Cover, Point, Space, draw
from convkit.conformance.entries import ENTRIES
from convkit.conformance.execute import Job, Outcome
from convkit.conformance.report import Result
from convkit.errors import ConvkitError, ParameterError

BATCH = 200
MOST = 4_000_000
"""The largest cost of a problem, in multiply-adds of a forward pass."""
CANDIDATES = 3
ROUNDS = 10
"""How often a failing problem is made smaller, each time by the best of all single steps."""
SHRUNK = 5
"""How many failures of an operation are shrunk and shown; others are most likely the same bug."""

_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """Return the seconds that ``90``, ``90s``, ``10m`` or ``2h`` stands for."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not found or float(found[1]) <= 0:
        raise ParameterError(f"for (={text!r}) must be a time above 0, as 90s, 10m or 2h")
    return float(found[1]) * _UNITS[found[2] or "s"]


@dataclass(frozen=True)
class Drawn:
    """A problem with what it was built from."""

    op: str
    space: Space
    point: Point
    case: Case

    @property
    def job(self) -> Job:
        """The check of the space on it."""
        return Job("space", self.case)


@dataclass
class Search:
    """A search in progress: what was asked, what failed, and which combinations were met."""

    backend: str
    seed: int
    ops: tuple[str, ...]
    batches: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Result] = field(default_factory=list)
    seconds: float = 0.0
    covers: dict[tuple[str, str], Cover] = field(default_factory=dict)

    def cover(self, op: str, space: Space) -> Cover:
        """Return which combinations of a space were met so far."""
        return self.covers.setdefault((op, space.name), Cover(space))

    @property
    def asked(self) -> int:
        """How many problems were computed, right or wrong."""
        return self.counts["pass"] + self.counts["fail"]

    def met(self) -> Iterator[tuple[str, str, int, int]]:
        """Return (operation, space, combinations met, all of them)."""
        for (op, name), cover in self.covers.items():
            missing = sum(len(m) for m in cover.missing.values())
            total = sum(len(set(cover.space.combinations(n))) for n in cover.space.tuples)
            yield op, name, total - missing, total

    def text(self) -> str:
        """The summary: how much was asked, which share was met, and each failure."""
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.most_common())
        lines = [f"{self.backend}, seed {self.seed}: {self.asked} problems asked ({counts})"]
        for op, name, met, total in self.met():
            lines.append(f"{op:16}{name:20}{met:8} of {total} combinations ({met / total:.1%})")
        for r in self.failures:
            lines += [f"FAIL {r.op}: {r.message}", f"     {r.reproduce(self.backend)}"]
        word = "nothing found"
        if self.failures:
            word = f"{self.counts['fail']} failed, {len(self.failures)} of them shown, shrunk"
        return "\n".join([*lines, f"{word}; {self.seconds:.0f} s"])


def search(
    backend: str,
    seconds: float,
    *,
    seed: int = 0,
    ops: Sequence[str] = (),
    state: Path | None = None,
    jobs: int = 1,
    maxfail: int = 0,
    progress: Callable[[Search], None] | None = None,
) -> Search:
    """Search for problems that a backend gets wrong, for so many seconds.

    ``backend`` is a name or ``module:object``; ``state`` a file of JSON lines that the search is
    noted in and goes on from. Raises ParameterError for an operation that is none, or a state file
    of another search, and BackendNotFoundError.
    """
    for wanted in ops:
        if wanted not in ENTRIES:
            raise ParameterError(f"op (={wanted!r}) must be one of {', '.join(ENTRIES)}")
    registry.find(backend)
    found = _resumed(state, Search(backend, seed, tuple(ops) or tuple(ENTRIES)))
    began, before = time.monotonic(), found.seconds

    def left() -> bool:
        enough = 0 < maxfail <= len(found.failures)
        return time.monotonic() - began < seconds and not enough

    with ThreadPoolExecutor(jobs) as pool:
        while left():
            batches = [_batch(found) for _ in range(jobs)]
            for outcomes in pool.map(_asker(backend), batches):
                _take(found, outcomes, state, maxfail)
            found.seconds = before + time.monotonic() - began
            _note(state, {"kind": "batches", "done": found.batches, "counts": found.counts,
                          "seconds": round(found.seconds, 1)})  # fmt: skip
            if progress is not None:
                progress(found)
    return found


# --- drawing --------------------------------------------------------------------------------


def _batch(found: Search) -> list[Drawn]:
    """Draw the next problems, an operation each in turn."""
    rng = random.Random(f"search {found.seed} {found.batches}")
    found.batches += 1
    drawn: list[Drawn] = []
    while len(drawn) < BATCH:
        op = found.ops[len(drawn) % len(found.ops)]
        space = rng.choice(ENTRIES[op].spaces)
        cover = found.cover(op, space)
        best = max(_candidates(op, space, rng), key=lambda d: cover.gain(space.seen(d.point)))
        cover.take(space.seen(best.point))
        drawn.append(best)
    return drawn


def _candidates(op: str, space: Space, rng: random.Random) -> list[Drawn]:
    found: list[Drawn] = []
    while len(found) < CANDIDATES:
        made = _made(op, space, draw(space, rng, {}, lean=rng.choice((1, 1, 2, 4))), rng)
        if made is not None:
            found.append(made)
    return found


def _made(op: str, space: Space, point: Point, rng: random.Random | None, seed: int = 0) -> Any:
    """Return the problem of a point; None where there is none, or it costs too much."""
    geometry = space.build(point)
    if geometry is None or space.cost(geometry) > MOST:
        return None
    seed = rng.randrange(1 << 30) if rng else seed
    extra = (("threads", point["threads"]),)
    case = Case(op, tuple(geometry.items()), point["dtype"], "exact", seed, extra, "search")
    try:
        _ = case.specs
    except ConvkitError:
        return None
    return Drawn(op, space, point, case)


# --- asking ---------------------------------------------------------------------------------


def _asker(backend: str) -> Callable[[list[Drawn]], list[tuple[Drawn, Outcome]]]:
    return lambda batch: list(ask(backend, batch))


def ask(backend: str, batch: Sequence[Drawn]) -> Iterator[tuple[Drawn, Outcome]]:
    """Put problems to a backend in a child process; one that dies is followed by another."""
    left = list(batch)
    while left:
        running, done = 0, len(left)
        for message in spawned(backend, Work([d.job for d in left])):
            if message.kind == "start":
                running = message.index
            elif message.kind == "done":
                yield left[message.index], message.outcome
            elif message.kind == "died":
                yield left[running], message.outcome
                done = running + 1
            elif message.kind == "error":
                raise ParameterError(message.outcome.message)
        left = left[done:]


def _take(
    found: Search,
    outcomes: Iterable[tuple[Drawn, Outcome]],
    state: Path | None,
    maxfail: int,
) -> None:
    """Count the outcomes of a batch; shrink what failed, unless enough of it is known."""
    for drawn, outcome in outcomes:
        found.counts[outcome.status] += 1
        if outcome.status != "fail":
            continue
        enough = 0 < maxfail <= len(found.failures)
        if enough or sum(r.op == drawn.op for r in found.failures) >= SHRUNK:
            continue
        drawn, outcome = shrink(found.backend, drawn, outcome)
        result = Result("space", drawn.op, "search", drawn.case.dtype, str(drawn.case), "fail",
                        outcome.message, outcome.seconds)  # fmt: skip
        if all(r.case != result.case for r in found.failures):
            found.failures.append(result)
            _note(state, {"kind": "failure", "result": asdict(result)})


def shrink(backend: str, drawn: Drawn, outcome: Outcome) -> tuple[Drawn, Outcome]:
    """Return the smallest problem found that fails as well, and its outcome."""
    for _ in range(ROUNDS):
        smaller = _smaller(drawn)
        failing = [(d, o) for d, o in ask(backend, smaller) if o.status == "fail"]
        if not failing:
            break
        drawn, outcome = min(failing, key=lambda pair: _size(pair[0]))
    return drawn, outcome


def _smaller(drawn: Drawn) -> list[Drawn]:
    """Return the problems that have one feature nearer to its first, and cheapest, value."""
    found = []
    for name, values in drawn.space.features.items():
        at = values.index(drawn.point[name])
        for nearer in sorted({0, at // 4, at // 2, at * 3 // 4, at - 1} - {at, -1}):
            point = drawn.point | {name: values[nearer]}
            made = _made(drawn.op, drawn.space, point, None, drawn.case.seed)
            if made is not None and _size(made) < _size(drawn):
                found.append(made)
    return found


def _size(drawn: Drawn) -> tuple[int, int]:
    values = drawn.space.features
    steps = sum(values[name].index(value) for name, value in drawn.point.items())
    return drawn.case.work, steps


# --- the state file -------------------------------------------------------------------------


def _note(state: Path | None, line: dict[str, Any]) -> None:
    if state is not None:
        with state.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _resumed(state: Path | None, fresh: Search) -> Search:
    """Return the search that a state file holds, or a fresh one, noted in it.

    The problems drawn go on where they ended. Which combinations were met is counted anew.
    """
    head = {"kind": "search", "backend": fresh.backend, "seed": fresh.seed, "ops": list(fresh.ops)}
    if state is None or not state.exists():
        _note(state, head)
        return fresh
    lines = [json.loads(line) for line in state.read_text(encoding="utf-8").splitlines()]
    if lines[:1] != [head]:
        raise ParameterError(f"state (={str(state)!r}) is of another search; give another file")
    for line in lines[1:]:
        if line["kind"] == "batches":
            fresh.batches, fresh.seconds = line["done"], line["seconds"]
            fresh.counts = Counter(line["counts"])
        else:
            fresh.failures.append(Result(**line["result"]))
    return fresh
