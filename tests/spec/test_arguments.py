"""Arguments as specs take them: frozen, one value or one per axis, native dtypes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convkit import ConvSpec, DtypeError, ParameterError, PoolSpec
from convkit.spec import freeze, per_axis, resolve_pad

F32 = np.float32


def conv(x, w, b=None, **kwargs):
    return ConvSpec.of(x, w, b, dtype=F32, **kwargs)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_value_stands_for_every_axis(axes):
    x, w = (2, 3, *range(7, 7 + axes)), (4, 3, *(3,) * axes)
    spec = conv(x, w, stride=2, pad=1, dilation=2)
    assert spec.stride == (2,) * axes
    assert spec.pad == ((1, 1),) * axes
    assert spec.dilation == (2,) * axes
    assert spec == conv(x, w, stride=(2,) * axes, pad=((1, 1),) * axes, dilation=[2] * axes)
    assert hash(spec) == hash(conv(x, w, stride=np.int64(2), pad=np.ones(axes, int), dilation=2))


def test_mixed_and_foreign_dtypes_say_what_to_cast():
    x, w = np.zeros((1, 1, 3, 3), np.float32), np.zeros((1, 1, 3, 3))
    message = "w.dtype (=float64) must equal x.dtype (=float32); cast with w.astype(np.float32)"
    with pytest.raises(DtypeError, match=re.escape(message)):
        ConvSpec.of(x, w)
    message = "x.dtype (=int64) must be float32 or float64; cast with x.astype(np.float32)"
    with pytest.raises(DtypeError, match=re.escape(message)):
        PoolSpec.of(x.astype(np.int64), kind="max", kernel=2)


def test_byte_order_is_no_part_of_a_problem():
    x = np.zeros((1, 1, 3, 3), ">f4")
    assert ConvSpec.of(x, x) == ConvSpec.of(x.astype("<f4"), x.astype("<f4"))


def test_freeze_makes_equal_things_equal_and_different_things_raise():
    assert freeze("pad", [1, np.int32(2)]) == (1, 2)
    assert type(freeze("pad", np.int32(2))) is int
    assert per_axis("stride", (2, 3), 2) == (2, 3)
    assert resolve_pad((1, 2), (5, 5), (3, 3), (1, 1)) == ((1, 1), (2, 2))
    with pytest.raises(ParameterError, match="not dict"):
        freeze("pad", {})
