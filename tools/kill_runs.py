"""Kill training runs at random moments, and see that nothing is half written or lost.

    python tools/kill_runs.py [--times 50] [--seed 0] [-- OPTIONS OF convkit train]

A run is trained to its end for comparison. Then one with the same options is killed with SIGKILL at
a random moment, again and again: after each kill every file in its folder must be whole, and the
run is taken up with ``--resume`` and killed again, until it ends. Its weights, its history and its
state must be those of the undisturbed run to the bit. Runs are begun until there were enough kills.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convkit.report.record import RESUME_FILE, load_record
from convkit.tensors import load_weights
from convkit.training import snapshot

PRESET = ["--update-rule", "nesterov", "--schedule", "one-cycle", "--augment", "shift=1,cutout=2",
          "--sampling", "shuffle", "--label-smoothing", "0.1", "--model", "deep", "--batch-norm",
          "--dropout", "0.2", "--epochs", "40"]  # fmt: skip


def start(arguments: Sequence[object], log: Path) -> subprocess.Popen[bytes]:
    """Start ``convkit train`` in a process of its own."""
    line = [sys.executable, "-m", "convkit", "train", *map(str, arguments)]
    with open(log, "ab") as file:
        return subprocess.Popen(line, stdout=file, stderr=file)


def finish(arguments: Sequence[object], log: Path) -> float:
    """Run ``convkit train`` to its end, and return its seconds."""
    before = time.monotonic()
    process = start(arguments, log)
    if process.wait() != 0:
        raise SystemExit(f"convkit train failed:\n{log.read_text(errors='replace')[-2000:]}")
    return time.monotonic() - before


def check_whole(run: Path) -> int:
    """Read every file of a run's folder, and return the iteration of its state."""
    record = load_record(run)
    state = snapshot.read(run / RESUME_FILE)
    for file in run.iterdir():
        if file.suffix == ".tmp":  # what a kill left of a file that never got its name
            continue
        content = file.read_bytes()
        if not content:
            raise SystemExit(f"{file} is empty")
        if file.suffix == ".png" and not content.endswith(b"IEND\xaeB`\x82"):
            raise SystemExit(f"{file} is cut short")
        if file.suffix == ".html" and not content.rstrip().endswith(b"</html>"):
            raise SystemExit(f"{file} is cut short")
    weights, _ = load_weights(run / "weights.safetensors")
    if set(weights) != {*state["params"], *state["buffers"]}:
        raise SystemExit(f"{run}: the weights are not those of the network")
    assert record.history is not None
    return int(state["iteration"])


def check_same(run: Path, whole: Path) -> None:
    """Compare what two runs learned, bit by bit; nothing but their files may be left."""
    left = {file.name for file in run.iterdir()} ^ {file.name for file in whole.iterdir()}
    if left:
        raise SystemExit(f"{run}: the folders differ in {', '.join(sorted(left))}")
    one, other = load_record(run), load_record(whole)
    states = [snapshot.read(folder / RESUME_FILE) for folder in (run, whole)]
    np.testing.assert_equal(states[0], states[1])
    np.testing.assert_equal(one.weights, other.weights)
    assert one.history.rows == other.history.rows
    assert one.confusion == other.confusion
    settings = [json.dumps(record.settings, sort_keys=True) for record in (one, other)]
    assert settings[0] == settings[1]


def kill_one(
    options: Sequence[str], run: Path, seconds: float, chance: random.Random, log: Path, most: int
) -> int:
    """Train with kills until the run ends or was killed ``most`` times; return the kills."""
    kills, begun = 0, False
    while True:
        arguments = (
            ["--resume", run] if begun else [*options, "--out", run.parent, "--name", run.name]
        )
        process = start(arguments, log)
        try:
            # Early enough, mostly, that a run sees several before it is done.
            status = process.wait(
                timeout=chance.uniform(0, 0.7 * seconds) if kills < most else None
            )
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            print(".", end="", flush=True)
        else:
            if status == 0:
                return kills
            raise SystemExit(f"convkit train failed:\n{log.read_text(errors='replace')[-2000:]}")
        begun = (run / RESUME_FILE).exists()
        if begun:
            check_whole(run)
        else:
            # Killed before its first step: what reserved the name is all there may be.
            assert not run.exists() or not any(run.iterdir())
            shutil.rmtree(run.parent, ignore_errors=True)


def main() -> None:
    """Kill runs as often as asked, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", default=PRESET, metavar="-- OPTIONS")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        log = root / "log"
        options = [*(asked.options or PRESET), "--no-speedups"]
        seconds = finish([*options, "--out", root / "whole", "--name", "run"], log)
        print(f"undisturbed: {seconds:.1f} s; killing", end=" ", flush=True)
        kills = runs = 0
        while kills < asked.times:
            run = root / f"killed-{runs}" / "run"
            kills += kill_one(options, run, seconds, chance, log, asked.times - kills)
            runs += 1
            check_whole(run)
            check_same(run, root / "whole" / "run")
    print(f"\n{kills} kills in {runs} runs: every file whole, every run the same to the bit")


if __name__ == "__main__":
    main()
