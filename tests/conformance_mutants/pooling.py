"""Maximum and average pooling, forward and backward."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from conformance_mutants.base import Taps, outer
from conformance_mutants.registry import POOL, geometry, mutant, result


@geometry(*POOL)
def pool_strides_swapped(spec):
    """Pooling exchanges the strides of the axes."""
    return replace(spec, stride=spec.stride[::-1])


@geometry("pool")
def pool_pad_lost(spec):
    """Pooling starts at the first pixel, whatever the padding."""
    return replace(spec, pad=((0, 0),) * spec.axes)


@geometry(*POOL)
def pool_pads_swapped(spec):
    """Pooling exchanges the paddings of the axes."""
    return replace(spec, pad=spec.pad[::-1])


@geometry("pool_dx")
def pool_dx_swaps_pad_begin_and_end(spec):
    """Backward of pooling pads the beginning by what is meant for the end."""
    return replace(spec, pad=tuple((end, begin) for begin, end in spec.pad))


@geometry(*POOL)
def pool_dilation_ignored(spec):
    """Max pooling looks at neighbours, whatever the dilation."""
    return replace(spec, dilation=(1,) * spec.axes)


@geometry(*POOL)
def pool_dilation0_twice(spec):
    """Max pooling uses the first axis' dilation for every axis."""
    return replace(spec, dilation=spec.dilation[:1] * spec.axes)


@geometry(*POOL)
def pool_kernels_swapped(spec):
    """Pooling exchanges height and width of its window."""
    return replace(spec, kernel=spec.kernel[::-1])


@geometry(*POOL)
def pool_kernel_clipped_to_stride(spec):
    """Windows are taken not to overlap."""
    pairs = zip(spec.kernel, spec.stride, strict=True)
    return replace(spec, kernel=tuple(min(pair) for pair in pairs))


@geometry(*POOL)
def pool_2x2_shortcut_ignores_stride(spec):
    """The shortcut for 2x2 windows has stride 2 built in."""
    return replace(spec, stride=(2,) * spec.axes) if set(spec.kernel) == {2} else spec


@geometry(*POOL)
def pool_2x2_shortcut_ignores_pad(spec):
    """The shortcut for 2x2 windows with stride 2 knows no padding."""
    fits = set(spec.kernel) == set(spec.stride) == {2}
    return replace(spec, pad=((0, 0),) * spec.axes) if fits else spec


@geometry(*POOL)
def pool_depth_ignored(spec):
    """3-D pooling looks at the first slice of its window only."""
    return replace(spec, kernel=(1, *spec.kernel[1:])) if spec.axes == 3 else spec


# --- maximum --------------------------------------------------------------------------------


@mutant
class MaxPadsWithZero(Taps):
    """Padding counts as 0, and wins over negative pixels."""

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        full = outer([[spec.kernel[a]] * n for a, n in enumerate(spec.out_shape[2:])])
        real = outer(real_taps(spec))
        np.maximum(out, 0, out=out, where=np.broadcast_to(real < full, out.shape))
        return out, winner


def real_taps(spec):
    """Per axis and output, how many taps meet a real pixel."""
    rows = []
    for axis in range(spec.axes):
        count = np.zeros(spec.out_shape[2 + axis])
        for tap in range(spec.kernel[axis]):
            count[spec.tap_range(axis, tap)[0]] += 1
        rows.append(count)
    return rows


@mutant
class MaxStartsAtSmallestPositive(Taps):
    """The maximum starts from numeric_limits<float>::min(), which is positive."""

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        return np.maximum(out, np.finfo(spec.dtype).tiny), winner


@mutant
class MaxStartsAtLowestFinite(Taps):
    """The maximum starts from the lowest finite number: a window of -inf is lost."""

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        return np.maximum(out, np.finfo(spec.dtype).min), winner


@mutant
class MaxStartsAtMinusOneE30(Taps):
    """The maximum starts from -1e30, as if no pixel were smaller."""

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        return np.maximum(out, spec.dtype.type(-1e30)), winner


@mutant
class MinusInfinityHasNoWinner(Taps):
    """A window of -inf never beats the start: its gradient goes nowhere."""

    def better(self, value, best, from_tap):
        return (value > best) | (np.isnan(value) & (best == best))


@mutant
class NanDropped(Taps):
    """A NaN is never `>` the best: it is passed over."""

    def better(self, value, best, from_tap):
        return ((from_tap < 0) & ~np.isnan(value)) | (value > best)


@mutant
class NanWinsOnlyIfFirst(Taps):
    """A NaN stays if it is the window's first pixel, and loses elsewhere."""

    def better(self, value, best, from_tap):
        return (from_tap < 0) | (value > best)


@mutant
class NanForgottenByNext(Taps):
    """`if not value <= best` lets a NaN in, and the next pixel replaces it."""

    def better(self, value, best, from_tap):
        return (from_tap < 0) | ~(value <= best)


@mutant
class LastNanTakesGradient(Taps):
    """Of several NaN the last takes the gradient."""

    def better(self, value, best, from_tap):
        return super().better(value, best, from_tap) | np.isnan(value)


@mutant
class NanGradientLost(Taps):
    """Backward looks for the pixel that equals the maximum; NaN equals nothing."""

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        return out, np.where(np.isnan(out), -1, winner)


@mutant
class TiesToLast(Taps):
    """Of equal maxima the last takes the gradient."""

    def better(self, value, best, from_tap):
        return super().better(value, best, from_tap) | ((best == best) & (value == best))


@mutant
class TiesToLastAtMinusInfinity(Taps):
    """`>=` against a start of -inf: windows of -inf alone give their gradient to the last pixel."""

    def better(self, value, best, from_tap):
        low = (value == -np.inf) & (best == -np.inf)
        return super().better(value, best, from_tap) | low


@mutant
class TiesInColumnOrder(Taps):
    """The window is searched column by column."""

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        if spec.axes == 2:
            place = np.full(winner.shape, -1)
            taps = list(enumerate(spec.taps()))
            for i, (_, outs, ins) in sorted(taps, key=lambda t: t[1][0][::-1], reverse=True):
                same = x[:, :, *ins] == out[:, :, *outs]
                np.copyto(place[:, :, *outs], i, where=same)
            winner = np.where(place < 0, winner, place)
        return out, winner


class Compared(Taps):
    """The bug of the next two: backward compares pixels with the maximum."""

    share = False

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        return out, (x.copy(), out.copy(), winner)

    def max_dx(self, spec, dout, saved):
        x, out, winner = saved
        taps = list(spec.taps())
        same = [x[:, :, *ins] == out[:, :, *outs] for _, outs, ins in taps]
        count = np.zeros(out.shape, spec.dtype)
        for (_, outs, _), mask in zip(taps, same, strict=True):
            count[:, :, *outs] += mask
        dx = np.zeros(spec.x_shape, spec.dtype)
        part = dout / np.maximum(count, 1) if self.share else dout
        for i, ((_, outs, ins), mask) in enumerate(zip(taps, same, strict=True)):
            nan = (count[:, :, *outs] == 0) & (winner[:, :, *outs] == i)
            dx[:, :, *ins] += np.where(mask | nan, part[:, :, *outs], 0)
        return dx


@mutant
class TiesTakeAll(Compared):
    """Each of several equal maxima takes the whole gradient."""


@mutant
class TiesShare(Compared):
    """Equal maxima share the gradient (reshape-and-mask implementations)."""

    share = True


def _saved_as(name, bug, encode):
    def max_out(self, spec, x):
        out, winner = Taps.max_out(self, spec, x)
        return out, encode(spec, winner)

    made = type(name, (Taps,), {"max_out": max_out, "__doc__": bug, "__module__": __name__})
    mutant(made)


_saved_as(
    "WinnerInInt8",
    "The winning tap is kept in int8, and overflows from the 129th tap on.",
    lambda spec, winner: winner.astype(np.int8).astype(int),
)
_saved_as(
    "WinnerInUint8",
    "The winning tap is kept in uint8, and overflows from the 257th tap on.",
    lambda spec, winner: winner.astype(np.uint8).astype(int),
)
_saved_as(
    "WinnerInUint16",
    "The winning tap is kept in uint16, and overflows from the 65537th tap on.",
    lambda spec, winner: winner.astype(np.uint16).astype(int),
)
_saved_as(
    "WinnerInFourBits",
    "The winning tap is packed in four bits.",
    lambda spec, winner: winner % 16,
)
_saved_as(
    "WinnerDecodedByHeight",
    "The winning tap, row * width + column, is decoded with the window's height.",
    lambda spec, winner: (
        (
            winner // spec.kernel[0] * spec.kernel[1] + winner % spec.kernel[0]
            if spec.axes == 2
            else winner
        )
        % math.prod(spec.kernel)
    ),
)
_saved_as(
    "WinnerInFloat32",
    "The winner is kept as an index into x, in x's own type: float32 holds 24 bits.",
    lambda spec, winner: (
        np.where(np.arange(winner.size).reshape(winner.shape) % 2, winner - winner % 2, winner)
        if math.prod(spec.x_shape) > 1 << 24 and spec.dtype == np.float32
        else winner
    ),
)
_saved_as(
    "WinnerInSixteenBits",
    "The winner is kept as an int16 index into its plane, and overflows from 32768 pixels on.",
    lambda spec, winner: (
        np.where(np.indices(winner.shape)[-1] * spec.stride[-1] >= 1 << 15, 0, winner)
        if spec.axes == 1
        else np.where(plane_index(spec, winner) >= 1 << 15, 0, winner)
    ),
)


def plane_index(spec, winner):
    """The flat index, in its plane, of every output's first pixel."""
    places = np.indices(winner.shape[2:])
    flat = np.zeros(winner.shape[2:], int)
    for axis, place in enumerate(places):
        flat = flat * spec.x_shape[2 + axis] + place * spec.stride[axis]
    return np.broadcast_to(flat, winner.shape)


@mutant
class MaxComparedInFloat32(Taps):
    """float64 pixels are compared in float32: close ones tie."""

    def better(self, value, best, from_tap):
        with np.errstate(over="ignore"):
            value, best = value.astype(np.float32), best.astype(np.float32)
        return super().better(value, best, from_tap)


@mutant
class MaxDxAssigns(Taps):
    """A pixel that wins in several windows keeps the last one's gradient only."""

    def max_dx(self, spec, dout, winner):
        dx = np.zeros(spec.x_shape, spec.dtype)
        for i, (_, outs, ins) in enumerate(spec.taps()):
            won = winner[:, :, *outs] == i
            np.copyto(dx[:, :, *ins], dout[:, :, *outs], where=won)
        return dx


@mutant
class MaxDxFlushesNan(Taps):
    """Gradients are multiplied by the mask of winners: NaN and infinity reach the losers."""

    def max_dx(self, spec, dout, winner):
        dx = np.zeros(spec.x_shape, spec.dtype)
        with np.errstate(invalid="ignore"):
            for i, (_, outs, ins) in enumerate(spec.taps()):
                dx[:, :, *ins] += (winner[:, :, *outs] == i) * dout[:, :, *outs]
        return dx


@result("max_dx")
def max_dx_leftover_rows_uninitialised(spec, dx, dout, winner):
    """Rows and columns that no window reaches are allocated and never set."""
    seen = np.zeros(spec.x_shape, bool)
    for _, _, ins in spec.taps():
        seen[:, :, *ins] = True
    return np.where(seen, dx, np.empty_like(dx))


@result("max_dx")
def max_dx_losers_uninitialised(spec, dx, dout, winner):
    """Only the winners' gradients are written; 0 everywhere else is taken for granted."""
    won = np.zeros(spec.x_shape, bool)
    for i, (_, outs, ins) in enumerate(spec.taps()):
        won[:, :, *ins] |= winner[:, :, *outs] == i
    return np.where(won, dx, np.empty_like(dx))


# --- average --------------------------------------------------------------------------------


@geometry(*POOL)
def count_include_pad_ignored(spec):
    """The average is over real pixels, whatever was asked for."""
    return replace(spec, count_include_pad=False)


@geometry(*POOL)
def count_include_pad_always(spec):
    """Padding always counts."""
    return replace(spec, count_include_pad=True) if spec.kind == "avg" else spec


@geometry("pool_dx")
def avg_dx_counts_padding(spec):
    """Backward divides by the number of pixels with padding, forward by that without."""
    return replace(spec, count_include_pad=True) if spec.kind == "avg" else spec


@mutant
class AverageDividesByKernel(Taps):
    """count_include_pad counts the overhang of ceil_mode as well (ONNX Runtime once did)."""

    def divisor(self, spec):
        if spec.count_include_pad:
            return np.array(math.prod(spec.kernel), spec.dtype)
        return super().divisor(spec)


@mutant
class AverageIgnoresCornerCounts(Taps):
    """The divisor is corrected at the top and bottom, not at the sides."""

    def divisor(self, spec):
        counts = spec.counts
        return outer((*counts[:-1], [spec.kernel[-1]] * len(counts[-1]))).astype(spec.dtype)


@mutant
class AverageDividesBySquare(Taps):
    """The divisor is the window's height squared."""

    def divisor(self, spec):
        return super().divisor(spec) / math.prod(spec.kernel) * spec.kernel[0] ** spec.axes


@mutant
class AverageCutsOverhangLikePadding(Taps):
    """Without ceil_mode in mind, windows at the end count the pixels they would have had."""

    def divisor(self, spec):
        if spec.ceil_mode and not spec.count_include_pad:
            rows = [list(row) for row in spec.counts]
            for row, k in zip(rows, spec.kernel, strict=True):
                row[-1] = k
            return outer(rows).astype(spec.dtype)
        return super().divisor(spec)


@mutant
class AvgDxAssigns(Taps):
    """Where windows overlap, a pixel keeps the last one's share only."""

    def avg_dx(self, spec, dout):
        dx = np.zeros(spec.x_shape, spec.dtype)
        share = dout / self.divisor(spec)
        for _, outs, ins in spec.taps():
            dx[:, :, *ins] = share[:, :, *outs]
        return dx


@mutant
class AvgDxNotDivided(Taps):
    """Backward hands the whole gradient to every pixel."""

    def avg_dx(self, spec, dout):
        return super().avg_dx(spec, dout * self.divisor(spec))


@mutant
class AverageByRunningSum(Taps):
    """A running sum along the rows: NaN stays in it, and rounding errors add up."""

    def avg_out(self, spec, x):
        bad = np.cumsum(~np.isfinite(x), axis=-1) > 0
        with np.errstate(invalid="ignore"):
            return super().avg_out(spec, np.where(bad, x + np.nan, x))


@mutant
class AverageByDifferences(Taps):
    """Sums as differences of an integral image: digits cancel."""

    def avg_out(self, spec, x):
        out = super().avg_out(spec, x)
        with np.errstate(invalid="ignore"):
            total = np.abs(x).cumsum(axis=-1)[..., -1:].max(initial=0)
            if np.isfinite(total):
                out = (out + total) - total
        return out


@mutant
class AverageTruncates(Taps):
    """Averages of integers are divided as integers."""

    def avg_out(self, spec, x):
        out = super().avg_out(spec, x)
        whole = x.size and np.isfinite(x).all() and (x == np.rint(x)).all()
        return np.trunc(out) if whole else out


@mutant
class ReciprocalInFloat32(Taps):
    """float64 averages are multiplied by 1 / count, computed in float32."""

    def divisor(self, spec):
        exact = super().divisor(spec)
        return 1 / (1 / exact).astype(np.float32).astype(spec.dtype)


@mutant
class AverageSkipsNan(Taps):
    """The average leaves NaN out."""

    def avg_out(self, spec, x):
        return super().avg_out(spec, np.where(np.isnan(x), 0, x))


@result("avg_dx")
def avg_dx_leftover_rows_uninitialised(spec, dx, dout):
    """Rows and columns that no window reaches are allocated and never set."""
    seen = np.zeros(spec.x_shape, bool)
    for _, _, ins in spec.taps():
        seen[:, :, *ins] = True
    return np.where(seen, dx, np.empty_like(dx))


@result("avg_out")
def last_ceil_window_left_zero(spec, out, x):
    """The extra window of ceil_mode has its place in out, but no value."""
    if spec.ceil_mode:
        for axis in range(spec.axes):
            size, (begin, end) = spec.x_shape[2 + axis], spec.pad[axis]
            inside = (size + begin + end - spec.window[axis]) // spec.stride[axis] + 1
            out[(slice(None),) * (2 + axis) + (slice(max(inside, 0), None),)] = 0


@result("avg_out")
def average_wrong_above_64_channels(spec, out, x):
    """Channels are taken 64 at a time, and the rest is not computed."""
    if out.shape[1] > 64:
        out[:, 64:] = 0


@mutant
class MaxOverChannelsTruncated(Taps):
    """Images times channels are cut into blocks of 16, and the rest is not computed."""

    def max_out(self, spec, x):
        out, winner = super().max_out(spec, x)
        planes = out.reshape(-1, *out.shape[2:])
        if len(planes) > 16 and len(planes) % 16:
            planes[len(planes) - len(planes) % 16 :] = 0
        return out, winner


@mutant
class TilesLoseOverhang(Taps):
    """Windows side by side are taken to tile the image: with ceil_mode the last ones hang over."""

    def max_dx(self, spec, dout, winner):
        if spec.kernel == spec.stride and not any(map(any, spec.pad)):
            dout = dout.copy()
            for axis, size in enumerate(spec.kernel):
                at = (slice(None),) * (2 + axis)
                dout[(*at, slice(spec.x_shape[2 + axis] // size, None))] = 0
        return super().max_dx(spec, dout, winner)
