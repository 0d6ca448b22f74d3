"""Bugs that the suite was not developed with: a set of its own, to score the suite by.

They were written before the suite had a generator of problems, by an author who has not seen how
it draws them and has not run it: from what the contract says, and from the kinds of mistake that
specialised kernels make (a popular geometry beyond a block, a large number in one place, a path
for inference or for a fused pass, state, surroundings). Every one has a cheap problem beside it
on which it is wrong; see ``witness``. Keep it so: a bug that the suite misses is a reason to
extend the suite's model of problems, never to add this bug's problem to it.
"""

from conformance_mutants.fresh import (  # noqa: F401 - importing puts the mutants on the list
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
