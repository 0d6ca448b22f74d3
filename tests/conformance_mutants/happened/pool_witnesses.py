"""The problems that show the bugs of pools, by kind of bug."""

from __future__ import annotations

import numpy as np

from conformance_mutants.happened.harness import avg_pool, max_pool, shown

POSITIVE = max_pool((1, 2, 5, 7), (2, 3), data="positive")
MAX_POOL = {
    "tfjs_maximum_from_zero": shown(max_pool((1, 2, 4, 4), 2, data="negative"), ordinary=POSITIVE),
    "onednn_maximum_from_tiny": shown(
        max_pool((1, 2, 4, 4), 2, data="negative"), ordinary=POSITIVE
    ),
    "tfjs_unit_window": shown(max_pool((1, 4, 3, 4), 1, stride=(4, 3), data="positive")),
    "tflitemicro_first_image": shown(max_pool((3, 2, 4, 4), 2)),
    "tflitemicro_padding_arguments": shown(
        max_pool((1, 2, 1, 8), (1, 4)), ordinary=max_pool((1, 2, 2, 8), (2, 4))
    ),
    "fastnn_dilation_ignored": shown(max_pool((1, 1, 4, 4), 2, stride=1, dilation=2)),
    "systemds_maximum_padded": shown(max_pool((1, 2, 6, 6), 2, pad=1)),
    "AutogradReshapedWindows": shown(max_pool((1, 2, 6, 6), 2)),
    "ort_maximum_extra_window": shown(
        max_pool((1, 2, 3, 6, 5), 3, pad=1, ceil_mode=True),
        ordinary=max_pool((1, 2, 3, 6, 5), 3, pad=1),
    ),
    "ort_average_extra_window": shown(
        avg_pool((1, 2, 3, 6, 5), 3, pad=1, ceil_mode=True),
        ordinary=avg_pool((1, 2, 3, 6, 5), 3, pad=1),
    ),
    "ttnn_maximum_tail": shown(
        max_pool((1, 32, 9, 9), 3, stride=1, pad=1),
        ordinary=max_pool((1, 32, 8, 8), 3, stride=1, pad=1),
    ),
    "openvino_window_beyond_image": shown(
        max_pool((1, 2, 3, 9), (5, 2), stride=(3, 2), pad=((1, 2), (0, 0)), ceil_mode=True),
        ordinary=max_pool((1, 2, 3, 9), (5, 2), stride=(3, 2), pad=((1, 2), (0, 0))),
    ),
    "cldnn_end_padding": shown(
        max_pool((1, 2, 5, 5), 2, pad=((0, 1), (0, 1)), data="negative"),
        ordinary=max_pool((1, 2, 5, 5), 2, pad=((1, 0), (1, 0)), data="negative"),
    ),
}

CEIL = {"stride": 3, "ceil_mode": True}
AVG_POOL = {
    "coreml_overhang_counted": shown(
        avg_pool((1, 1, 7, 7), 2, count_include_pad=True, **CEIL),
        ordinary=avg_pool((1, 1, 8, 8), 2, count_include_pad=True, **CEIL),
    ),
    "ort_overhang_counted": shown(
        avg_pool((1, 1, 4, 4), 3, stride=2, ceil_mode=True),
        ordinary=avg_pool((1, 1, 5, 5), 3, stride=2, ceil_mode=True),
    ),
    "ort_begin_padding_twice": shown(
        avg_pool((1, 1, 8), 7, stride=3, pad=((0, 3),), count_include_pad=True),
        ordinary=avg_pool((1, 1, 8), 7, stride=3, pad=2, count_include_pad=True),
    ),
    "ort_padding_folded": shown(
        avg_pool((1, 1, 2, 2), 2, stride=1, pad=((0, 1), (0, 1)), count_include_pad=True),
        ordinary=avg_pool((1, 1, 2, 2), 2, stride=1, pad=((0, 1), (0, 1))),
    ),
    "openvino_average_channels": shown(
        avg_pool((1, 18, 4, 4), 2), ordinary=avg_pool((1, 16, 4, 4), 2)
    ),
    "MpsPoolGraphKey": shown(
        avg_pool((1, 2, 4, 4), 2, pad=1),
        avg_pool((1, 2, 4, 4), 2, pad=1, count_include_pad=True),
        ordinary=avg_pool((1, 2, 4, 4), 2, pad=1, count_include_pad=True),
    ),
}

POOL_GRADIENTS = {
    "nnlib_gradient_padded": shown(max_pool((1, 1, 3, 3), 2, pad=1)),
    "NnlibOverlapAssigned": shown(max_pool((1, 1, 10, 10), 2, stride=1)),
    "tfmkl_gradient_odd_rows": shown(max_pool((1, 1, 5, 5), 2)),
    "scratch_first_window": shown(max_pool((1, 2, 4, 4), 2), ordinary=max_pool((1, 2, 2, 2), 2)),
    "tf_argmax_without_batch": shown(max_pool((2, 2, 4, 4), 2)),
    "OnednnGlobalFirstWins": shown(
        max_pool((1, 2, 4, 4), 4, data="falling"), ordinary=max_pool((1, 2, 4, 4), 2)
    ),
    "onednn_global_layout": shown(
        avg_pool((4, 32, 32, 32), 32), ordinary=avg_pool((1, 2, 8, 8), 4)
    ),
    "AidotnetIndexBits": shown(
        max_pool((1, 2, 4, 4), 2), ordinary=max_pool((1, 2, 4, 4), 2, data="falling")
    ),
    "PytorchWindowOfInfinities": shown(max_pool((1, 2, 4, 4), 2, data="all -inf")),
}

OTHER = {
    "TheanoManyPlanes": shown(max_pool((256, 256, 2, 2), 2)),
    "TfEmptyMaxPool3dGradient": shown(
        max_pool((0, 2, 4, 4, 4), 2), ordinary=max_pool((0, 2, 4, 4), 2)
    ),
}

NONFINITE = {
    "TheanoNanUnlessFirst": shown(max_pool((1, 2, 6, 6), 2, data="nan")),
    "PytorchNanIgnored": shown(max_pool((1, 2, 6, 6), 2, data="nan")),
    "PytorchNanIgnoredIn3d": shown(
        max_pool((1, 1, 4, 4, 4), 2, data="all nan"),
        ordinary=max_pool((1, 1, 4, 4), 2, data="all nan"),
    ),
    "TfNanByLane": shown(
        max_pool((1, 3, 6, 6), 2, data="nan", dtype=np.float64),
        ordinary=max_pool((1, 2, 6, 6), 2, data="nan", dtype=np.float64),
    ),
    "plaidml_nan_is_zero": shown(max_pool((1, 1, 4, 4), 2, data="nan")),
}

POOLS = {
    **MAX_POOL,
    **AVG_POOL,
    **POOL_GRADIENTS,
    **OTHER,
    **NONFINITE,
}
