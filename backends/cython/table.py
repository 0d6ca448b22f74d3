"""The table of kernels: what each does, which problems it takes, where it pays.

Selection reads it, and so do tests and benchmarks: listed means tested. For every operation the
first kernel that computes the problem (``applies``) and is expected to be faster than the rest
(``pays``) runs; the last one of an operation computes everything. Names are those of
``src/kernels.def``. ``isa`` is the instruction set in use: some rules depend on its vectors or on a
kernel's limits, and some ask a cost model that is defined beside its kernel in ``src``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from convkit.spec import ConvSpec, NormSpec, PoolSpec

if TYPE_CHECKING:
    from ._kernels import InstructionSet

INTERFACE = 12
"""CK_INTERFACE of the src/kernels.h that this table was written for."""

_NEVER, _ALWAYS, _SOMETIMES = range(3)  # what a cost model says, as in src/kernels.h

# A ConvSpec, a PoolSpec, a NormSpec, or a tuple of both for a fused operation.
Problem: TypeAlias = Any
Rule: TypeAlias = "Callable[[Any, InstructionSet], bool]"


def _always(problem: Problem, isa: InstructionSet) -> bool:
    return True


@dataclass(frozen=True)
class Kernel:
    """One kernel of one operation."""

    operation: str
    name: str
    what: str
    applies: Rule
    """Whether it computes the problem."""
    pays: Rule = _always
    """Whether it is then expected to be faster than those after it in the table."""
    compiled: bool = True
    """Whether it is a C function; otherwise the backend composes it of others."""


def _and(*rules: Rule) -> Rule:
    return lambda problem, isa: all(rule(problem, isa) for rule in rules)


def _taps_listed(spec: ConvSpec | PoolSpec, isa: InstructionSet) -> bool:
    """A kernel and a stride that the lists of taps hold."""
    return prod(spec.kernel) <= isa.most_taps and prod(spec.stride) <= 64


def _image(spec: ConvSpec | PoolSpec, isa: InstructionSet) -> bool:
    """One or two spatial axes, too."""
    return spec.axes <= 2 and _taps_listed(spec, isa)


# --- convolution ---------------------------------------------------------------------------------


def _in_place(spec: ConvSpec, isa: InstructionSet) -> bool:
    """Result i depends on pixel i alone, so pixels are read from x (dx: dout) itself."""
    return (
        _taps_listed(spec, isa)
        and prod(spec.kernel) == 1
        and all(begin == 0 for begin, _ in spec.pad)
        and spec.out_shape[2:] == spec.x_shape[2:]
        # A stride over one pixel does nothing, but in the last axis it still makes phases.
        and all(
            pixels == 1 or step == 1
            for pixels, step in zip(spec.x_shape[2:], spec.stride, strict=True)
        )
        and spec.stride[-1] == 1
    )


def _gapless(spec: ConvSpec, isa: InstructionSet) -> bool:
    """Strides above 2 would be copied one by one."""
    return _taps_listed(spec, isa) and spec.stride[-1] <= 2


def _narrow_rows(spec: ConvSpec, isa: InstructionSet) -> bool:
    """dw: a copy for each column of taps saves partial vectors for all taps of that column."""
    lanes = isa.vector_bytes // spec.dtype.itemsize
    return (
        spec.stride[-1] == 1
        and spec.out_shape[-1] < lanes
        and spec.axes > 1
        and spec.kernel[-2] > 3
    )


def _phases_of_depth(spec: ConvSpec, isa: InstructionSet) -> bool:
    return _taps_listed(spec, isa) and spec.axes == 3 and spec.stride[0] > 1


def _costs(model: str, *answers: int) -> Rule:
    """Whether the cost model gives one of these answers."""
    return lambda spec, isa: isa.rule(model, spec) in answers


def _depthwise(spec: ConvSpec, isa: InstructionSet) -> bool:
    return _image(spec, isa) and spec.w_shape[1] == 1 and spec.groups > 1


def _depthwise_3x3(spec: ConvSpec, isa: InstructionSet) -> bool:
    """One filter for each channel, and rows for which masks are kept: padding is masked out."""
    row = isa.most_blocks * isa.vector_bytes // spec.dtype.itemsize
    return (
        isa.masked_loads
        and _depthwise(spec, isa)
        and spec.w_shape[0] == spec.groups
        and spec.kernel == (3, 3)
        and spec.dilation == (1, 1)
        and spec.stride in ((1, 1), (2, 2))
        and max(spec.x_shape[-1], spec.out_shape[-1] * spec.stride[-1]) <= row
    )


def _depthwise_3x3_dx(spec: ConvSpec, isa: InstructionSet) -> bool:
    """With stride 2 only a padding of 1, whose phases are reached by the same taps everywhere."""
    begins = tuple(begin for begin, _ in spec.pad)
    return _depthwise_3x3(spec, isa) and (spec.stride == (1, 1) or begins == (1, 1))


def _winograd(spec: ConvSpec, isa: InstructionSet) -> bool:
    return (spec.kernel, spec.stride, spec.dilation) == ((3, 3), (1, 1), (1, 1))


def _winograd_pays(spec: ConvSpec, isa: InstructionSet) -> bool:
    """Channels enough to pay for the transforms, and tiles mostly full."""
    tiles = prod(-(-size // 4) for size in spec.out_shape[2:])
    return (
        min(spec.w_shape[0] // spec.groups, spec.w_shape[1]) >= 16
        and prod(spec.out_shape[2:]) >= 8 * tiles
    )


def _many_weights(spec: ConvSpec, isa: InstructionSet) -> bool:
    """More than are transformed once for the whole call: 36 products for each kernel."""
    transformed = 36 * prod(spec.w_shape[:2]) * spec.dtype.itemsize
    return transformed > isa.pretransform_bytes


def _few_channels(spec: ConvSpec, isa: InstructionSet) -> bool:
    """Few channels and many filters, or results that are mostly computed from padding.

    Counts cycles per filter and vector of dout's pixels. src/conv/columns.h writes and reads a
    column for each sum over the filters. src/conv/dx.h copies the pixels first, sums all taps of
    its phase for every pixel of dx, and needs two channels to fill its registers.
    docs/kernels.md, "Cost models", has timings of both.
    """
    channels, filters = spec.w_shape[1], spec.w_shape[0] // spec.groups
    if channels > 6:
        return False
    taps, stride, size = prod(spec.kernel), max(spec.stride), spec.dtype.itemsize
    spread = prod(spec.x_shape[2:]) / (prod(spec.out_shape[2:]) * prod(spec.stride))
    phases = 5 + max(channels, 2) * taps * spread * min(1.45, 0.8 + 0.2 * stride)
    reach = (spec.kernel[0] - 1) * spec.dilation[0] // spec.stride[0] if spec.axes == 2 else 0
    kept = 2 * max(reach, 1) * channels * taps * spec.out_shape[-1] * size  # by a task
    fits = kept <= 1 << 20 and prod(spec.w_shape) * size <= 2 << 20
    return fits and channels * taps * (1 + 7 / filters) < phases


# --- pooling -------------------------------------------------------------------------------------


def _global(spec: PoolSpec, isa: InstructionSet) -> bool:
    return (
        spec.kernel == spec.x_shape[2:]
        and prod(spec.kernel) < 2**31  # argmax indices are counted in lanes of 32 bits
        and max(spec.dilation) == 1
        and not any(map(any, spec.pad))
    )


def _disjoint(spec: PoolSpec, isa: InstructionSet) -> bool:
    """Windows of two columns that tile the image or volume, none of them over its end."""
    return (
        spec.axes <= 3
        and spec.kernel == spec.stride
        and spec.kernel[-1] == 2
        and prod(spec.kernel) < 256
        and max(spec.dilation) == 1
        and not any(map(any, spec.pad))
        and all(
            windows * size <= pixels  # with ceil_mode the last one may extend over the end
            for windows, size, pixels in zip(
                spec.out_shape[2:], spec.kernel, spec.x_shape[2:], strict=True
            )
        )
    )


def _overlap(spec: PoolSpec, isa: InstructionSet) -> bool:
    """Windows that overlap downwards, of few columns, and rows for which masks are kept."""
    lanes = isa.vector_bytes // spec.dtype.itemsize
    across, stride = spec.kernel[-1], spec.stride[-1]
    widest = max(spec.x_shape[-1], (spec.out_shape[-1] + lanes) * stride)
    return (
        isa.masked_loads
        and spec.axes == 2
        and _image(spec, isa)
        and spec.kernel[0] > spec.stride[0]
        and 1 < across <= isa.most_across
        and stride <= 2
        and widest <= isa.most_blocks * lanes
    )


def _overlap_stride_1(spec: PoolSpec, isa: InstructionSet) -> bool:
    """Then the windows that reach a pixel are a window of gradients."""
    return _overlap(spec, isa) and spec.stride == (1, 1)


def _plane(spec: PoolSpec, isa: InstructionSet) -> bool:
    """A plane that keeps its size and is few vectors in all."""
    lanes = isa.vector_bytes // spec.dtype.itemsize
    return (
        _overlap_stride_1(spec, isa)
        and spec.out_shape == spec.x_shape
        and spec.kernel[0] <= spec.x_shape[2]
        and -(-prod(spec.x_shape[2:]) // lanes) <= isa.most_plane_vectors
    )


# --- normalisation -------------------------------------------------------------------------------


def _few_pixels(spec: NormSpec, isa: InstructionSet) -> bool:
    """Planes shorter than two vectors, which a kernel for whole planes would fill badly."""
    lanes = isa.vector_bytes // spec.dtype.itemsize
    return prod(spec.x_shape[2:]) < 2 * lanes


def _norm_pooled(specs: tuple[NormSpec, PoolSpec], isa: InstructionSet) -> bool:
    """A pool of disjoint windows, whose rows fit the cache."""
    _, pool = specs
    row = pool.kernel[0] * pool.x_shape[-1] if pool.axes == 2 else pool.x_shape[-1]
    return pool.axes <= 2 and _disjoint(pool, isa) and row * pool.dtype.itemsize <= 64 << 10


def _many_pixels(specs: tuple[NormSpec, PoolSpec], isa: InstructionSet) -> bool:
    return not _few_pixels(specs[0], isa)


# --- fused ---------------------------------------------------------------------------------------


def _pooled(specs: tuple[ConvSpec, PoolSpec], isa: InstructionSet) -> bool:
    conv, _ = specs
    return conv.axes <= 2 and max(conv.dilation) == 1


def _pooled_pays(specs: tuple[ConvSpec, PoolSpec], isa: InstructionSet) -> bool:
    """Whether dw is best summed from the gradients that pooling passed.

    That is one product in a window's size, but in runs of the kernel's width, which fill registers
    badly if it is narrow (src/fused/pooled_dw.h). Counts lanes per channel's result; twice, because
    its loads cross cache lines. Its buffers must be small compared with the arrays.
    """
    conv, pool = specs
    if not prod(conv.x_shape):
        return False
    lanes = 32 // conv.dtype.itemsize
    filters, channels = conv.w_shape[:2]
    height, width = (1, *conv.kernel)[-2:]
    runs = channels * height * -(-width // lanes)
    row = ((1, *pool.kernel)[-2] * (1, *conv.stride)[-2] + height) * conv.x_shape[-1] * channels
    small = max(8 * filters * (runs + channels) * lanes, row) * conv.dtype.itemsize <= 2 << 20
    sparse = prod(pool.out_shape) * (runs + 8) * lanes
    return small and 2 * sparse <= prod(conv.out_shape) * channels * height * width


_DEEP = _costs("dw_gemm", _ALWAYS)

KERNELS = (
    Kernel("conv_forward", "depthwise_3x3", "each channel, from the image", _depthwise_3x3),
    Kernel("conv_forward", "depthwise", "each channel, over strips", _depthwise),
    Kernel("conv_forward", "gemm_in_place", "implicit GEMM, x read in place", _in_place),
    Kernel(
        "conv_forward",
        "gemm_gapless",
        "implicit GEMM over gapless strips",
        _gapless,
        _costs("forward_gapless", _ALWAYS),
    ),
    Kernel("conv_forward", "gemm", "implicit GEMM over strips with a halo", _taps_listed),
    Kernel("conv_forward", "direct", "the definition, row by row", _always),
    Kernel("conv_dx", "depthwise_3x3", "each channel, from the image", _depthwise_3x3_dx),
    Kernel("conv_dx", "depthwise", "each channel, over strips", _depthwise),
    Kernel("conv_dx", "columns", "GEMM and col2im", _image, _few_channels),
    Kernel("conv_dx", "gemm_in_place", "implicit GEMM, dout read in place", _in_place),
    Kernel(
        "conv_dx",
        "gemm_gapless",
        "implicit GEMM per phase over gapless strips",
        _taps_listed,
        _costs("dx_gapless", _ALWAYS),
    ),
    Kernel(
        "conv_dx",
        "gemm_by_phase",
        "implicit GEMM per phase over the strip that pays in each phase of depth",
        _phases_of_depth,
        _costs("dx_gapless", _SOMETIMES),
    ),
    Kernel("conv_dx", "gemm", "implicit GEMM per phase over strips with a halo", _taps_listed),
    Kernel("conv_dx", "direct", "the definition, row by row", _always),
    Kernel("conv_dw", "depthwise_3x3", "each channel, from the image", _depthwise_3x3),
    Kernel("conv_dw", "depthwise", "each channel, over strips", _depthwise),
    Kernel("conv_dw", "gemm_in_place", "GEMM of transposed blocks, x in place", _in_place, _DEEP),
    Kernel(
        "conv_dw",
        "gemm_gapless",
        "GEMM of transposed blocks of gapless strips",
        _gapless,
        _and(_narrow_rows, _DEEP),
    ),
    Kernel("conv_dw", "gemm", "GEMM of transposed blocks of strips", _taps_listed, _DEEP),
    Kernel("conv_dw", "dot_in_place", "dot products of rows, x in place", _in_place),
    Kernel(
        "conv_dw", "dot_gapless", "dot products of rows of gapless strips", _gapless, _narrow_rows
    ),
    Kernel("conv_dw", "dot", "dot products of rows of strips", _taps_listed),
    Kernel("conv_dw", "direct", "the definition, row by row", _always),
    Kernel("conv_db", "direct", "sums over planes", _always),
    Kernel("max_pool_forward", "global", "one window: the whole image", _global),
    Kernel("max_pool_forward", "disjoint", "rows of windows, from the image", _disjoint),
    Kernel("max_pool_forward", "overlap", "along rows, then down the windows", _overlap),
    Kernel("max_pool_forward", "rows", "row by row, over strips", _image),
    Kernel("max_pool_forward", "windows", "the definition, window by window", _always),
    Kernel("max_pool_backward", "global", "one window: the whole image", _global),
    Kernel("max_pool_backward", "disjoint", "rows of windows, in place", _disjoint),
    Kernel("max_pool_backward", "windows", "each gradient to its argmax index", _always),
    Kernel("avg_pool_forward", "global", "one window: the whole image", _global),
    Kernel("avg_pool_forward", "disjoint", "rows of windows, from the image", _disjoint),
    Kernel("avg_pool_forward", "plane", "vectors that run on over a plane's rows", _plane),
    Kernel("avg_pool_forward", "overlap", "along rows, then down the windows", _overlap),
    Kernel("avg_pool_forward", "rows", "row by row, over strips", _image),
    Kernel("avg_pool_forward", "windows", "the definition, window by window", _always),
    Kernel("avg_pool_backward", "global", "one window: the whole image", _global),
    Kernel("avg_pool_backward", "disjoint", "rows of windows, in place", _disjoint),
    Kernel("avg_pool_backward", "plane", "vectors that run on over a plane's rows", _plane),
    Kernel("avg_pool_backward", "overlap", "along rows, then down the windows", _overlap_stride_1),
    Kernel("avg_pool_backward", "rows", "row by row, over strips", _image),
    Kernel("avg_pool_backward", "windows", "the definition, window by window", _always),
    Kernel(
        "conv_relu_pool_dw",
        "pooled",
        "summed from the pooled gradient and its argmax indices",
        _pooled,
        _pooled_pays,
    ),
    Kernel(
        "conv_relu_pool_dw",
        "unpooled",
        "max_pool_backward, then conv_dw, for some images at a time",
        _always,
        compiled=False,
    ),
    Kernel("relu_bits", "flat", "a bit for each result above 0", _always),
    Kernel("relu_backward", "flat", "dout where the bits say so", _always),
    Kernel("norm_forward", "columns", "images as runs of columns", _always, _few_pixels),
    Kernel("norm_forward", "rows", "plane by plane", _always),
    Kernel("norm_backward", "columns", "images as runs of columns", _always, _few_pixels),
    Kernel("norm_backward", "rows", "plane by plane", _always),
    *(
        kernel
        for operation in ("norm_pool_forward", "norm_pool_backward")
        for kernel in (
            Kernel(operation, "rows", "some rows of windows at a time", _norm_pooled, _many_pixels),
            Kernel(operation, "composed", "one after the other", _always, compiled=False),
        )
    ),
)

_WINOGRAD = "Winograd's F(4x4, 3x3)"
_MANY = _and(_winograd_pays, _many_weights)
_BY_FILTERS = f"{_WINOGRAD}, weights transformed by blocks of filters"
_BY_TILES = f"{_WINOGRAD}, weights transformed once"

FAST_KERNELS = (
    Kernel("conv_forward", "winograd_by_filters", _BY_FILTERS, _winograd, _MANY),
    Kernel("conv_forward", "winograd", _BY_TILES, _winograd, _winograd_pays),
    Kernel("conv_dx", "winograd_by_filters", _BY_FILTERS, _winograd, _MANY),
    Kernel("conv_dx", "winograd", _BY_TILES, _winograd, _winograd_pays),
    *KERNELS,
)
"""The table of ``cython_fast``: before the exact kernels those that round differently."""

COMPILED = frozenset((k.operation, k.name) for k in FAST_KERNELS if k.compiled)
"""What src/kernels.def must list, no more and no less."""


def choose(
    operation: str, problem: Problem, isa: InstructionSet, kernels: tuple[Kernel, ...] = KERNELS
) -> Kernel:
    """Return the kernel that runs this problem."""
    return next(
        kernel
        for kernel in kernels
        if kernel.operation == operation
        and kernel.applies(problem, isa)
        and kernel.pays(problem, isa)
    )


def candidates(
    operation: str, problem: Problem, isa: InstructionSet, kernels: tuple[Kernel, ...] = KERNELS
) -> list[Kernel]:
    """Return all kernels of ``operation`` that compute this problem, the one that runs it first."""
    chosen = choose(operation, problem, isa, kernels)
    others = [
        kernel
        for kernel in kernels
        if kernel.operation == operation and kernel is not chosen and kernel.applies(problem, isa)
    ]
    return [chosen, *others]
