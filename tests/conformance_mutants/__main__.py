"""``python -m conformance_mutants`` (with ``tests`` on PYTHONPATH): judge every mutant.

Writes the report, and its summary into the user's guide; exits 1 where a mutant lives.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from conformance_mutants import MUTANTS, SETS, score, table
from conformance_mutants.judge import ALIVE, Row, complete, first

DOCS = Path(__file__).resolve().parents[2] / "docs"


def known(log: Path | None) -> dict[str, Row]:
    """Return the rows an earlier run left in its log; the last of a name counts."""
    if log is None or not log.exists():
        return {}
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    rows = {d["name"]: Row(**{**d, "found_by": tuple(d["found_by"])}) for d in lines}
    return {name: r for name, r in rows.items() if name in MUTANTS}


def ask(work: Callable[[Any], Row], what: Sequence[Any], jobs: int, log: Path | None) -> list[Row]:
    """Judge mutants, each noted in the log as soon as it is done."""
    rows = []
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(work, one) for one in what]):
            rows.append(done.result())
            if log:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(rows[-1])) + "\n")
            print(f"{len(rows)}/{len(what)} {rows[-1]}", flush=True)
    return rows


def unfinished(row: Row) -> bool:
    """Whether the other checks are to be asked too."""
    return row.level == "quick" and not row.complete and not MUTANTS[row.name].child


def main() -> None:
    """Judge every mutant and write the report."""
    parser = argparse.ArgumentParser(prog="conformance_mutants", description=main.__doc__)
    parser.add_argument("--report", type=Path, default=DOCS / "conformance-mutants.md")
    parser.add_argument("--guide", type=Path, default=DOCS / "conformance.md")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--log", type=Path, help="keep rows here, and go on from those it has")
    parser.add_argument("--write", action="store_true", help="write what the log has, run nothing")
    parser.add_argument("--set", choices=SETS, help="score a set at --level, and write no report")
    parser.add_argument("--level", choices=("quick", "default"), default="quick")
    parser.add_argument("--only", nargs="*", help="with --set: these mutants alone")
    parser.add_argument("--ops", nargs="*", default=(), help="with --set: ask of these alone")
    options = parser.parse_args()
    if options.set:
        names = options.only or list(SETS[options.set])
        done = score.logged(options.log, options.level)
        left = [name for name in names if name not in done]
        score.score(left, options.level, options.jobs, options.log, ops=options.ops)
        score.table(options.set, score.logged(options.log, options.level))
        return
    rows = known(options.log)
    if not options.write:
        order = sorted(MUTANTS, key=lambda n: MUTANTS[n].child)
        left = [name for name in order if name not in rows]
        rows |= {r.name: r for r in ask(first, left, options.jobs, options.log)}
        open_rows = [r for r in rows.values() if unfinished(r)]
        rows |= {r.name: r for r in ask(complete, open_rows, options.jobs, options.log)}
    options.report.write_text(table.markdown(rows), encoding="utf-8")
    guide = options.guide.read_text(encoding="utf-8")
    options.guide.write_text(table.put_between(guide, table.guide_part(rows)), encoding="utf-8")
    alive = [name for name, r in rows.items() if r.level == ALIVE]
    if alive:
        sys.exit(f"alive: {', '.join(alive)}")


if __name__ == "__main__":
    main()
