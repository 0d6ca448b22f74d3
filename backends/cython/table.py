"""The table of kernels: what each does and which problems it takes. Listed means tested.

Selection reads it, and so do tests and benchmarks: for every operation the first kernel whose
``applies`` accepts the spec runs, and the last one of an operation accepts everything. The numbers
are those of src/ck.h.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from convkit.spec import ConvSpec, PoolSpec

ABI = 8  # CK_ABI of the ck.h that this table was written for


@dataclass(frozen=True)
class Kernel:
    """One kernel of one operation."""

    operation: str
    name: str
    number: int
    what: str
    applies: Callable[[ConvSpec], bool] | Callable[[PoolSpec], bool]


def _always(spec: ConvSpec | PoolSpec) -> bool:
    return True


def _taps_listed(spec: ConvSpec | PoolSpec) -> bool:
    """A kernel and a stride that the lists of taps hold."""
    return prod(spec.kernel) <= 512 and prod(spec.stride) <= 64


def _image(spec: ConvSpec | PoolSpec) -> bool:
    """One or two spatial axes, too."""
    return spec.axes <= 2 and _taps_listed(spec)


def _whole_image(spec: PoolSpec) -> bool:
    return (
        spec.kernel == spec.x_shape[2:]
        and prod(spec.kernel) < 2**31  # places are counted in lanes of 32 bits
        and max(spec.dilation) == 1
        and not any(map(any, spec.pad))
    )


def _tiles(spec: PoolSpec) -> bool:
    """Windows of two columns lie side by side on the image or volume, none of them over its end."""
    return (
        spec.axes <= 3
        and spec.kernel == spec.stride
        and spec.kernel[-1] == 2
        and prod(spec.kernel) < 256
        and max(spec.dilation) == 1
        and not any(map(any, spec.pad))
        and all(
            windows * size <= pixels  # ceil_mode lets the last one hang over
            for windows, size, pixels in zip(
                spec.out_shape[2:], spec.kernel, spec.x_shape[2:], strict=True
            )
        )
    )


def _depthwise(spec: ConvSpec) -> bool:
    return _image(spec) and spec.w_shape[1] == 1 and spec.groups > 1


def _winograd(spec: ConvSpec) -> bool:
    """3x3 and stride 1, with channels enough to pay for the transforms and tiles mostly full."""
    tiles = prod(-(-size // 4) for size in spec.out_shape[2:])
    return (
        spec.kernel == (3, 3)
        and spec.stride == (1, 1)
        and spec.dilation == (1, 1)
        and min(spec.w_shape[0] // spec.groups, spec.w_shape[1]) >= 16
        and prod(spec.out_shape[2:]) >= 8 * tiles
    )


def _few_channels(spec: ConvSpec) -> bool:
    """Few channels with many filters behind them, or results that meet mostly padding.

    Counted in cycles for each filter and vector of dout's pixels. src/columns_impl.h writes
    and reads a column for each sum over the filters. src/gemm_impl.h copies the pixels first, sums
    for every pixel of dx all taps of its phase, and wants two channels to fill its registers.
    """
    channels, filters = spec.w_shape[1], spec.w_shape[0] // spec.groups
    if channels > 6 or not _image(spec):
        return False
    taps, stride, size = prod(spec.kernel), max(spec.stride), spec.dtype.itemsize
    spread = prod(spec.x_shape[2:]) / (prod(spec.out_shape[2:]) * prod(spec.stride))
    phases = 5 + max(channels, 2) * taps * spread * min(1.45, 0.8 + 0.2 * stride)
    reach = (spec.kernel[0] - 1) * spec.dilation[0] // spec.stride[0] if spec.axes == 2 else 0
    kept = 2 * max(reach, 1) * channels * taps * spec.out_shape[-1] * size  # by a task
    fits = kept <= 1 << 20 and prod(spec.w_shape) * size <= 2 << 20
    return fits and channels * taps * (1 + 7 / filters) < phases


KERNELS = (
    Kernel("conv_forward", "depthwise", 2, "each channel by itself, row by row", _depthwise),
    Kernel("conv_dx", "depthwise", 2, "each channel by itself, row by row", _depthwise),
    Kernel("conv_dw", "depthwise", 2, "each channel by itself, row by row", _depthwise),
    Kernel("conv_forward", "gemm", 1, "implicit matrix product over strips", _taps_listed),
    Kernel("conv_dw", "gemm", 1, "sums over blocks of pixels copied without padding", _taps_listed),
    Kernel("conv_dx", "columns", 4, "products for each tap of few channels, summed", _few_channels),
    Kernel("conv_dx", "gemm", 1, "one stride-1 pass per phase, flipped weights", _taps_listed),
    Kernel("conv_forward", "direct", 0, "the definition, row by row", _always),
    Kernel("conv_dx", "direct", 0, "the definition, row by row", _always),
    Kernel("conv_dw", "direct", 0, "the definition, row by row", _always),
    Kernel("max_pool_forward", "global", 2, "one window: the whole image", _whole_image),
    Kernel("max_pool_forward", "tiles", 3, "row by row, where the pixels lie", _tiles),
    Kernel("max_pool_forward", "rows", 1, "row by row, in vectors", _image),
    Kernel("max_pool_forward", "windows", 0, "window by window", _always),
    Kernel("max_pool_backward", "global", 2, "one window: the whole image", _whole_image),
    Kernel("max_pool_backward", "tiles", 3, "row by row, where the pixels lie", _tiles),
    Kernel("max_pool_backward", "windows", 0, "each gradient to its maximum's place", _always),
    Kernel("avg_pool_forward", "global", 2, "one window: the whole image", _whole_image),
    Kernel("avg_pool_forward", "tiles", 3, "row by row, where the pixels lie", _tiles),
    Kernel("avg_pool_forward", "rows", 1, "row by row, in vectors", _image),
    Kernel("avg_pool_forward", "windows", 0, "window by window", _always),
    Kernel("avg_pool_backward", "global", 2, "one window: the whole image", _whole_image),
    Kernel("avg_pool_backward", "tiles", 3, "row by row, where the pixels lie", _tiles),
    Kernel("avg_pool_backward", "rows", 1, "row by row, in vectors", _image),
    Kernel("avg_pool_backward", "windows", 0, "window by window", _always),
)


@lru_cache(maxsize=256)
def sums_pooled_gradient(conv: ConvSpec, pool: PoolSpec) -> bool:
    """Whether dw of conv - relu - max pool is best summed over what the pooling let through.

    That is one product in a window's size, but in runs of the kernel's width, which fill registers
    badly where it is narrow (src/pooled_dw_impl.h). Counted in lanes per channel's result; twice,
    for its loads cross cache lines. Its buffers are small against the arrays.
    """
    if conv.axes > 2 or max(conv.dilation) > 1 or not prod(conv.x_shape):
        return False
    lanes = 32 // conv.dtype.itemsize
    filters, channels = conv.w_shape[:2]
    height, width = (1, *conv.kernel)[-2:]
    runs = channels * height * -(-width // lanes)
    row = ((1, *pool.kernel)[-2] * (1, *conv.stride)[-2] + height) * conv.x_shape[-1] * channels
    small = max(8 * filters * (runs + channels) * lanes, row) * conv.dtype.itemsize <= 2 << 20
    sparse = prod(pool.out_shape) * (runs + 8) * lanes
    return small and 2 * sparse <= prod(conv.out_shape) * channels * height * width


FAST_KERNELS = (
    Kernel("conv_forward", "winograd", 3, "tiles of 4x4 results by 36 products each", _winograd),
    Kernel("conv_dx", "winograd", 3, "the same with flipped weights", _winograd),
    *KERNELS,
)
"""The table of ``cython_fast``: before the exact kernels those that round differently."""


def candidates(
    operation: str, spec: ConvSpec | PoolSpec, kernels: tuple[Kernel, ...] = KERNELS
) -> list[Kernel]:
    """Return the kernels of ``operation`` that take this problem, the preferred one first."""
    return [
        kernel
        for kernel in kernels
        if kernel.operation == operation and kernel.applies(spec)  # type: ignore[arg-type]
    ]


def choose(operation: str, spec: ConvSpec | PoolSpec, kernels: tuple[Kernel, ...] = KERNELS) -> int:
    """Return the number of the kernel that runs this problem."""
    return candidates(operation, spec, kernels)[0].number
