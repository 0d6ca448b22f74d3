"""conv_infer and pool_infer are kernels of their own; forward and backward are right."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full, FullThreaded, outer
from conformance_mutants.fresh.parts import RIGHT, forward, only, ragged, tail, without
from conformance_mutants.fresh.witness import array, compute, conv, pool, scene, together, witness
from conformance_mutants.registry import mutant, result


def with_bias(out, spec, b):
    """out plus bias, which conv_infer returns at once."""
    if b is not None:
        RIGHT.add_bias(spec, out, b)
    return out


# --- convolution ------------------------------------------------------------------------------


@witness("infer", conv(2, 3, 5, 5, f=2, k=2), data="nan")
@result("conv_infer", Full)
def infer_clamps_nan(spec, out, x, w, b):
    """conv_infer clamps its results to the finite range, which turns NaN into 0."""
    if np.isnan(out).any():
        out[np.isnan(out)] = 0


@witness("infer", conv(1, 4, 4, 4, f=16, k=2), data="ints", weights="real")
@result("conv_infer", Full)
def infer_weights_in_half(spec, out, x, w, b):
    """conv_infer packs the weights of 16 filters or more as half-precision floats."""
    if spec.w_shape[0] >= 16:
        return with_bias(forward(spec, x, w.astype(np.float16).astype(w.dtype)), spec, b)
    return None


@witness("infer", conv(1, 2, 4, 4, f=34, k=3, p=1))
@result("conv_infer", Full)
def infer_one_image_filter_tail(spec, out, x, w, b):
    """conv_infer of a single image: filters beyond 16 that fill no panel of 16 have no bias."""
    filters = spec.w_shape[0]
    if len(x) == 1 and ragged(filters, 16, 16) and b is not None:
        part = tail(filters, 16)
        out[:, part] -= b[part].reshape(-1, *(1,) * spec.axes)


@witness("infer", conv(34, 1, 3, 3, f=2, k=2))
@result("conv_infer", Full)
def infer_more_than_32_images(spec, out, x, w, b):
    """conv_infer cuts batches above 32 in two halves, and rounds the half down."""
    images = len(x)
    if images > 32:
        out[images // 4 * 4 :] = 0


def _two_geometries(backend):
    """Two problems of the same shapes: a plain one, and one dilated and padded to the same size."""
    first, second = conv(1, 2, 7, 7, f=2, k=3), conv(1, 2, 7, 7, f=2, k=3, p=1, d=2)
    return [compute(backend, "infer", spec) for spec in (first, second, first)]


@scene(_two_geometries)
@mutant
class InferPlansByShape(Full):
    """conv_infer keeps what it worked out by the shapes of x, w and out, not by the geometry."""

    def __init__(self):
        self.plans = {}

    def conv_infer(self, spec, x, w, b):
        plan = self.plans.setdefault((x.shape, w.shape, spec.out_shape, spec.dtype), spec)
        return super().conv_infer(plan, x, w, b)


def _weights_updated_in_place(backend):
    """Inference, a step of training in place, inference."""
    spec = conv(1, 2, 5, 5, f=8, k=3)
    x, w = (array(shape, spec.dtype, i) for i, shape in enumerate((spec.x_shape, spec.w_shape)))
    b = array(spec.w_shape[:1], spec.dtype, 3)
    first = backend.conv_infer(spec, x, w, b)
    w += 1
    return [first, backend.conv_infer(spec, x, w, b)]


@scene(_weights_updated_in_place)
@mutant
class InferPacksWeightsOnce(Full):
    """conv_infer keeps packed weights of 8 filters or more by address; an update is not seen."""

    def __init__(self):
        self.packed = {}

    def conv_infer(self, spec, x, w, b):
        if len(w) >= 8:
            w = self.packed.setdefault((w.ctypes.data, w.shape, w.dtype), w.copy())
        return super().conv_infer(spec, x, w, b)


@witness("infer", conv(5, 2, 4, 4, f=2, k=3), threads=3)
@mutant
class InferOddThreadCount(FullThreaded):
    """conv_infer pairs its threads: with an odd number above one the last image is not computed."""

    def conv_infer(self, spec, x, w, b):
        out = super().conv_infer(spec, x, w, b)
        if self.threads > 1 and self.threads % 2:
            out[-1:] = 0
        return out


@witness("infer", conv(1, 18, 4, 4, f=20, g=2, k=3, p=1))
@result("conv_infer", Full)
def infer_groups_of_many_filters(spec, out, x, w, b):
    """conv_infer with groups of more than 8 filters: groups from the second on have no bias."""
    each = spec.w_shape[0] // spec.groups
    if spec.groups > 1 and each > 8 and b is not None:
        out[:, each:] -= b[each:].reshape(-1, *(1,) * spec.axes)


@witness("infer", conv(1, 1, 9, 8, f=5, k=3, s=2, d=2, bias=False))
@result("conv_infer", Full)
def infer_dilated_and_strided(spec, out, x, w, b):
    """conv_infer, one axis dilated and strided, more than 4 filters: taps are strided too."""
    both = any(s > 1 and d > 1 for s, d in zip(spec.stride, spec.dilation, strict=True))
    if both and spec.w_shape[0] > 4:
        dilation = tuple(d + (s > 1 < d) for s, d in zip(spec.stride, spec.dilation, strict=True))
        return with_bias(forward(spec, x, w, dilation=dilation), spec, b)
    return None


@witness("infer", conv(1, 65, 3, 3, f=1, k=3, dtype="float64"), data="wide", weights="wide")
@result("conv_infer", Full)
def infer_double_many_terms_in_single(spec, out, x, w, b):
    """conv_infer in float64 over more than 64 channels runs the float32 kernel."""
    if spec.dtype == np.float64 and spec.w_shape[1] > 64:
        single = replace(spec, dtype=np.dtype(np.float32))
        found = forward(single, x.astype(np.float32), w.astype(np.float32))
        return with_bias(found.astype(np.float64), spec, b)
    return None


@witness("infer", conv(1, 2, 4, 4, 4, f=2, k=2, p=((0, 1), (1, 0), (0, 1))))
@result("conv_infer", Full)
def infer_three_axes_uneven_padding(spec, out, x, w, b):
    """conv_infer on three axes: uneven padding of the depth is put at its other end."""
    if spec.axes == 3 and spec.pad[0][0] != spec.pad[0][1]:
        return with_bias(forward(spec, x, w, pad=(spec.pad[0][::-1], *spec.pad[1:])), spec, b)
    return None


@witness("infer", conv(1, 2, 9, f=2, k=3, s=2, p=1))
@result("conv_infer", Full)
def infer_one_axis_padded_stride(spec, out, x, w, b):
    """conv_infer on one axis, padded and strided: results after the first start at pixel stride."""
    if spec.axes == 1 and spec.pad[0][0] and spec.stride[0] > 1:
        out[..., 1:] = with_bias(forward(spec, x, w, pad=((0, 0),)), spec, b)[..., 1:]


@witness("infer", conv(1, 16, 4, 5, f=3, k=1, bias=False))
@result("conv_infer", Full)
def infer_point_without_bias(spec, out, x, w, b):
    """conv_infer of 1x1 on whole blocks of 16 channels without bias: the first one is not added."""
    whole = spec.x_shape[1] % 16 == 0 and spec.groups == 1
    if whole and set(spec.kernel) == {1} and b is None:
        out -= forward(spec, x, only(w, np.s_[:, :1]))


@witness("infer", conv(1, 8, 6, 6, f=8, g=8, k=3, s=2, p=1))
@result("conv_infer", Full)
def infer_depthwise_whole_vector(spec, out, x, w, b):
    """conv_infer of depthwise /2 on whole vectors of 8 channels: the last row is the one above."""
    channels = spec.x_shape[1]
    if spec.groups == channels > 1 and channels % 8 == 0 and spec.stride[0] == 2:
        out[:, :, -1:] = out[:, :, -2:-1]


# --- pooling ----------------------------------------------------------------------------------


@witness("infer", pool("max", 1, 9, 8, 8, k=2, d=2))
@result("pool_infer", Full)
def pool_infer_dilation_ignored(spec, out, x):
    """pool_infer on more than 8 channels takes neighbours, whatever the dilation."""
    if spec.kind == "max" and spec.x_shape[1] > 8 and max(spec.dilation) > 1:
        return RIGHT.max_out(replace(spec, dilation=(1,) * spec.axes), x)[0]
    return None


@witness("infer", pool("avg", 1, 2, 6, 6, k=3, s=2, p=1, ceil=True))
@result("pool_infer", Full)
def pool_infer_ceil_with_padding(spec, out, x):
    """pool_infer, average with ceil_mode and padding: the last divisor has the overhang."""
    if spec.kind == "avg" and spec.ceil_mode and any(map(any, spec.pad)):
        counts = outer(spec.counts)
        out[..., -1] *= (counts[..., -1] / counts.max()).astype(spec.dtype)


@witness("infer", pool("max", 1, 2, 6, 6, k=3, s=2), data="nan")
@result("pool_infer", Full)
def pool_infer_drops_nan_after_first(spec, out, x):
    """pool_infer compares with maxps: a NaN is lost unless it comes last in its window."""
    if spec.kind == "max" and np.isnan(out).any():
        finite = RIGHT.max_out(spec, np.where(np.isnan(x), -np.inf, x))[0]
        last = RIGHT.max_out(replace(spec, kernel=(1,) * spec.axes, pad=late(spec)), x)[0]
        out[...] = np.where(np.isnan(last), np.nan, finite)


def late(spec):
    """The padding with which one tap reads what the last of the window reads."""
    moved = zip(spec.pad, spec.window, strict=True)
    return tuple((begin - window + 1, end) for (begin, end), window in moved)


@witness("infer", pool("avg", 1, 2, 5, 6, k=2, s=2, p=((0, 1), (0, 0)), include=True))
@result("pool_infer", Full)
def pool_infer_counts_uneven_padding(spec, out, x):
    """pool_infer, average that counts padding, uneven: only real pixels are counted."""
    if spec.kind == "avg" and spec.count_include_pad and any(b != e for b, e in spec.pad):
        return RIGHT.avg_out(replace(spec, count_include_pad=False), x)
    return None


@witness("infer", pool("max", 2, 9, 9, k=3, s=2, p=1))
@result("pool_infer", Full)
def pool_infer_one_axis_padding(spec, out, x):
    """pool_infer, maximum on one axis: padding counts as 0."""
    if spec.axes == 1 and spec.kind == "max" and spec.pad[0][0]:
        out[..., 0] = np.maximum(out[..., 0], 0)


@witness("infer", pool("avg", 1, 3, 4, 4, 4, k=3, s=2, p=1))
@result("pool_infer", Full)
def pool_infer_three_axes_divisor(spec, out, x):
    """pool_infer, average on three axes: the divisor leaves the depth's padding out of account."""
    if spec.axes == 3 and spec.kind == "avg" and any(spec.pad[0]):
        counts = np.array(spec.counts[0]) / max(spec.counts[0])
        out *= counts.reshape(-1, 1, 1).astype(spec.dtype)


@witness("infer", pool("max", 2, 17, 4, 4, k=2), data="ints")
@result("pool_infer", Full)
def pool_infer_channel_tail(spec, out, x):
    """pool_infer of 2x2/2: channels beyond 16 in no vector of 4 see the window's top row."""
    channels = spec.x_shape[1]
    if spec.kind == "max" and spec.kernel == spec.stride == (2, 2) and ragged(channels, 4, 16):
        part = tail(channels, 4)
        top = without(x, np.s_[:, :, :0])
        top[:, :, 1::2] = -np.inf
        if not any(map(any, spec.pad)) and not spec.ceil_mode:
            out[:, part] = RIGHT.max_out(spec, top)[0][:, part]


def _concurrently(backend):
    """Inference of two shapes from two threads at once."""
    specs = [conv(1, 2, 5, 5, f=2, k=3, p=1), conv(1, 2, 5, 5, f=2, k=3, d=2, p=2)]
    return together(backend, "infer", *[(spec,) for spec in specs])


@scene(_concurrently)
@mutant
class InferGeometryInGlobal(Full):
    """conv_infer keeps padding and dilation in a global, which a call beside it overwrites."""

    current = None

    def conv_infer(self, spec, x, w, b):
        type(self).current = spec.pad, spec.dilation
        time.sleep(0.001)
        pad, dilation = type(self).current
        return super().conv_infer(replace(spec, pad=pad, dilation=dilation), x, w, b)
