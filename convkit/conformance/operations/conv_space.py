"""The space of convolutions: popular geometries, and free ones, with sizes of every block."""

from __future__ import annotations

from typing import Any

from convkit.conformance.covering import Point, Space
from convkit.conformance.space import (
    CHANNELS,
    IMAGES,
    LENGTHS,
    PADS,
    THREADS,
    Window,
    block,
    product,
    residue,
    results,
    window,
    without_images,
)

PADDED = (
    *("3x3 same", "3x3/2 same", "5x5 same", "7x7/2 same", "3x3 d2 same", "2x2 end", "3x3 begin"),
    *("1x1 one", "1x7 same", "7x1 same", "3x3 one axis", "3x3 last axis", "4x4/2 one", "3x3 wide"),
    *("3x2 unequal", "3x3/2 end", "1x1/2 end", "3x3/1,2 same", "5x5/3 same", "3x3 very wide"),
    *("3x3 same @depthwise", "3x3/2 same @depthwise", "5x5 same @two", "3x3 same @four"),
    *("3 same", "5/3 wide", "9 d2 same", "3 same @depthwise", "3x3x3 same", "2x2x2 end"),
    *("2x3x2/1,2,1 d2,1,1 unequal", "3x3x3 same @two"),
)
POPULAR = (
    *("3x3 same", "3x3", "3x3/2 same", "3x3/2", "3x3/2 end", "3x3/2 begin", "3x3 end", "3x3 wide"),
    *("3x3 begin", "3x3/3", "3x3/3 same", "3x3/4 same", "3x3/5", "3x3/1,2 same", "3x3/2,1 same"),
    *("3x3 d2 same", "3x3 d2", "3x3 d3 same", "3x3 d4 same", "3x3 d6 same", "3x3 d12 same"),
    *("3x3 d18 same", "3x3/2 d2 same", "3x3 d1,2 same", "3x3/2,1 d1,2 same", "3x3 very wide"),
    *("1x1", "1x1/2", "1x1/3", "1x1 one", "1x1/4", "1x1/1,2", "1x1/2 end"),
    *("2x2", "2x2/2", "2x2 end", "2x2/2 end", "2x2 begin", "2x2 d2", "2x2/3", "2x2/5"),
    *("4x4/4", "4x4/2 one", "4x4 same", "8x8/8", "16x16/16", "6x6/2 same"),
    *("5x5 same", "5x5", "5x5/2 same", "5x5/3", "5x5/3 same", "5x5 d2 same", "5x5/5", "5x5/4"),
    *("7x7 same", "7x7/2 same", "7x7/2", "7x7/4 same", "9x9 same", "11x11/4 same", "11x11 same"),
    *("1x3 same", "3x1 same", "1x5 same", "5x1 same", "1x7 same", "7x1 same", "3x1/2 same"),
    *("1x3/2 same", "1x7 wide", "1x32 same", "1x33 very wide", "1x65 wide", "65x1 same", "1x128"),
    *("2x3", "3x2 unequal", "3x5/2 unequal", "4x3 same", "3x3 one axis", "3x3 last axis"),
)
GROUPED = (
    *(f"{text} @depthwise" for text in ("3x3 same", "3x3", "3x3/2 same", "3x3/2", "3x3 d2 same")),
    *(f"{text} @depthwise" for text in ("5x5 same", "5x5/2 same", "7x7 same", "3x1 same", "1x1")),
    *(
        f"{text} @depthwise"
        for text in ("3x3 d4 same", "2x2/2", "3x3/3", "3x1/2 same", "4x4/2 one")
    ),
    *(f"{text} @depthwise" for text in ("3x3/2 end", "1x3 same", "3x3/2 d2 same", "3x3 wide")),
    *(f"{text} @twice" for text in ("3x3 same", "3x3/2 same", "5x5 same", "1x1", "2x2")),
    *(f"{text} @thrice" for text in ("3x3 same", "3x3/2", "1x1")),
    *(f"{text} @two" for text in ("3x3 same", "3x3/2 same", "1x1", "5x5 same", "1x1/2", "3x3 d2")),
    *(f"{text} @four" for text in ("3x3 same", "3x3/2", "1x1", "5x5/2 same")),
    *(f"{text} @many" for text in ("3x3 same", "3x3/2 same", "1x1", "1x128")),
)
OTHER_AXES = (
    *("1", "3 same", "3", "3/2 same", "5/3", "9 d2 same", "3 d4 same", "33 same", "64/8", "128"),
    *("3 same @depthwise", "4 begin @depthwise", "9/2 same @depthwise", "3 same @two", "7/2 wide"),
    *("128 @two", "5/6"),
    *("1x1x1", "3x3x3 same", "3x3x3/2 same", "2x2x2/2", "1x3x3 same", "3x1x1 same", "2x2x2/3"),
    *("3x3x3 same @depthwise", "1x1x1/2", "3x3x3 d2 same", "2x2x2 end", "3x3x3 same @two"),
    *("2x2x2/3 one @two", "3x3x3/2 @depthwise", "2x3x2/1,2,1 d2,1,1 unequal", "1x1x1 @depthwise"),
)
GROUPS = {"depthwise": (0, 1), "twice": (0, 2), "thrice": (0, 3), "two": (2, 1), "four": (4, 1)}
GROUPS |= {"many": (16, 1), "": (1, 1), "three": (3, 1)}
"""By name: the number of groups, 0 for one for each channel, and the filters of each."""

SIZES = {"N": IMAGES, "C": CHANNELS, "F": CHANNELS, "H": LENGTHS, "W": LENGTHS}
MODES = ("circular", "reflect", "symmetric", "edge")
FEATURES: dict[str, tuple[Any, ...]] = {
    **SIZES,
    "square": (False, False, True),
    "leftover": (0, 1, 7),
    "bias": (True, False),
    "dtype": ("float32", "float64"),
    "threads": THREADS,
}
BLOCKS = {f"{name} block": (name, block) for name in SIZES}
VIEWS = BLOCKS | {"W mod": ("W", residue), "H mod": ("H", residue)}


def geometry(point: Point, shape: Window, groups: str) -> dict[str, Any] | None:
    """Return the convolution that a point stands for, with windows and groups given."""
    many, each = GROUPS[groups]
    channels, filters = point["C"], point["F"]
    if many == 0:
        many, channels, filters = channels, 1, each
    pixels = shape.pixels(results(point, len(shape.kernel)), point["leftover"])
    if pixels is None:
        return None
    made: dict[str, Any] = {
        "x": (point["N"], many * channels, *pixels),
        "w": (many * filters, channels, *shape.kernel),
        "bias": point["bias"],
        "stride": shape.stride,
        "pad": shape.padding(),
        "dilation": shape.dilation,
        "groups": many,
    }
    return made


def popular(point: Point) -> dict[str, Any] | None:
    """Return the convolution of a point that names a popular geometry."""
    text, _, groups = point["geometry"].partition(" @")
    return geometry(point, window(text), groups)


def padded(point: Point) -> dict[str, Any] | None:
    """Return the convolution of a point whose padding copies pixels; None where x has too few."""
    made = popular(point)
    if made is None:
        return None
    made["pad_mode"] = point["pad mode"]
    most = {"reflect": -1, "edge": None}.get(made["pad_mode"], 0)
    pairs = zip(made["x"][2:], made["pad"], strict=True)
    return made if most is None or all(max(pair) <= n + most for n, pair in pairs) else None


def free(point: Point) -> dict[str, Any] | None:
    """Return the convolution of a point with a kernel, stride, dilation and padding of its own."""
    kernel = tuple(int(k) for k in point["kernel"].split("x"))
    strides = {"kernel": kernel, "above": tuple(k + 2 for k in kernel)}
    stride = strides.get(point["stride"]) or window(f"{point['kernel']}/{point['stride']}").stride
    dilation = window(f"{point['kernel']} d{point['dilation']}").dilation
    return geometry(point, Window(kernel, stride, dilation, point["pad"]), point["groups"])


def cost(made: dict[str, Any]) -> int:
    """Return the multiply-adds of a forward pass, and a share for every pixel."""
    out = 1
    for n, k, s, d, pair in zip(
        made["x"][2:], made["w"][2:], made["stride"], made["dilation"], made["pad"], strict=True
    ):
        out *= (n + sum(pair) - (k - 1) * d - 1) // s + 1
    return product(made["x"][0], out, made["w"]) + 4 * product(made["x"])


_EDGES = tuple(BLOCKS)
_PAIRS = tuple((a, b) for i, a in enumerate(_EDGES) for b in _EDGES[i + 1 :])

_SPACES = (
    Space(
        "popular geometries",
        {"geometry": (*POPULAR, *GROUPED, *OTHER_AXES), **FEATURES},
        VIEWS,
        (
            *(("geometry", name) for name in (*BLOCKS, "dtype", "square", "leftover", "bias")),
            *_PAIRS,
            *(("geometry", name) for name in ("W mod", "H mod", "threads")),
            ("H mod", "W mod"),
            ("N block", "C block", "F block"),
            *(("geometry", name) for name in SIZES),
            ("geometry", "C block", "F block"),
            ("geometry", "H block", "W block"),
            ("geometry", "N block", "C block"),
        ),
        popular,
        cost,
    ),
    Space(
        "free geometries",
        {
            "kernel": (
                "1x1",
                "2x2",
                "3x3",
                "1x3",
                "3x1",
                "2x3",
                "5x5",
                "1x8",
                "7x7",
                "11x11",
                "48x1",
            ),
            "stride": ("1", "2", "3", "1,2", "2,1", "4", "6", "kernel", "above"),
            "dilation": ("1", "2", "3", "1,2", "3,1", "4", "6", "12", "18"),
            "pad": PADS,
            "groups": tuple(GROUPS),
            **FEATURES,
        },
        VIEWS,
        (
            *(("stride", "dilation"), ("stride", "groups"), ("dilation", "pad"), ("pad", "groups")),
            *((name, "dtype") for name in ("kernel", "stride", "pad", "groups")),
            *(("dilation", name) for name in BLOCKS),
            *(("kernel", "stride", name) for name in BLOCKS),
            *(("kernel", "stride", "pad"), ("kernel", "dilation", "groups")),
            *(("groups", "C block", "F block"), ("pad", "H block", "W block")),
        ),
        free,
        cost,
    ),
)
ZERO_PADDED = (without_images(_SPACES[0], ("geometry", "dtype")), *_SPACES)
SPACES = (
    *ZERO_PADDED,
    Space(
        "padding that copies",
        {"geometry": PADDED, "pad mode": MODES, **FEATURES},
        VIEWS,
        (
            *(("pad mode", name) for name in ("geometry", *BLOCKS, "dtype", "square", "leftover")),
            *(("pad mode", name) for name in ("bias", "threads", "W mod", "H mod")),
            ("pad mode", "geometry", "dtype"),
            ("pad mode", "H block", "W block"),
        ),
        padded,
        cost,
    ),
)
