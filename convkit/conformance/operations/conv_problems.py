"""Hand-made convolutions: what is easily got wrong, a problem or two for each."""

from __future__ import annotations

from convkit.conformance.entry import Geometry, Problems

#: Padding that copies pixels: unequal, as wide as the image allows, over an axis of one pixel,
#: where stride or dilation skip copies, and where a pixel is copied on both sides.
PADDED: tuple[Geometry, ...] = (
    *(
        {"x": (2, 3, 5, 7), "w": (4, 3, 3, 2), "pad": ((1, 2), (0, 3)), "pad_mode": mode}
        for mode in ("circular", "reflect", "symmetric", "edge")
    ),
    {"x": (1, 2, 4, 3), "w": (3, 2, 2, 3), "pad": ((4, 3), (2, 3)), "pad_mode": "circular"},
    {"x": (1, 2, 4, 3), "w": (3, 2, 2, 3), "pad": ((3, 2), (1, 2)), "pad_mode": "reflect"},
    {"x": (1, 2, 4, 3), "w": (3, 2, 2, 3), "pad": ((4, 3), (2, 3)), "pad_mode": "symmetric"},
    {"x": (1, 2, 2, 3), "w": (3, 2, 2, 3), "pad": ((5, 3), (2, 7)), "pad_mode": "edge"},
    {"x": (2, 2, 1, 6), "w": (3, 2, 3, 3), "pad": ((1, 1), (1, 2)), "pad_mode": "circular"},
    {"x": (2, 2, 1, 2), "w": (3, 2, 3, 3), "pad": ((1, 1), (2, 1)), "pad_mode": "symmetric"},
    {"x": (2, 2, 6, 1), "w": (3, 2, 3, 3), "pad": ((1, 1), (1, 1)), "pad_mode": "edge"},
    {
        "x": (2, 2, 7, 9), "w": (3, 2, 3, 2), "stride": (2, 3), "pad": ((2, 1), (3, 0)),
        "pad_mode": "reflect",
    },
    {
        "x": (2, 2, 7, 6), "w": (3, 2, 2, 3), "dilation": (3, 2), "pad": ((1, 3), (2, 4)),
        "pad_mode": "circular",
    },
    {"x": (2, 4, 5, 6), "w": (6, 2, 3, 3), "groups": 2, "pad": (1, 2), "pad_mode": "symmetric"},
    {"x": (2, 5, 6, 5), "w": (5, 1, 3, 3), "groups": 5, "pad": (1, 1), "pad_mode": "reflect"},
    {"x": (2, 3, 4, 5), "w": (4, 3, 1, 1), "pad": ((1, 0), (0, 2)), "pad_mode": "edge"},
    {
        "x": (2, 3, 4, 6), "w": (4, 3, 1, 1), "stride": (2, 3), "pad": ((1, 2), (3, 0)),
        "pad_mode": "circular",
    },
    {"x": (2, 3, 9), "w": (4, 3, 5), "pad": ((2, 4),), "pad_mode": "reflect", "bias": False},
    {"x": (2, 3, 3), "w": (4, 3, 7), "pad": ((3, 2),), "pad_mode": "circular"},
    {
        "x": (1, 2, 3, 4, 5), "w": (3, 2, 2, 3, 2), "pad": ((1, 2), (0, 3), (2, 1)),
        "pad_mode": "symmetric",
    },
    {
        "x": (1, 2, 4, 3, 5), "w": (2, 2, 3, 1, 2), "stride": (2, 1, 2),
        "pad": ((2, 1), (1, 1), (3, 4)), "pad_mode": "reflect",
    },
)  # fmt: skip

STRUCTURED: Problems = (
    ("plain", {"x": (2, 3, 7, 5), "w": (4, 3, 3, 2)}),
    ("plain", {"x": (2, 3, 6, 9), "w": (5, 3, 2, 4), "bias": False}),
    ("pad", {"x": (2, 3, 5, 7), "w": (4, 3, 3, 2), "pad": ((1, 0), (2, 1))}),
    ("pad", {"x": (1, 2, 5, 6), "w": (3, 2, 3, 5), "pad": ((0, 2), (1, 3))}),
    ("pad", {"x": (2, 3, 6, 7), "w": (2, 3, 3, 3), "pad": (1, 1)}),
    ("pad", {"x": (1, 2, 3, 4), "w": (3, 2, 2, 1), "pad": ((3, 2), (1, 4))}),
    ("stride", {"x": (2, 3, 11, 13), "w": (4, 3, 3, 4), "stride": (2, 3)}),
    ("stride", {"x": (2, 2, 12, 11), "w": (3, 2, 4, 3), "stride": (3, 2)}),
    ("stride", {"x": (1, 2, 13, 14), "w": (3, 2, 2, 1), "stride": (3, 4)}),
    ("stride", {"x": (2, 2, 9, 10), "w": (3, 2, 2, 3), "stride": (2, 4), "pad": ((1, 0), (0, 2))}),
    ("stride", {"x": (2, 3, 8, 8), "w": (4, 3, 3, 3), "stride": (2, 2), "pad": (1, 1)}),
    ("dilation", {"x": (1, 2, 11, 13), "w": (3, 2, 3, 4), "dilation": (2, 3)}),
    (
        "dilation",
        {"x": (2, 2, 9, 8), "w": (3, 2, 3, 2), "dilation": (3, 2), "pad": ((2, 1), (0, 3))},
    ),
    (
        "dilation",
        {
            "x": (2, 3, 12, 10),
            "w": (2, 3, 2, 3),
            "stride": (2, 3),
            "dilation": (3, 2),
            "pad": ((1, 2), (3, 0)),
        },
    ),
    ("dilation", {"x": (1, 2, 14, 9), "w": (3, 2, 3, 2), "stride": (4, 2), "dilation": (2, 4)}),
    ("leftover", {"x": (2, 2, 10, 12), "w": (3, 2, 3, 2), "stride": (4, 5)}),
    ("leftover", {"x": (1, 3, 8, 9), "w": (2, 3, 1, 2), "stride": (3, 4), "pad": ((0, 1), (1, 0))}),
    ("1x1", {"x": (2, 5, 4, 6), "w": (3, 5, 1, 1)}),
    ("1x1", {"x": (2, 3, 7, 8), "w": (4, 3, 1, 1), "stride": (2, 3)}),
    ("1x1", {"x": (2, 3, 4, 3), "w": (4, 3, 1, 1), "pad": ((1, 2), (0, 1))}),
    ("1x1", {"x": (2, 4, 5, 6), "w": (6, 2, 1, 1), "groups": 2, "stride": (2, 1)}),
    ("whole image", {"x": (2, 3, 5, 4), "w": (3, 3, 5, 4)}),
    ("whole image", {"x": (1, 1, 1, 1), "w": (1, 1, 1, 1)}),
    ("whole image", {"x": (3, 2, 1, 1), "w": (4, 2, 3, 2), "pad": ((1, 1), (1, 0))}),
    ("groups", {"x": (2, 6, 5, 4), "w": (4, 3, 3, 2), "groups": 2}),
    ("groups", {"x": (2, 6, 6, 5), "w": (9, 2, 2, 3), "groups": 3, "pad": ((1, 0), (0, 1))}),
    ("groups", {"x": (1, 8, 9, 7), "w": (12, 2, 3, 2), "groups": 4, "stride": (2, 3)}),
    ("groups", {"x": (2, 4, 7, 8), "w": (6, 2, 2, 3), "groups": 2, "dilation": (3, 2)}),
    ("depthwise", {"x": (2, 5, 6, 7), "w": (5, 1, 3, 2), "groups": 5}),
    ("depthwise", {"x": (2, 3, 8, 7), "w": (6, 1, 3, 3), "groups": 3, "stride": (2, 3)}),
    ("depthwise", {"x": (1, 24, 5, 6), "w": (24, 1, 3, 3), "groups": 24, "pad": (1, 1)}),
    ("depthwise", {"x": (2, 9, 8, 9), "w": (9, 1, 2, 3), "groups": 9, "dilation": (2, 3)}),
    ("same sizes", {"x": (3, 6, 6, 6), "w": (6, 6, 3, 3), "pad": (1, 1)}),
    ("same sizes", {"x": (5, 5, 5, 5), "w": (5, 5, 2, 2)}),
    ("wide and tall", {"x": (1, 2, 3, 70), "w": (3, 2, 2, 5), "pad": ((0, 1), (2, 2))}),
    ("wide and tall", {"x": (1, 2, 67, 3), "w": (3, 2, 5, 2), "stride": (3, 1)}),
    ("one axis", {"x": (2, 3, 17), "w": (4, 3, 5), "stride": (2,), "pad": ((1, 3),)}),
    ("one axis", {"x": (2, 4, 15), "w": (6, 2, 3), "dilation": (2,), "groups": 2}),
    (
        "three axes",
        {
            "x": (2, 2, 5, 4, 6),
            "w": (3, 2, 2, 3, 2),
            "stride": (2, 1, 3),
            "pad": ((1, 0), (0, 2), (1, 1)),
        },
    ),
    (
        "three axes",
        {"x": (1, 4, 4, 5, 3), "w": (4, 2, 2, 1, 2), "groups": 2, "dilation": (2, 1, 1)},
    ),
    # The kernel that everybody writes code of its own for, and what such code forgets.
    ("special-cased", {"x": (1, 2, 7, 8), "w": (3, 2, 3, 3), "pad": 1, "dilation": 2}),
    ("special-cased", {"x": (1, 4, 5, 6), "w": (4, 2, 3, 3), "pad": 1, "groups": 2}),
    ("special-cased", {"x": (1, 2, 5, 6), "w": (3, 2, 3, 3), "pad": ((1, 1), (0, 1))}),
    ("special-cased", {"x": (1, 2, 5, 6), "w": (3, 2, 1, 1), "dilation": 3, "stride": (1, 2)}),
    # As many results as pixels, and yet a stride: the last ones see padding alone.
    (
        "special-cased",
        {"x": (2, 3, 2, 9), "w": (4, 3, 1, 2), "stride": (3, 2), "pad": ((0, 3), (1, 0))},
    ),
    (
        "special-cased",
        {"x": (1, 3, 2, 3), "w": (2, 3, 1, 1), "stride": (3, 2), "pad": ((0, 3), (0, 2))},
    ),
    ("large sums", {"x": (1, 72, 5, 6), "w": (3, 72, 3, 3), "pad": (1, 1)}),
    ("large sums", {"x": (3, 40, 7, 9), "w": (33, 40, 3, 3), "pad": (1, 1)}),
    ("course", {"x": (2, 3, 4, 4), "w": (3, 3, 4, 4), "stride": 2, "pad": 1}),
    ("course", {"x": (4, 3, 5, 5), "w": (2, 3, 3, 3), "stride": 1, "pad": 1}),
    *(("pad mode", geometry) for geometry in PADDED),
)

BEYOND_QUICK: Problems = (
    ("large sums", {"x": (2, 256, 6, 5), "w": (5, 256, 3, 3), "pad": (1, 1)}),
    ("large sums", {"x": (9, 4, 30, 31), "w": (6, 4, 3, 3)}),
    ("course", {"x": (2, 3, 16, 16), "w": (3, 3, 3, 3), "stride": 1, "pad": 1}),
    ("course", {"x": (20, 3, 31, 31), "w": (25, 3, 3, 3), "stride": 2, "pad": 1}),
    ("course", {"x": (10, 3, 32, 32), "w": (32, 3, 7, 7), "stride": 1, "pad": 3}),
    ("wide and tall", {"x": (1, 1, 2, 700), "w": (2, 1, 1, 9), "pad": ((0, 0), (4, 5))}),
    ("wide and tall", {"x": (1, 1, 700, 2), "w": (2, 1, 9, 1), "pad": ((5, 4), (0, 0))}),
    ("wide and tall", {"x": (2, 16, 57, 59), "w": (16, 16, 3, 3), "pad": (1, 1)}),
)
