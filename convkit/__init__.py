"""Convolution and pooling layers for NumPy arrays, forward and backward, on pluggable backends.

Public names and nothing else: importing convkit imports no backend and reads no variable.
"""

from convkit.api import (
    avg_pool,
    avg_pool_backward,
    avg_pool_forward,
    conv,
    conv_backward,
    conv_forward,
    conv_relu_pool_backward,
    conv_relu_pool_forward,
    max_pool,
    max_pool_backward,
    max_pool_forward,
)
from convkit.cache import Cache
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
from convkit.selection import (
    Selection,
    explain,
    set_default_backend,
    use_backend,
    verify_with,
)
from convkit.spec import ConvSpec, PoolSpec

__version__ = "0.1.0"

__all__ = [
    "BackendCallError",
    "BackendLoadError",
    "BackendNotFoundError",
    "BackendResultError",
    "BackendUnsupportedError",
    "Cache",
    "CacheError",
    "ConvSpec",
    "ConvkitError",
    "DataError",
    "DtypeError",
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
    "conv",
    "conv_backward",
    "conv_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
    "explain",
    "max_pool",
    "max_pool_backward",
    "max_pool_forward",
    "reload",
    "set_default_backend",
    "use_backend",
    "verify_with",
]
