"""Hand-made problems that maximum and average pooling share."""

from __future__ import annotations

from convkit.conformance.entry import Problems

STRUCTURED: Problems = (
    ("plain", {"x": (2, 3, 8, 6), "kernel": (2, 2)}),
    ("plain", {"x": (2, 3, 6, 8), "kernel": (2, 4)}),
    ("plain", {"x": (2, 3, 9, 10), "kernel": (3, 2), "stride": (3, 2)}),
    ("overlap", {"x": (2, 3, 7, 9), "kernel": (3, 4), "stride": (2, 1)}),
    ("overlap", {"x": (2, 2, 8, 7), "kernel": (4, 2), "stride": (1, 1)}),
    ("stride", {"x": (2, 3, 11, 9), "kernel": (2, 1), "stride": (3, 4)}),
    ("stride", {"x": (1, 3, 9, 13), "kernel": (2, 2), "stride": (2, 3)}),
    ("leftover", {"x": (2, 3, 9, 11), "kernel": (2, 4), "stride": (3, 5)}),
    ("leftover", {"x": (2, 3, 7, 9), "kernel": (2, 2)}),
    ("pad", {"x": (2, 3, 6, 5), "kernel": (2, 4), "stride": (2, 1), "pad": ((1, 0), (2, 1))}),
    ("pad", {"x": (1, 2, 5, 6), "kernel": (4, 2), "stride": (3, 1), "pad": ((0, 3), (1, 1))}),
    ("pad", {"x": (2, 3, 7, 7), "kernel": (3, 3), "stride": (2, 2), "pad": (1, 1)}),
    ("pad", {"x": (2, 3, 6, 8), "kernel": (2, 2), "stride": (2, 2), "pad": (1, 1)}),
    ("ceil mode", {"x": (2, 3, 8, 6), "kernel": (2, 4), "stride": (3, 4), "ceil_mode": True}),
    (
        "ceil mode",
        {
            "x": (1, 2, 7, 8),
            "kernel": (4, 2),
            "stride": (2, 3),
            "pad": ((1, 1), (0, 1)),
            "ceil_mode": True,
        },
    ),
    ("ceil mode", {"x": (1, 2, 6, 6), "kernel": (3, 3), "stride": (2, 2), "ceil_mode": True}),
    ("whole image", {"x": (2, 4, 5, 3), "kernel": (5, 3)}),
    ("whole image", {"x": (2, 4, 4, 8), "kernel": (4, 8)}),
    ("whole image", {"x": (2, 2, 1, 1), "kernel": (1, 1)}),
    ("same sizes", {"x": (6, 6, 6, 6), "kernel": (2, 2), "stride": (1, 1)}),
    ("wide and tall", {"x": (1, 2, 4, 66), "kernel": (2, 2), "stride": (2, 2)}),
    ("wide and tall", {"x": (1, 2, 69, 3), "kernel": (4, 2), "stride": (2, 1)}),
    ("wide and tall", {"x": (1, 2, 18, 19), "kernel": (16, 17), "stride": (1, 1)}),
    ("one axis", {"x": (2, 3, 15), "kernel": (4,), "stride": (2,), "pad": ((1, 2),)}),
    (
        "three axes",
        {
            "x": (2, 2, 5, 4, 6),
            "kernel": (2, 1, 4),
            "stride": (2, 3, 1),
            "pad": ((1, 0), (0, 0), (2, 1)),
        },
    ),
    # The window that everybody writes a kernel of its own for, and what such a kernel forgets.
    ("special-cased", {"x": (1, 2, 7, 9), "kernel": 2, "stride": 2, "ceil_mode": True}),
    ("special-cased", {"x": (1, 2, 8, 6), "kernel": 2, "stride": 2, "pad": ((1, 0), (0, 1))}),
    ("special-cased", {"x": (1, 2, 4, 6, 8), "kernel": 2, "stride": 2}),
    ("course", {"x": (2, 3, 4, 4), "kernel": 2, "stride": 2}),
    ("course", {"x": (3, 2, 8, 8), "kernel": 2, "stride": 2}),
)
