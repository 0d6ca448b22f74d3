"""The space of normalisations: how x lies in memory, sizes of every block, and what is fused."""

from __future__ import annotations

from typing import Any

from convkit.conformance.covering import Point, Space
from convkit.conformance.space import (
    CHANNELS,
    IMAGES,
    LENGTHS,
    THREADS,
    block,
    product,
    residue,
    results,
    without_images,
)

LAYOUTS = ("2", "0", "1", "3", "2 square", "one pixel")
"""The number of spatial axes; images as wide as they are high; images of one pixel."""
EPS = (1e-5, 1e-3, 1.0, 1e-8, 0.0, 300.0)
FUSED = ("", "relu", "residual", "residual relu")
GROUPS = ("one", "two", "each", "three", "four", "eight", "pairs", "thirty-two")
_COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4, "eight": 8, "thirty-two": 32}

SIZES = {"N": IMAGES, "C": CHANNELS, "H": LENGTHS, "W": LENGTHS}
BLOCKS = {f"{name} block": (name, block) for name in SIZES}
VIEWS = BLOCKS | {name: (name[0], residue) for name in ("W mod", "H mod", "C mod")}
COST = 16
"""What a number costs in multiply-adds of the model of cost: both passes and the reference."""
STEPS = 60_000


def _x(point: Point, channels: int) -> tuple[int, ...]:
    """Return x's shape."""
    axes, _, rest = point["layout"].partition(" ")
    if rest == "pixel":
        return (point["N"], channels, 1, 1)
    if axes == "0":
        return (point["N"], channels)
    square = {"square": rest == "square"}
    return (point["N"], channels, *results(point | square, int(axes)))


def _made(point: Point, x: tuple[int, ...]) -> dict[str, Any]:
    words = point["fused"].split()
    return {"x": x, "eps": point["eps"], "relu": "relu" in words, "residual": "residual" in words}


def batch(point: Point) -> dict[str, Any] | None:
    """Return the batch normalisation of a point; eps = 0 needs a variance."""
    x = _x(point, point["C"])
    training = point["mode"] == "training"
    if training and not point["N"]:
        return None
    if training and not point["eps"] and product(x) == x[1]:
        return None
    return {**_made(point, x), "training": training}


def group(point: Point) -> dict[str, Any] | None:
    """Return the group normalisation of a point: as many channels as groups allow, at least C."""
    name, channels = point["groups"], point["C"]
    count = {"each": channels, "pairs": -(-channels // 2)}.get(name) or _COUNTS[name]
    channels = -(-channels // count) * count
    x = _x(point, channels)
    if not point["eps"] and product(x) == x[0] * count:
        return None
    return {**_made(point, x), "groups": count}


def cost(made: dict[str, Any]) -> int:
    """Return what a problem costs in multiply-adds, with a share for its many steps."""
    return STEPS + COST * product(made["x"])


_EDGES = tuple(BLOCKS)
_PAIRS = tuple((a, b) for i, a in enumerate(_EDGES) for b in _EDGES[i + 1 :])
_FEATURES: dict[str, tuple[Any, ...]] = {
    **SIZES,
    "layout": LAYOUTS,
    "eps": EPS,
    "fused": FUSED,
    "dtype": ("float32", "float64"),
    "threads": THREADS,
}


def _spaces(how: str, values: tuple[str, ...], build: Any) -> tuple[Space, ...]:
    """Return the spaces of one kind; ``how`` is the feature that only this kind has."""
    space = Space(
        "block sizes",
        {how: values, **_FEATURES},
        VIEWS,
        (
            *((how, name) for name in ("fused", "layout", "eps", "dtype", *BLOCKS)),
            *(("fused", name) for name in ("layout", "eps", "dtype", *BLOCKS)),
            *(("layout", name) for name in ("eps", "dtype", *BLOCKS, "threads")),
            *_PAIRS,
            *(("dtype", name) for name in BLOCKS),
            *((how, name) for name in ("W mod", "H mod", "C mod", "threads")),
            *(("fused", name) for name in ("W mod", "C mod", "threads")),
            (how, "fused", "dtype"),
            (how, "fused", "W mod"),
            (how, "layout", "C block"),
            (how, "layout", "W block"),
            ("layout", "N block", "C block"),
            (how, "fused", "C block"),
            (how, "fused", "W block"),
            *((how, name) for name in SIZES),
            (how, "H block", "W block"),
            (how, "N block", "C block"),
            ("C block", "H block", "W block"),
            ("N block", "C block", "W block"),
            ("N block", "H block", "W block"),
            *(("C", "W"), ("N", "C"), ("H", "W"), ("N", "W")),
            *(("fused", a, b) for a, b in _PAIRS),
        ),
        build,
        cost,
    )
    return space, without_images(space, (how, "fused"), (how, "layout"), ("fused", "dtype"))


BATCH = _spaces("mode", ("training", "frozen"), batch)
GROUP = _spaces("groups", GROUPS, group)
