"""x"""

from conformance_mutants.fresh import (  # noqa: F401
    counters,
    empty_batches,
    environment,
    fused_path,
    fused_state,
    groups_dilation_strides,
    inference_path,
    one_and_three_axes,
    pooling_special,
    popular_3x3,
    popular_depthwise,
    popular_fused,
    popular_point,
    popular_pools,
    popular_wide,
    precision,
    shared_state,
    sizes,
    state,
)
