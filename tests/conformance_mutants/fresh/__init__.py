"""x"""

from conformance_mutants.fresh import (  # noqa: F401
    counters,
    inference_path,
    popular_3x3,
    popular_depthwise,
    popular_fused,
    popular_point,
    popular_pools,
    popular_wide,
    sizes,
)
