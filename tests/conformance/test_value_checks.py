"""The special values that the checks of values use are in their data.

That each check detects what it is for, planted bugs show (conformance_mutants/test_planted.py).
"""

from __future__ import annotations

import numpy as np
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance
from convkit.calls.fallback import ConvTranspose
from convkit.conformance import data
from convkit.conformance.checks import CHECKS
from convkit.conformance.entries import ENTRIES
from convkit.spec import ConvSpec


def test_special_values_are_in_the_data() -> None:
    kinds = {c.data for op in ENTRIES for c in CHECKS["ties"].make(op, "quick", 0)}
    assert kinds >= {f"ties-{k}" for k in ("equal", "small", "nan", "inf", "ninf", "negative")}
    given = list(CHECKS["denormal"].make("conv", "quick", 0))
    tiny = [np.abs(data.inputs(c).x) < np.finfo(c.dtype).tiny for c in given]
    assert all(0 < mask.mean() < 1 for mask in tiny)


class Extending(Im2colNumpy):
    """A transposed convolution that extends x by zeros, which meet dout in dw."""

    name = "extending"

    def conv_transpose_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
        return ConvTranspose(self).forward(spec, x, w, b)

    def conv_transpose_backward(self, spec, dout, x, w, saved, needs):  # type: ignore[no-untyped-def]
        dx, _, db = ConvTranspose(self).backward(spec, dout, x, w, saved, needs)
        conv = ConvSpec.of(
            spec.out_shape, spec.w_shape, stride=spec.stride, pad=spec.pad,
            dilation=spec.dilation, groups=spec.groups, dtype=spec.dtype,
        )  # fmt: skip
        pairs = zip(conv.out_shape, x.shape, strict=True)
        wide = np.pad(x, [(0, size - own) for size, own in pairs])
        return dx, self.conv_backward(conv, wide, dout, w, None, ("dw",))[1], db


def test_a_zero_beyond_x_that_meets_an_infinite_dout_is_found() -> None:
    geometry = "x=1,2,5,4 w=2,3,3,2 dilation=3,4 output_pad=2,3 dtype=float32"
    case = f"nonfinite conv_transpose {geometry} data=nonfinite-inf-dout"
    assert conformance.run("im2col_numpy", case=case).ok
    assert conformance.run(Extending(), case=case.replace("inf-dout", "inf-x")).ok
    report = conformance.run(Extending(), case=case)
    assert report.failures[0].message.startswith("dw[")
    assert " is nan, expected " in report.failures[0].message
