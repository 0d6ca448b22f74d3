"""The summary: a row for each layer, its counts, the totals."""

from __future__ import annotations

from convkit.models import Affine, BatchNorm, Conv, ReLU, Residual, Sequential

TABLE = """\
layer                                      output shape  parameters  multiply-adds
----------------------------------------------------------------------------------
input                                      3 x 8 x 8
Conv(4, 3, pad=1, bias=False)              4 x 8 x 8            108          6,912
BatchNorm()                                4 x 8 x 8              8
Residual(1 layer, relu=False)              6 x 4 x 4
  Conv(6, 3, stride=2, pad=1)              6 x 4 x 4            222          3,456
  shortcut
    Conv(6, 1, stride=(2, 2), bias=False)  6 x 4 x 4             24            384
    BatchNorm()                            6 x 4 x 4             12
ReLU()                                     6 x 4 x 4
Affine(10, trainable=False)                10                   970            960
----------------------------------------------------------------------------------
374 parameters, 990 other values, 11,712 multiply-adds"""


def test_the_whole_table():
    net = Sequential(
        [Conv(4, 3, pad=1), BatchNorm(), Residual([Conv(6, 3, stride=2, pad=1)], relu=False),
         ReLU(), Affine(10, trainable=False)],
        input_dim=(3, 8, 8),
    )  # fmt: skip
    assert net.summary() == TABLE
