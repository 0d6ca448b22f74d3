"""Specs: one frozen, hashable description of a problem for each family of operations.

All output-size and padding arithmetic of convkit is here and nowhere else, for any number of
spatial axes. A spec is made by ``ConvSpec.of`` and its likes, which check every argument;
a backend reads it and never has to check again. Nothing here touches the values of an array.
"""

from convkit.spec.arguments import FLOATS, Axes, Pad, Pairs, Shape, check_flag, freeze, per_axis
from convkit.spec.conv import ConvSpec
from convkit.spec.conv_transpose import ConvTransposeSpec
from convkit.spec.geometry import Geometry, resolve_pad
from convkit.spec.norm import NormSpec, check_eps
from convkit.spec.padding import PAD_MODES, PadMode
from convkit.spec.pool import PoolSpec
from convkit.spec.unfold import UnfoldSpec

__all__ = [
    "FLOATS",
    "PAD_MODES",
    "Axes",
    "ConvSpec",
    "ConvTransposeSpec",
    "Geometry",
    "NormSpec",
    "Pad",
    "PadMode",
    "Pairs",
    "PoolSpec",
    "Shape",
    "UnfoldSpec",
    "check_eps",
    "check_flag",
    "freeze",
    "per_axis",
    "resolve_pad",
]
