"""The layer functions: normalise -> select -> call -> cache.

This is the stable API; its functions lie in :mod:`convkit.functions` by family. They hold no loop
over pixels and no geometry: :mod:`convkit.spec` works out the sizes, :mod:`convkit.calls.dispatch`
makes the call, and the values come from a backend.

Shapes, for any number of spatial axes (shown for two): x (N, C, H, W), w (F, C / groups, KH, KW),
b (F,), out (N, F, OH, OW). Every geometry argument is an int or one int per spatial axis; ``pad``
is also one (begin, end) pair per axis, ``"same"`` or ``"valid"``. An argument that is None was not
given: the default stated for it holds. All arrays of a call are of one dtype, float32 or float64,
in any layout; results are new C-contiguous arrays of that dtype, and inputs are never written to.
"""

from __future__ import annotations

from convkit.calls.dispatch import Cache
from convkit.functions.conv import (
    conv,
    conv_backward,
    conv_forward,
    conv_transpose,
    conv_transpose_backward,
    conv_transpose_forward,
)
from convkit.functions.conv_bn import conv_bn_relu, conv_bn_relu_backward, conv_bn_relu_forward
from convkit.functions.fused import (
    conv_relu,
    conv_relu_backward,
    conv_relu_forward,
    conv_relu_pool_backward,
    conv_relu_pool_forward,
)
from convkit.functions.norms import (
    batch_norm,
    batch_norm_backward,
    batch_norm_forward,
    group_norm,
    group_norm_backward,
    group_norm_forward,
)
from convkit.functions.pools import (
    avg_pool,
    avg_pool_backward,
    avg_pool_forward,
    max_pool,
    max_pool_backward,
    max_pool_forward,
)
from convkit.functions.windows import fold, max_pool_indices, unfold

__all__ = [
    "Cache",
    "avg_pool",
    "avg_pool_backward",
    "avg_pool_forward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_forward",
    "conv",
    "conv_backward",
    "conv_bn_relu",
    "conv_bn_relu_backward",
    "conv_bn_relu_forward",
    "conv_forward",
    "conv_relu",
    "conv_relu_backward",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
    "conv_transpose",
    "conv_transpose_backward",
    "conv_transpose_forward",
    "fold",
    "group_norm",
    "group_norm_backward",
    "group_norm_forward",
    "max_pool",
    "max_pool_backward",
    "max_pool_forward",
    "max_pool_indices",
    "unfold",
]
