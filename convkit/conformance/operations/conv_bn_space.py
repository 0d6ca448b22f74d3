"""The space of a convolution with norm, relu and pool: what is fused, over sizes of blocks."""

from __future__ import annotations

from typing import Any

from convkit.conformance.covering import Point, Space
from convkit.conformance.operations import conv_space
from convkit.conformance.operations.norm_space import COST, FUSED
from convkit.conformance.space import block, product, residue, results, window, without_images

CONVOLUTIONS = (
    *("3x3 same", "1x1", "3x3/2 same", "3x3", "5x5 same", "2x2", "1x1/2", "3x3 d2 same"),
    *("3x3 same @depthwise", "3x3 same @two", "3 same", "3x3x3 same", "3x2 unequal", "1x1 @four"),
)
POOLS = ("none", "2", "none", "2/1", "3/2", "3/2 same", "2 ceil", "1", "3/3", "2/3")


def build(point: Point) -> dict[str, Any] | None:
    """Return the problem that a point stands for; H and W are results of the last part."""
    text, _, groups = point["convolution"].partition(" @")
    shape = window(text)
    axes = len(shape.kernel)
    between: tuple[int, ...] | None = results(point, axes)
    pool: dict[str, Any] = {}
    if point["pool"] != "none":
        words = point["pool"].split()
        head, *rest = [w for w in words if w != "ceil"]
        kernel, _, stride = head.partition("/")
        of = window(f"{'x'.join([kernel] * axes)}/{stride or kernel} {' '.join(rest)}".strip())
        assert between is not None
        between = of.pixels(between, point["leftover"])
        if between is None:
            return None
        if any(max(p) >= n for p, n in zip(of.padding(), between, strict=True)):
            return None
        pool = {"pool_kernel": of.kernel, "pool_stride": of.stride, "pool_pad": of.padding()}
        pool |= {"pool_ceil_mode": True} if "ceil" in words else {}
    assert between is not None
    pixels = shape.pixels(between, point["leftover"])
    made = conv_space.geometry(point | {"leftover": 0}, shape, groups)
    if pixels is None or made is None:
        return None
    training = point["mode"] == "training"
    if training and not point["N"]:
        return None
    made["x"] = (*made["x"][:2], *pixels)
    relu, residual = (word in point["fused"].split() for word in ("relu", "residual"))
    made |= {"bn_training": training, "bn_relu": relu, "residual": residual}
    return made | pool


def cost(made: dict[str, Any]) -> int:
    """Return what a problem costs in multiply-adds: every pass more counts."""
    return 3 * conv_space.cost(made) + COST * product(made["x"][0], made["w"][0], made["x"][2:])


_BLOCKS = {f"{name} block": (name, block) for name in conv_space.SIZES}
_HOW = ("mode", "fused", "pool")
_SPACE = Space(
    "popular geometries",
    {
        "convolution": CONVOLUTIONS,
        "pool": POOLS,
        "fused": ("relu", *FUSED),
        "mode": ("training", "training", "frozen"),
        **conv_space.FEATURES,
    },
    _BLOCKS | {"W mod": ("W", residue)},
    (
        _HOW,
        *((one, name) for one in _HOW for name in ("convolution", "dtype", "bias", "threads")),
        *((one, name) for one in _HOW for name in (*_BLOCKS, "W mod")),
        *(("convolution", name) for name in _BLOCKS),
        ("mode", "pool", "N block"),
        ("fused", "pool", "F block"),
        ("fused", "pool", "W block"),
        ("pool", "H block", "W block"),
        ("mode", "N block", "F block"),
    ),
    build,
    cost,
)
SPACES = (_SPACE, without_images(_SPACE, ("fused", "pool"), ("convolution",)))
