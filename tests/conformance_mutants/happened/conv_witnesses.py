"""The problems that show the bugs of convolutions, by kind of bug."""

from __future__ import annotations

import numpy as np

from conformance_mutants.happened.harness import conv, shown

GEOMETRY = {
    "dl4j_dilation_ignored": shown(conv((1, 1, 9, 9), (1, 1, 3, 3), dilation=2)),
    "mps_strides_swapped": shown(conv((1, 1, 3, 6), (1, 1, 3, 3), stride=(1, 2))),
    "mlx_one_column": shown(conv((2, 4, 10, 1), (4, 4, 3, 1), pad=(1, 0))),
    "tf_stride_beyond_kernel": shown(conv((1, 1, 3, 1), (1, 1, 1, 1), stride=(3, 1))),
    "ModularWidePadding": shown(
        conv((1, 2, 1, 16), (3, 2, 1, 8), pad=(0, 7)),
        ordinary=conv((1, 2, 1, 16), (3, 2, 1, 7), pad=(0, 6)),
    ),
    "ort_end_padding": shown(
        conv((1, 2, 5, 5), (2, 2, 2, 2), pad=((0, 1), (0, 1))),
        ordinary=conv((1, 2, 5, 5), (2, 2, 3, 3), pad=((0, 1), (0, 1))),
    ),
    "tflite_depthwise_one_column": shown(
        conv((1, 2, 8, 8), (2, 1, 3, 1), stride=2, pad="same", groups=2)
    ),
    "TfDepthwiseDilatedStrided": shown(
        conv((1, 3, 17, 17), (3, 1, 3, 3), stride=2, dilation=3, groups=3),
        ordinary=conv((1, 3, 17, 17), (3, 1, 3, 3), dilation=3, groups=3),
    ),
    "tfjs_depthwise_wide_dilation": shown(
        conv((1, 4, 13, 13), (4, 1, 3, 3), dilation=4, pad="same", groups=4),
        ordinary=conv((1, 4, 13, 12), (4, 1, 3, 3), dilation=4, pad="same", groups=4),
    ),
    "onnxmlir_pointwise": shown(
        conv((1, 2, 8, 8), (1, 2, 1, 1)), ordinary=conv((1, 1, 8, 8), (2, 1, 1, 1))
    ),
    "mnn_depthwise_two_pixels": shown(conv((1, 128, 2, 1), (128, 1, 3, 3), pad=1, groups=128)),
    "tvm_winograd_forces_padding": shown(
        conv((1, 2, 7, 7), (3, 2, 3, 3)), ordinary=conv((1, 2, 7, 7), (3, 2, 3, 3), pad=1)
    ),
    "paddlelite_depthwise_winograd": shown(
        conv((1, 4, 6, 6), (4, 1, 3, 3), pad=1, groups=4),
        ordinary=conv((1, 4, 6, 6), (4, 1, 3, 3), stride=2, groups=4),
    ),
}

GROUPS = {
    "OnednnFewChannelsPerGroup": shown(
        conv((2, 4, 6, 6), (16, 2, 3, 3), groups=2),
        ordinary=conv((2, 4, 6, 6), (8, 2, 3, 3), groups=2),
    ),
    "ModularGroupsLongKernel": shown(
        conv((1, 4, 1, 140), (4, 2, 1, 128), groups=2),
        ordinary=conv((1, 4, 1, 14), (4, 2, 1, 3), groups=2),
    ),
    "tflite_one_channel": shown(conv((1, 1, 6, 6), (2, 1, 3, 3))),
    "acl_depth_multiplier": shown(
        conv((1, 3, 6, 6), (6, 1, 3, 3), groups=3),
        ordinary=conv((1, 3, 6, 6), (3, 1, 3, 3), groups=3),
    ),
    "DepthwiseLayerMultiplier": shown(
        conv((1, 32, 4, 4), (64, 1, 3, 3), groups=32),
        ordinary=conv((1, 32, 4, 4), (32, 1, 3, 3), groups=32),
    ),
    "MpsGroupsFullHeight": shown(
        conv((2, 8, 256, 3), (16, 1, 256, 1), groups=8),
        ordinary=conv((1, 8, 16, 3), (16, 1, 16, 1), groups=8),
    ),
    "MpsConv3dChannels": shown(
        conv((1, 4, 4, 4, 4), (4, 4, 3, 3, 3), pad=1),
        ordinary=conv((1, 1, 4, 4, 4), (1, 1, 3, 3, 3), pad=1),
    ),
    "CandleChannelsEqualSize": shown(
        conv((1, 4, 4, 4), (2, 4, 3, 3), pad=1), ordinary=conv((1, 4, 4, 5), (2, 4, 3, 3), pad=1)
    ),
    "ggml_batch_mixed": shown(conv((2, 3, 5, 5), (4, 3, 3, 3))),
    "PytorchConv1dTransposed": shown(
        conv((2, 1, 15), (2, 1, 5)), ordinary=conv((2, 2, 15), (2, 2, 5))
    ),
}

BLOCKS = {
    "MkldnnSixChannels": shown(
        conv((1, 6, 5, 5), (4, 6, 3, 3)), ordinary=conv((1, 8, 5, 5), (4, 8, 3, 3))
    ),
    "tnn_winograd_tiles": shown(
        conv((1, 8, 22, 6), (8, 8, 3, 3)), ordinary=conv((1, 8, 18, 6), (8, 8, 3, 3))
    ),
    "ncnn_strided_block": shown(
        conv((1, 20, 14, 14), (42, 20, 3, 3), stride=2, pad="same"),
        ordinary=conv((1, 20, 16, 16), (42, 20, 3, 3), stride=2, pad="same"),
    ),
    "ncnn_aligned_planes": shown(
        conv((1, 3, 17, 17), (4, 3, 3, 3), stride=2, pad=1),
        ordinary=conv((1, 3, 18, 16), (4, 3, 3, 3), stride=2, pad=1),
    ),
    "ncnn_pointwise_small_map": shown(
        conv((1, 64, 14, 14), (8, 64, 1, 1)), ordinary=conv((1, 64, 16, 16), (8, 64, 1, 1))
    ),
    "acl_winograd_filters": shown(
        conv((1, 1, 6, 6), (512, 1, 3, 3)), ordinary=conv((1, 1, 6, 6), (256, 1, 3, 3))
    ),
    "ck_pointwise_even_dw": shown(
        conv((1, 4, 5, 5), (3, 4, 1, 1)), ordinary=conv((1, 5, 5, 5), (3, 5, 1, 1))
    ),
    "miopen_pointwise_dx_tail": shown(
        conv((2, 3, 1, 18, 18), (2, 3, 1, 1, 1)),
        ordinary=conv((2, 3, 1, 16, 16), (2, 3, 1, 1, 1)),
    ),
    "onednn_narrow_strided_dx": shown(
        conv((1, 64, 8), (17, 64, 3), stride=2, pad=1),
        ordinary=conv((1, 16, 8), (17, 16, 3), stride=2, pad=1),
    ),
    "onednn_depthwise_strided_dw": shown(
        conv((1, 24, 6, 6), (24, 1, 3, 3), stride=2, pad=1, groups=24),
        ordinary=conv((1, 23, 6, 6), (23, 1, 3, 3), stride=2, pad=1, groups=23),
    ),
    "onednn_pointwise_strided_dw": shown(
        conv((32, 4, 32, 32), (8, 4, 1, 1), stride=2, passes=("forward", "backward-dw")),
        ordinary=conv((2, 8, 32, 32), (8, 8, 1, 1), stride=2),
    ),
}

GRADIENTS = {
    "mkldnn_dx_stride_three": shown(
        conv((1, 9, 32, 32), (3, 9, 5, 5), stride=3, pad=1),
        ordinary=conv((1, 9, 8, 12), (3, 9, 5, 5), stride=3, pad=1),
    ),
    "rocmlir_dx_bounds": shown(
        conv((1, 2, 51, 51), (2, 2, 3, 3), stride=2, pad=1),
        ordinary=conv((1, 2, 8, 8), (2, 2, 3, 3), stride=2, pad=1),
    ),
    "MlxGroupsStridedDx": shown(
        conv((1, 4, 7, 7), (4, 1, 3, 3), stride=2, pad=1, groups=4),
        ordinary=conv((1, 4, 7, 7), (4, 1, 3, 3), pad=1, groups=4),
    ),
    "DepthwiseLayerStridedDx": shown(
        conv((1, 4, 7, 7), (4, 1, 3, 3), stride=2, groups=4),
        ordinary=conv((1, 4, 7, 7), (4, 1, 3, 3), groups=4),
    ),
    "OnednnConv3dGroupsDw": shown(
        conv((1, 6, 6, 6, 3), (6, 2, 2, 2, 2), stride=(4, 4, 1), pad=1, groups=3),
        ordinary=conv((1, 6, 6, 6, 3), (6, 2, 2, 2, 2), stride=(2, 2, 1), pad=1, groups=3),
    ),
    "MxnetBiasWithoutWeights": shown(
        conv((1, 2, 4, 4), (2, 2, 3, 3)),
        ordinary=conv((1, 2, 4, 4), (2, 2, 3, 3), passes=("forward", "backward-dx-dw-db")),
    ),
    "theano_stride_above_two": shown(
        conv((1, 2, 9, 9), (2, 2, 2, 2), stride=3),
        ordinary=conv((1, 2, 9, 9), (2, 2, 2, 2), stride=2),
    ),
    "coursera_stride_missing": shown(conv((1, 2, 7, 7), (2, 2, 3, 3), stride=2)),
    "npconv_dx_columns_from_rows": shown(
        conv((1, 2, 6, 9), (2, 2, 3, 3)), ordinary=conv((1, 2, 7, 7), (2, 2, 3, 3))
    ),
    "LbannDwLastImage": shown(conv((3, 2, 5, 5), (2, 2, 3, 3))),
    "BurnDxTail": shown(
        conv((1, 1, 1603), (1, 1, 4), stride=4), ordinary=conv((1, 1, 5), (1, 1, 4), stride=4)
    ),
    "CandleDxStrided": shown(
        conv((1, 3, 14, 14), (2, 3, 7, 7), stride=2, pad=3),
        ordinary=conv((1, 3, 13, 13), (2, 3, 7, 7), stride=2, pad=3),
    ),
    "MygradDxOtherAxes": shown(conv((1, 2, 7), (2, 2, 3)), conv((1, 2, 3, 4, 5), (2, 2, 2, 2, 2))),
}

FORWARD = ("forward",)
LARGE = {
    "MlxManyTaps": shown(
        conv((1, 1, 181, 181), (1, 1, 182, 182), pad=1, passes=FORWARD),
        ordinary=conv((1, 1, 18, 18), (1, 1, 19, 19), pad=1),
    ),
    "mlxswift_long_signal": shown(conv((1, 1, 32800), (1, 1, 2))),
    "mps_many_filters": shown(conv((1, 1, 3), (65537, 1, 3), pad=1, passes=FORWARD)),
    "mps_long_kernel": shown(
        conv((1, 1, 65537), (1, 1, 65536), passes=FORWARD, data="positive"),
    ),
    "tf_many_images": shown(conv((65537, 1, 1, 1), (1, 1, 1, 1), passes=FORWARD)),
    "ModularEightChannels": shown(
        conv((1, 8, 5, 5), (2, 8, 3, 3), data="wide"),
        ordinary=conv((1, 6, 5, 5), (2, 6, 3, 3), data="wide"),
    ),
    "PytorchWorkerOtherKernel": shown(conv((8, 64, 64), (64, 64, 1), data="reals"), in_thread=True),
}

STATE = {
    "TfjsOddWidthSecondRun": shown(
        *[conv((1, 2, 5, 7), (2, 2, 3, 3), pad=1)] * 2,
    ),
    "NnlibDepthwiseNotCleared": shown(conv((1, 3, 10, 10), (6, 1, 3, 3), pad=1, groups=3)),
    "NnlibThreadedDw": shown(conv((10, 3, 7, 7), (1, 3, 3, 3)), threads=2),
    "TfDilatedRemembersLength": shown(
        conv((1, 1, 10), (1, 1, 3), dilation=2),
        conv((1, 1, 20), (1, 1, 3), dilation=2),
        ordinary=conv((1, 1, 20), (1, 1, 3), dilation=2),
    ),
    "AppleLongRowNan": shown(
        conv((1, 1, 1, 1024), (1, 1, 1, 499)), ordinary=conv((1, 1, 1, 512), (1, 1, 1, 256))
    ),
}

FUSED = {
    "JaxGroupedRelu": shown(conv((1, 4, 5, 5), (4, 2, 3, 3), groups=2)),
    "WebmlActivationIgnored": shown(
        conv((1, 2, 6, 6), (2, 2, 3, 3)),
        ordinary=conv((1, 2, 6, 6), (2, 2, 3, 3), data="positive"),
    ),
    "OpenvinoFusedChannelBlock": shown(
        conv((1, 2, 6, 6), (40, 2, 3, 3)), ordinary=conv((1, 2, 6, 6), (32, 2, 3, 3))
    ),
}

EMPTY = {
    "NnlibEmptyDw": shown(conv((0, 2, 5, 5), (2, 2, 3, 3))),
    "NnpackEmptyBatch": shown(
        conv((0, 2, 5, 5), (2, 2, 3, 3)),
        ordinary=conv((0, 2, 5, 5), (2, 2, 3, 3), dtype=np.float64),
    ),
    "TfEmptyBackward": shown(conv((0, 2, 5, 5), (2, 2, 3, 3))),
}

CRASH_HANG = {
    "MkldnnPadThree": shown(
        conv((6, 4, 8, 8), (4, 4, 3, 3), pad=(1, 3)),
        ordinary=conv((6, 4, 8, 8), (4, 4, 3, 3), pad=(3, 1)),
    ),
    "MkldnnThreeFilters": shown(
        conv((1, 64, 15, 15), (3, 64, 11, 11), stride=4),
        ordinary=conv((1, 64, 15, 15), (4, 64, 11, 11), stride=4),
    ),
    "MkldnnCodeTooBig": shown(conv((1, 1, 1000), (2, 1, 769), stride=64, pad=384)),
    "OnednnUnitImageStrides": shown(
        conv((2, 64, 1, 1), (1, 64, 125, 1), stride=2, pad=63, data="odd strides"),
        ordinary=conv((2, 64, 1, 1), (1, 64, 125, 1), stride=2, pad=63),
    ),
    "PytorchDilatedFewChannels": shown(
        conv((1, 3, 16, 16), (8, 3, 3, 3), pad=2, dilation=2),
        ordinary=conv((1, 8, 16, 16), (8, 8, 3, 3), pad=2, dilation=2),
    ),
    "OpencvDepthwiseRead": shown(
        conv((1, 128, 4, 4), (128, 1, 3, 3), stride=2, pad=1, groups=128, data="wall"),
        ordinary=conv((1, 128, 4, 4), (128, 1, 3, 3), pad=1, groups=128, data="wall"),
    ),
    "OnednnBackwardInWorker": shown(
        conv((4, 3, 6, 6), (2, 3, 3, 3), pad=1), ordinary=conv((1, 3, 6, 6), (2, 3, 3, 3), pad=1)
    ),
    "OnednnCachedWinogradDx": shown(conv((1, 2, 6, 6), (2, 2, 3, 3))),
    "tvm_winograd_not_square": shown(
        conv((1, 2, 5, 6), (2, 2, 3, 3)), ordinary=conv((1, 2, 6, 6), (2, 2, 3, 3))
    ),
    "nnom_strided_pointwise": shown(
        conv((1, 2, 6, 6), (2, 2, 1, 1), stride=2), ordinary=conv((1, 2, 6, 6), (2, 2, 1, 1))
    ),
}

CONVOLUTIONS = {
    **GEOMETRY,
    **GROUPS,
    **BLOCKS,
    **GRADIENTS,
    **LARGE,
    **STATE,
    **FUSED,
    **EMPTY,
    **CRASH_HANG,
}
