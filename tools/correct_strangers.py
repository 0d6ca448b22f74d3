#!/usr/bin/env python3
"""Ask correct backends that decline most problems: none of them may fail.

    tools/correct_strangers.py --log strangers.jsonl

There are 40 of them: im2col_numpy that declines each feature of the contract by itself, and some
in pairs. Each is asked at the quick level with three seeds, eight at the default level too. The
log has a line for each run and the next call goes on from it. ``--hypothesis VERSION`` notes under
which version of Hypothesis the runs were made and refuses to run under another one; with
``--quick-once`` each backend is asked at the quick level with one seed alone.

Exit status 1: a backend failed, or passed nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance

Declines = Callable[[Any], bool]

FEATURES: dict[str, Declines] = {
    "stride": lambda s: max(s.stride) > 1,
    "other-than-stride-2": lambda s: set(s.stride) != {2},
    "dilation": lambda s: max(s.dilation) > 1,
    "padding": lambda s: any(map(any, s.pad)),
    "no-padding": lambda s: not any(map(any, s.pad)),
    "asymmetric-padding": lambda s: any(begin != end for begin, end in s.pad),
    "other-than-3x3": lambda s: s.kernel != (3, 3),
    "kernels-not-square": lambda s: len(set(s.kernel)) > 1,
    "images-not-square": lambda s: len(set(s.x_shape[2:])) > 1,
    "float32": lambda s: s.dtype == np.float32,
    "float64": lambda s: s.dtype == np.float64,
    "groups": lambda s: getattr(s, "groups", 1) > 1,
    "no-groups": lambda s: getattr(s, "groups", 2) == 1,
    "several-images": lambda s: s.x_shape[0] > 1,
    "empty-batches": lambda s: s.x_shape[0] == 0,
    "several-channels": lambda s: s.x_shape[1] > 1,
    "odd-channels": lambda s: s.x_shape[1] % 2 == 1,
    "one-axis": lambda s: s.axes == 1,
    "two-axes": lambda s: s.axes == 2,
    "three-axes": lambda s: s.axes == 3,
    "bias": lambda s: getattr(s, "has_bias", False),
    "pooling": lambda s: hasattr(s, "kind"),
    "convolution": lambda s: not hasattr(s, "kind"),
    "average-pooling": lambda s: getattr(s, "kind", "") == "avg",
    "ceil-mode": lambda s: getattr(s, "ceil_mode", False),
    "large-images": lambda s: int(np.prod(s.x_shape)) > 500,
}
PAIRS = [
    *(("stride", "padding"), ("stride", "other-than-3x3"), ("padding", "dilation")),
    *(("padding", "groups"), ("float64", "groups"), ("float64", "images-not-square")),
    *(("several-images", "several-channels"), ("one-axis", "three-axes"), ("two-axes", "float32")),
    *(
        ("pooling", "bias"),
        ("convolution", "average-pooling"),
        ("other-than-3x3", "several-images"),
    ),
    *(("stride", "dilation"), ("kernels-not-square", "padding")),
]
BACKENDS = [*((name,) for name in FEATURES), *PAIRS]
SEEDS = (0, 1, 2)
AT_DEFAULT = BACKENDS[::5]


class Declining(Im2colNumpy):
    """im2col_numpy, which declines what it is told to."""

    name = "declining"

    def __init__(self, features: tuple[str, ...]) -> None:
        super().__init__()
        self.features = features

    def supports(self, spec: Any) -> str | None:
        """Return which of its features a problem has."""
        had = next((f for f in self.features if FEATURES[f](spec)), None)
        return had and f"declines {had}"


def wanted(once: bool) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """Yield (features declined, level, seed), the quick ones first."""
    seeds = SEEDS[:1] if once else SEEDS
    yield from ((b, "quick", seed) for seed, b in itertools.product(seeds, BACKENDS))
    if not once:
        yield from ((b, "default", 0) for b in AT_DEFAULT)


def ask(features: tuple[str, ...], level: str, seed: int) -> dict[str, Any]:
    """Return the line of one run."""
    began = time.monotonic()
    report = conformance.run(Declining(features), level, seed=seed)
    return {
        "declines": features,
        "level": level,
        "seed": seed,
        "hypothesis": hypothesis.__version__,
        "ok": report.ok,
        "counts": dict(report.counts),
        "verdict": report.verdict(),
        "failures": [f"{r.check} {r.case}: {r.message}" for r in report.failures[:5]],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    """Ask what the log does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--hypothesis", default=hypothesis.__version__)
    parser.add_argument("--quick-once", action="store_true")
    parser.add_argument("--for", dest="seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    if options.hypothesis != hypothesis.__version__:
        parser.error(f"this environment has Hypothesis {hypothesis.__version__}")
    lines = (
        [json.loads(t) for t in options.log.read_text().splitlines()]
        if options.log.exists()
        else []
    )
    done = {(tuple(d["declines"]), d["level"], d["seed"], d["hypothesis"]) for d in lines}
    left = [w for w in wanted(options.quick_once) if (*w, hypothesis.__version__) not in done]
    began = time.monotonic()
    while left and time.monotonic() - began < options.seconds:
        line = ask(*left.pop(0))
        lines.append(line)
        with options.log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(
            " + ".join(line["declines"]), line["verdict"], *line["failures"], sep="\n  ", flush=True
        )
    bad = [line for line in lines if not line["ok"]]
    print(f"{len(lines)} runs, {len(bad)} not clean, {len(left)} left")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
