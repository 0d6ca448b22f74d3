"""Score the suite on a set of mutants: which ones one level finds, each to its first failure.

Each mutant runs in a fork of its own, so that one that crashes or hangs takes nothing along: the
suite runs it in a child process again where its entry says so. Rows go to a log as they are done,
and a run with that log goes on from them.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from conformance_mutants import SETS
from conformance_mutants.judge import judge
from convkit.conformance import CHECKS
from convkit.conformance.entries import ENTRIES
from convkit.conformance.problems import chosen

SECONDS = 1800.0
"""How long the suite may take for one mutant before it is ended, and the mutant counts as alive."""

FIRST = ["space", "large"]
"""The checks that are asked first, because they are quick and find most."""

Row = dict[str, Any]


def score(
    names: Iterable[str],
    level: str,
    jobs: int,
    log: Path | None,
    seed: int = 0,
    ops: Sequence[str] = (),
) -> None:
    """Judge mutants at a level, by some operations or all, and add a row for each to the log."""
    for op in ops or ENTRIES:
        chosen(op, level, seed)  # drawn once, and shared with every fork
    context = multiprocessing.get_context("fork")
    waiting, running = list(names), {}
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.pop(0)
            receive, send = context.Pipe(duplex=False)
            process = context.Process(target=_one, args=(send, name, level, seed, ops))
            process.start()
            send.close()
            running[receive] = (name, process, time.monotonic())
        ready = wait(list(running), timeout=5)
        late = [r for r, (_, _, began) in running.items() if time.monotonic() - began > SECONDS]
        for receive in (*ready, *(r for r in late if r not in ready)):
            name, process, began = running.pop(receive)
            row = {"name": name, "level": level, "seconds": round(time.monotonic() - began, 1)}
            _note(row | _answer(receive, process, late=receive in late), log)


def _one(send: Any, name: str, level: str, seed: int, ops: Sequence[str]) -> None:
    others = [check for check in CHECKS if check not in FIRST]
    asked = [op for op in likely(name) if not ops or op in ops]
    for checks, op in [(c, op) for c in (FIRST, others) for op in asked]:
        verdict = judge(name, level, maxfail=1, seed=seed, checks=checks, ops=[op])
        if verdict.killed:
            break
    send.send({"found_by": list(verdict.found_by), "words": verdict.words[:300]})


def likely(name: str) -> list[str]:
    """Return all operations, those first that the words about a mutant speak of.

    The order changes what is found by nothing, but where it is soon.
    """
    mutant = next(mutants[name] for mutants in SETS.values() if name in mutants)
    words = f"{name} {mutant.kind} {mutant.bug}".lower()
    said = {op: op in words for op in ENTRIES}
    said |= {
        "avg_pool": "averag" in words or "count_include" in words,
        "max_pool": "max" in words or "pool" in words,
        "conv_relu_pool": "fused" in words or "relu" in words,
        "conv_transpose": "transposed" in words,
        "conv": not any(op in words for op in ("batch_norm", "group_norm", "transposed")),
    }
    own = "conv_transpose" if name.startswith("transposed") else name
    return sorted(
        ENTRIES, key=lambda op: (-len(op) if own.startswith(op) else 0, not said.get(op, False))
    )


def _answer(receive: Any, process: Any, *, late: bool) -> Row:
    try:
        found: Row = receive.recv() if not late else {"found_by": [], "words": "not done in time"}
    except EOFError:  # it ended the suite's own process: found, though not as it should be
        process.join()
        found = {"found_by": ["(ended the process)"], "words": f"exit code {process.exitcode}"}
    process.kill()
    process.join()
    return found


def _note(row: Row, log: Path | None) -> None:
    if log:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    found = ", ".join(row["found_by"]) or "ALIVE"
    print(f"{row['name']}: {found} ({row['seconds']} s) {row['words'][:120]}", flush=True)


def logged(log: Path | None, level: str) -> dict[str, Row]:
    """Return what a log has of a level, by name."""
    if log is None or not log.exists():
        return {}
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return {row["name"]: row for row in rows if row["level"] == level}


def table(mutants: str, rows: Mapping[str, Row], write: Callable[[str], Any] = print) -> None:
    """Print how many of a set were found, by kind."""
    total, killed = Counter(), Counter()
    for name, mutant in SETS[mutants].items():
        if name in rows:
            total[mutant.kind] += 1
            killed[mutant.kind] += bool(rows[name]["found_by"])
    for kind, count in total.items():
        write(f"{kind:20}{killed[kind]:4} of {count}")
    everything = sum(total.values())
    share = sum(killed.values()) / max(1, everything)
    write(f"{'total':20}{sum(killed.values()):4} of {everything} ({share:.1%})")
    write(f"alive: {', '.join(n for n, r in rows.items() if not r['found_by']) or 'none'}")
