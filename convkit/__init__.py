"""Convolution and pooling layers for NumPy arrays, forward and backward, on pluggable backends.

Public names and nothing else: importing convkit imports no backend and reads no variable.
"""

from typing import TYPE_CHECKING, Any

from convkit.api import (
    avg_pool,
    avg_pool_backward,
    avg_pool_forward,
    batch_norm,
    batch_norm_backward,
    batch_norm_forward,
    conv,
    conv_backward,
    conv_bn_relu,
    conv_bn_relu_backward,
    conv_bn_relu_forward,
    conv_forward,
    conv_relu,
    conv_relu_backward,
    conv_relu_forward,
    conv_relu_pool_backward,
    conv_relu_pool_forward,
    conv_transpose,
    conv_transpose_backward,
    conv_transpose_forward,
    fold,
    group_norm,
    group_norm_backward,
    group_norm_forward,
    max_pool,
    max_pool_backward,
    max_pool_forward,
    max_pool_indices,
    unfold,
)
from convkit.calls.cache import Cache
from convkit.errors import (
    BackendCallError,
    BackendLoadError,
    BackendNotFoundError,
    BackendResultError,
    BackendUnsupportedError,
    CacheError,
    ConvkitError,
    DataError,
    DtypeError,
    ParameterError,
    SelectionError,
    ShapeError,
    VerifyError,
)
from convkit.registry import backends, reload
from convkit.selection.outcome import Selection
from convkit.selection.resolve import explain
from convkit.selection.scope import set_default_backend, use_backend, verify_with
from convkit.spec import ConvSpec, ConvTransposeSpec, NormSpec, PoolSpec
from convkit.version import __version__

if TYPE_CHECKING:
    from convkit.calls.tracing import register_observer, trace, unregister_observer
    from convkit.selection.transfer import restore, snapshot, wrap

_LAZY = {
    "restore": "convkit.selection.transfer",
    "snapshot": "convkit.selection.transfer",
    "wrap": "convkit.selection.transfer",
    "register_observer": "convkit.calls.tracing",
    "trace": "convkit.calls.tracing",
    "unregister_observer": "convkit.calls.tracing",
}
_PACKAGES = ("layers", "models", "training")

__all__ = [
    "BackendCallError",
    "BackendLoadError",
    "BackendNotFoundError",
    "BackendResultError",
    "BackendUnsupportedError",
    "Cache",
    "CacheError",
    "ConvSpec",
    "ConvTransposeSpec",
    "ConvkitError",
    "DataError",
    "DtypeError",
    "NormSpec",
    "ParameterError",
    "PoolSpec",
    "Selection",
    "SelectionError",
    "ShapeError",
    "VerifyError",
    "__version__",
    "avg_pool",
    "avg_pool_backward",
    "avg_pool_forward",
    "backends",
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
    "explain",
    "fold",
    "group_norm",
    "group_norm_backward",
    "group_norm_forward",
    "max_pool",
    "max_pool_backward",
    "max_pool_forward",
    "max_pool_indices",
    "register_observer",
    "reload",
    "restore",
    "set_default_backend",
    "snapshot",
    "trace",
    "unfold",
    "unregister_observer",
    "use_backend",
    "verify_with",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """Import on first use what few programs need, so that ``import convkit`` stays cheap."""
    import importlib

    if name in _PACKAGES:
        return importlib.import_module(f"convkit.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module 'convkit' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
