#!/usr/bin/env python3
"""Mutate the C sources of the compiled backend, and ask the conformance suite to notice.

    tools/mutate_kernels.py --folder build/mutants --sample 300 --limit 100
    tools/mutate_kernels.py --show winograd/transform_tpl.h:weight_tile:bound:1

The sampled mutants are compiled once, in a copy of the working tree and for one instruction set;
CONVKIT_MUTANT chooses one when the library is loaded. First the operations say which mutants they
reach (and that none is active unless asked for); then each mutant is put to the value checks, the
quick and the default level of the operations that reach it, until something fails. A crash or a run
that takes ten times as long counts as found. FOLDER/log.jsonl has a line for each mutant that was
asked about, and the next call goes on from it; what lies in FOLDER is not compiled again.
tools/kernel_sites.py says what is mutated and what is left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import kernel_copy
from kernel_schemata import DECLARED, DEFINED, mutated, schemata
from kernel_sites import Site, read_sites, sample

#: What a mutant is put to, one after the other. The first is the part of the quick level at which
#: most mutants give wrong results at once.
LEVELS = {
    "first": [
        "--quick",
        *("--check", "forward-exact", "--check", "backward-exact"),
        "--check",
        "real",
    ],
    "quick": ["--quick"],
    "default": ["--default"],
}
#: Of each operation, in seconds; the limit of a mutant's run is this and ten times its clean run.
LEAST_LIMIT = 60.0
#: Winograd's convolution is in a backend of its own, which only convolves by other kernels.
FAST_OPERATIONS = ("conv", "conv_relu", "conv_relu_pool", "conv_transpose")
Target = tuple[str, str]


class Mutants:
    """A folder with the copy, its mutants and the log."""

    def __init__(self, folder: Path, sampled: int, seed: int) -> None:
        self.folder, self.copy = folder.absolute(), folder.absolute() / "tree"
        self.log = self.folder / "log.jsonl"
        self.ordered = sample(read_sites(kernel_copy.TOP / kernel_copy.SOURCES), seed)
        self.wanted = {"sample": sampled, "seed": seed}
        self.sites: dict[int, Site] = {}
        self.dropped: list[str] = []

    def prepare(self) -> None:
        """Make and compile the copy, or find it made."""
        listed = self.folder / "sites.json"
        if listed.exists():
            found = json.loads(listed.read_text())
            if found["asked"] != self.wanted:
                raise SystemExit(f"{self.folder} holds mutants of {found['asked']}; use another")
            by_name = {s.name: s for s in self.ordered}
            self.sites = {int(n): by_name[name] for n, name in found["sites"].items()}
            return
        self.copy.mkdir(parents=True)
        kernel_copy.copy_tree(self.copy)
        top = self.copy / kernel_copy.SOURCES
        with (top / "runtime" / "dispatch.c").open("a") as file:  # which every program links
            file.write(DEFINED)
        header = (top / "ck.h").read_text()
        (top / "ck.h").write_text(header.replace("#define CK_H\n", "#define CK_H\n" + DECLARED, 1))
        self._choose(top)
        kernel_copy.build(self.copy, "-O1")
        sites = {n: s.name for n, s in self.sites.items()}
        listed.write_text(
            json.dumps({"asked": self.wanted, "sites": sites, "not C": self.dropped}, indent=1)
        )

    def _choose(self, top: Path) -> None:
        """Take sites until as many as wanted are valid C (a constant can be one that C needs)."""
        taken = self.wanted["sample"]
        chosen = dict(enumerate(self.ordered[:taken], 1))
        while True:
            self._write(top, chosen)
            wrong = self._invalid(top, chosen)
            if not wrong:
                break
            for number in wrong:
                self.dropped.append(chosen[number].name)
                chosen[number] = self.ordered[taken]
                taken += 1
        self.sites = chosen

    def _write(self, top: Path, chosen: dict[int, Site]) -> None:
        for file in sorted(
            {s.file for s in chosen.values()} | {d.partition(":")[0] for d in self.dropped}
        ):
            text = (kernel_copy.TOP / kernel_copy.SOURCES / file).read_text()
            those = [(n, s) for n, s in chosen.items() if s.file == file]
            (top / file).write_text(schemata(file, text, those))

    def _invalid(self, top: Path, chosen: dict[int, Site]) -> list[int]:
        """Return the mutants in lines that the compiler refuses."""
        command = ["gcc", "-std=gnu11", "-fsyntax-only", "-DCK_ISA=generic", f"-I{top}"]
        command += ["-DCK_VECTOR_BYTES=32", "-mavx2", "-mfma"]
        sources = map(str, sorted(top.glob("isa/*.c")))
        done = subprocess.run([*command, *sources], capture_output=True, text=True)
        if not done.returncode:
            return []
        places = re.findall(rf"{re.escape(str(top))}/(\S+?):(\d+):\d+: error", done.stderr)
        at = {(file, int(line)) for file, line in places}
        wrong = [n for n, s in chosen.items() if (s.file, s.line) in at]
        near = {(file, line - d) for file, line in at for d in range(-3, 4)}
        wrong = wrong or [n for n, s in chosen.items() if (s.file, s.line) in near]
        if not wrong:
            raise SystemExit(done.stderr[:3000])
        return wrong

    def reached(self, level: str) -> dict[Target, dict[str, Any]]:
        """Return for each backend and operation its seconds and the mutants that it reaches."""
        path = self.folder / f"reached-{level}.json"
        found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
        for backend, op in targets():
            if f"{backend} {op}" not in found:
                notes = self.folder / "notes"
                notes.write_bytes(bytes(1 << 16))
                began = time.monotonic()
                result = self.run(-1, level, backend, [op], 3600.0, CONVKIT_REACHED=str(notes))
                if result is not None:
                    raise SystemExit(f"without a mutant, {backend} {op} fails: {result}")
                numbers = [n for n, byte in enumerate(notes.read_bytes()) if byte]
                seconds = round(time.monotonic() - began, 1)
                found[f"{backend} {op}"] = {"seconds": seconds, "mutants": numbers}
                path.write_text(json.dumps(found))
                print(f"{level} {backend} {op}: {len(numbers)} reached, {seconds} s", flush=True)
        return {(k.split()[0], k.split()[1]): v for k, v in found.items()}

    def run(
        self,
        number: int,
        level: str,
        backend: str,
        ops: list[str],
        limit: float,
        **variables: str,
    ) -> str | None:
        """Return what failed first; None: nothing."""
        report = self.folder / f"report-{number}.json"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "convkit", "conformance", backend, *LEVELS[level]]
        command += ["--maxfail", "1", "--jobs", "1", "--json", str(report)]
        command += [part for op in ops for part in ("--op", op)]
        env = kernel_copy.environment(self.copy, CONVKIT_MUTANT=str(number), **variables)
        process = subprocess.Popen(
            command, cwd=self.folder, env=env, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return f"no end after {limit:.0f} s"
        if process.returncode == 0:
            return None
        if process.returncode == 2:
            raise SystemExit(said)
        results = json.loads(report.read_text())["results"] if report.exists() else []
        report.unlink(missing_ok=True)
        failed = [r for r in results if r["status"] in ("fail", "error", "crash", "hang")]
        if not failed:
            return f"exit status {process.returncode}: {said[-300:]}"
        return f"{failed[0]['check']} {failed[0]['case']}: {failed[0]['message'][:200]}"

    def ask(self, number: int, levels: list[str], had: dict[str, Any]) -> dict[str, Any]:
        """Put one mutant to the levels it has not ``had``; return its line of the log."""
        began = time.monotonic()
        site = self.sites[number]
        line: dict[str, Any] = {"mutant": site.name, "line": site.line, "number": number}
        line |= {"outcome": had.get("outcome", "not reached"), "levels": levels}
        for level in levels:
            if level in had.get("levels", ()):
                continue
            for backend in ("cython_fast", "cython") if site.folder == "winograd" else ("cython",):
                reach = {
                    op: r["seconds"]
                    for (by, op), r in self.reached(level).items()
                    if by == backend and number in r["mutants"]
                }
                if reach and line["outcome"] != "killed":
                    line["outcome"] = "survived"
                    if found := self._operations(number, level, backend, reach):
                        line |= {"outcome": "killed", "level": level, "by": found}
            if line["outcome"] == "killed":
                break
        line["seconds"] = round(time.monotonic() - began, 1)
        return line

    def _operations(
        self, number: int, level: str, backend: str, reach: dict[str, float]
    ) -> str | None:
        ops = sorted(reach, key=reach.__getitem__)
        return self.run(number, level, backend, ops, LEAST_LIMIT + 10 * sum(reach.values()))

    def logged(self) -> list[dict[str, Any]]:
        """Return the last line of each mutant."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return list({line["mutant"]: line for line in map(json.loads, lines)}.values())


def targets() -> list[Target]:
    """Return the backends made of the kernels, with the operations to ask each for."""
    from convkit.conformance.entries import ENTRIES

    return [*(("cython", op) for op in ENTRIES), *(("cython_fast", op) for op in FAST_OPERATIONS)]


def table(lines: list[dict[str, Any]]) -> str:
    """Return how many mutants of each folder and kind were killed, and name the others."""
    rows = []
    for what, key in (("folder", 0), ("kind", 2)):
        groups: dict[str, Counter[str]] = {}
        for line in lines:
            parts = line["mutant"].split(":")
            group = parts[0].partition("/")[0] if key == 0 else parts[key]
            outcome = line["level"] if line["outcome"] == "killed" else line["outcome"]
            groups.setdefault(group, Counter())[outcome] += 1
        rows.append(
            f"{what:14}{'mutants':>9}{'first':>9}{'quick':>9}{'default':>9}{'survived':>9}{'unreached':>11}"
        )
        for group, c in [*sorted(groups.items()), ("all", sum(groups.values(), Counter()))]:
            rows.append(
                f"{group:14}{c.total():9}{c['first']:9}{c['quick']:9}{c['default']:9}{c['survived']:9}"
                f"{c['not reached']:11}"
            )
        rows.append("")
    alive = [
        f"{x['outcome']:12} {x['mutant']} (line {x['line']})"
        for x in lines
        if x["outcome"] != "killed"
    ]
    return "\n".join(rows + alive)


def main() -> int:
    """Ask about what the log does not hold yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/mutants"))
    parser.add_argument("--sample", type=int, default=300, help="mutants to compile")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="ask about the first so many alone")
    parser.add_argument("--level", choices=list(LEVELS), default="default")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--show", metavar="MUTANT", help="print the line that one changes")
    parser.add_argument("--table", action="store_true", help="print the table of the log alone")
    options = parser.parse_args()
    mutants = Mutants(options.folder, options.sample, options.seed)
    if options.show:
        site = next(s for s in mutants.ordered if s.name == options.show)
        text = (kernel_copy.TOP / kernel_copy.SOURCES / site.file).read_text()
        print(f"{site.file}:{site.line}\n{mutated(text, site)}")
        return 0
    if not options.table:
        levels = list(LEVELS)[: list(LEVELS).index(options.level) + 1]
        mutants.prepare()
        for level in levels:
            mutants.reached(level)
        had = {line["number"]: line for line in mutants.logged()}
        left = [
            n for n in sorted(mutants.sites)[: options.limit]
            if n not in had
            or (had[n]["outcome"] != "killed" and not set(levels) <= set(had[n]["levels"]))
        ]  # fmt: skip
        with ThreadPoolExecutor(options.jobs) as pool, mutants.log.open("a") as log:
            for line in pool.map(lambda n: mutants.ask(n, levels, had.get(n, {})), left):
                log.write(json.dumps(line) + "\n")
                log.flush()
                print(f"{line['outcome']:12}{line['seconds']:7} s  {line['mutant']}", flush=True)
    print(table(mutants.logged()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
