#!/usr/bin/env python3
"""Train on a folder of more images than memory should hold: how fast, and in how much memory?

    tools/large_folder.py --work DIR                        # 100,000 images of 64x64
    tools/large_folder.py --work DIR --images 5000 --memory

DIR gets the images and the file that they are decoded into; both are used again. Each measurement
is a process of its own, which trains the same network: on a few images in memory, which gives the
model's own share; on the folder, from that file; with ``--memory`` on the folder in memory too.
``--rounds`` repeats the latter two in turn, for a machine that is shared.

Exit status 1: training from the file takes more than 1 GiB above the model's own, or is by more
than a tenth slower than in memory (medians).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

CLASSES = 10
SIZE = 64
GIB = 1024.0  # in MiB


def make_images(root: Path, count: int) -> None:
    """Write ``count`` JPEG files in class folders, unless they are there."""
    from PIL import Image

    done = root / f".{count}"
    if done.exists():
        return
    rng = np.random.default_rng(0)
    shape = (SIZE, SIZE, 3)
    for label in range(CLASSES):
        folder = root / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        common = rng.integers(0, 128, shape)
        for number in range(count // CLASSES):
            pixels = (common + rng.integers(0, 128, shape)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:06}.jpg", quality=85)
    done.touch()


def measure(how: str, work: Path, iterations: int) -> dict[str, Any]:
    """Train in this process; seconds to load, images per second, and peak memory in MiB."""
    from convkit.models import ThreeLayerConvNet
    from convkit.training.data import FolderOptions, load_data
    from convkit.training.solver import Solver

    warnings.simplefilter("ignore")
    start = time.perf_counter()
    data: Any
    if how == "model":
        rng = np.random.default_rng(0)
        x = rng.standard_normal((200, 3, SIZE, SIZE)).astype(np.float32)
        data = {f"X_{part}": x for part in ("train", "val")}
        data |= {f"y_{part}": np.arange(200) % CLASSES for part in ("train", "val")}
    else:
        cache = False if how == "memory" else work / "cache"
        data = load_data(work / "images", folder=FolderOptions(cache=cache))
    seconds = time.perf_counter() - start
    model = ThreeLayerConvNet(
        (3, SIZE, SIZE), num_classes=CLASSES, num_filters=32, filter_size=5, rng=0
    )
    speeds: list[float] = []
    solver = Solver(
        model,
        data,
        update_rule="adam",
        batch_size=50,
        num_iterations=iterations,
        num_val_samples=1000,
        verbose=False,
        rng=0,
        on_step=lambda progress: speeds.append(progress.images_per_second),
    )
    solver.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "how": how,
        "load": seconds,
        "images_per_second": speeds[-1],
        "peak": peak / (1024 if sys.platform == "linux" else 2**20),
        "loss": solver.loss_history[-1],
    }


def in_a_process(how: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure in a process of its own, print a line, and return the numbers."""
    line = [sys.executable, __file__, "--work", str(options.work), "--child", how]
    line += ["--iterations", str(options.iterations)]
    output = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(output)
    print(
        f"{how:>7}: {found['load']:6.1f} s to load, {found['images_per_second']:7.1f} images/s, "
        f"peak {found['peak']:6.0f} MiB, last loss {found['loss']:.6g}",
        flush=True,
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="measure in memory as well")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.work, options.iterations)))
        return 0
    make_images(options.work / "images", options.images)
    own = in_a_process("model", options)
    hows = ["stored", *(["memory"] if options.memory else [])]
    runs = [{how: in_a_process(how, options) for how in hows} for _ in range(options.rounds)]
    above = max(run["stored"]["peak"] for run in runs) - own["peak"]
    print(f"above the model's own: {above:.0f} MiB")
    if not options.memory:
        return int(above > GIB)
    speed = {how: median(run[how]["images_per_second"] for run in runs) for how in hows}
    ratio = speed["stored"] / speed["memory"]
    same = len({run[how]["loss"] for run in runs for how in hows}) == 1
    print(
        f"images/s of those in memory: {ratio:.3f}; {'the same' if same else 'ANOTHER'} last loss"
    )
    return int(above > GIB or ratio < 0.9 or not same)


if __name__ == "__main__":
    sys.exit(main())
