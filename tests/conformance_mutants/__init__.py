"""Backends with one planted bug each, by which the conformance suite itself is judged.

``convkit conformance conformance_mutants:NAME`` (with ``tests`` on PYTHONPATH) runs the suite on
one of them. A mutant that the suite does not find is a missing case in the suite.
"""

from __future__ import annotations

from conformance_mutants import (  # noqa: F401 - importing puts the mutants on the list
    backward,
    base,
    blocks,
    channels,
    contract,
    conv_bn_backward,
    conv_bn_base,
    conv_bn_forward,
    conv_relu,
    conv_relu_base,
    fresh,
    fused,
    geometry,
    happened,
    host,
    indices,
    norm_base,
    norm_paths,
    norm_sets,
    norm_state,
    norm_sums,
    pad_modes,
    pooling,
    precision,
    state,
    transposed,
    transposed_base,
    transposed_paths,
)
from conformance_mutants.registry import MUTANTS, SETS

__all__ = ["CORRECT", "MUTANTS", "SETS"]

CORRECT = {
    c.__name__: c
    for c in (
        *(base.Taps, base.Fused, base.Inference, base.Full, base.Threaded, base.FullThreaded),
        *(base.CopyingPadding, norm_base.Norms, norm_base.ThreadedNorms),
        *(transposed_base.Transposed, conv_relu_base.Rectified, conv_bn_base.ConvBn),
    )
}


def __getattr__(name):
    if name in CORRECT:
        return CORRECT[name]
    for mutants in SETS.values():
        if name in mutants:
            return mutants[name].make
    raise AttributeError(name)
