"""Padding that copies pixels: a backend that pads by itself, and convkit where it pads for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance_mutants.base import CopyingPadding, Taps
from conformance_mutants.host import lost
from conformance_mutants.registry import CONV, host, mutant, sources
from convkit.calls import methods, padding
from convkit.selection import resolve
from convkit.spec.padding import sources as right_sources

# --- the copied pixel is the wrong one --------------------------------------------------------


def other_mode(spec, axis, mode):
    """The pixels of another mode, clipped to the image where it has too few."""
    size = spec.x_shape[2 + axis]
    found = np.array(right_sources(mode, size, spec.pad[axis]))
    return np.clip(found, 0, size - 1)


def sides(spec, axis):
    """The places before and after the image along an axis."""
    begin, size = spec.pad[axis][0], spec.x_shape[2 + axis]
    return slice(0, begin), slice(begin + size, None)


@sources("reflect", *CONV)
def reflect_repeats_the_edge(spec, axis, table):
    """Reflection starts at the outermost pixel, as "symmetric" does (OpenCV's two reflections)."""
    return other_mode(spec, axis, "symmetric")


@sources("symmetric", *CONV)
def symmetric_skips_the_edge(spec, axis, table):
    """The symmetric padding leaves the outermost pixel out."""
    return other_mode(spec, axis, "reflect")


@sources("circular", *CONV)
def circular_repeats_the_edge(spec, axis, table):
    """Indices beyond the image are clamped instead of wrapped."""
    return other_mode(spec, axis, "edge")


@sources("edge", *CONV)
def edge_is_zeros(spec, axis, table):
    """The mode "edge" is accepted and zeros are padded."""
    return np.where(table == np.arange(len(table)) - spec.pad[axis][0], table, -1)


@sources("circular", *CONV)
def circular_begins_with_the_beginning(spec, axis, table):
    """Before the image stand its first pixels, not its last."""
    before, _ = sides(spec, axis)
    table[before] = np.arange(spec.pad[axis][0]) % spec.x_shape[2 + axis]
    return table


@sources("circular", *CONV)
def circular_off_by_one_before(spec, axis, table):
    """Before the image the copies are shifted by one."""
    before, _ = sides(spec, axis)
    table[before] = (table[before] - 1) % spec.x_shape[2 + axis]
    return table


@sources("circular", *CONV)
def circular_period_too_short(spec, axis, table):
    """The image repeats after one pixel less than it has."""
    size = spec.x_shape[2 + axis]
    _, after = sides(spec, axis)
    table[after] = (table[after] + 1) % size
    return table


@sources("circular", *CONV)
def circular_is_mirrored(spec, axis, table):
    """The copies of the repeated image are in reverse order."""
    for side in sides(spec, axis):
        table[side] = table[side][::-1]
    return table


@sources("reflect", *CONV)
def reflect_is_not_mirrored(spec, axis, table):
    """The copies of the reflected image are in forward order."""
    for side in sides(spec, axis):
        table[side] = table[side][::-1]
    return table


@sources("reflect", *CONV)
def reflect_repeats_the_last(spec, axis, table):
    """After the image, and there alone, reflection starts at the outermost pixel."""
    _, after = sides(spec, axis)
    table[after] = other_mode(spec, axis, "symmetric")[after]
    return table


@sources("symmetric", *CONV)
def symmetric_skips_the_first(spec, axis, table):
    """Before the image, and there alone, the outermost pixel is left out."""
    before, _ = sides(spec, axis)
    table[before] = other_mode(spec, axis, "reflect")[before]
    return table


@sources("edge", *CONV)
def edge_one_short_of_the_end(spec, axis, table):
    """After the image stands its last pixel but one."""
    _, after = sides(spec, axis)
    table[after] = max(spec.x_shape[2 + axis] - 2, 0)
    return table


@sources("edge", *CONV)
def edge_begins_with_the_second(spec, axis, table):
    """Before the image stands its second pixel."""
    before, _ = sides(spec, axis)
    table[before] = min(1, spec.x_shape[2 + axis] - 1)
    return table


@sources("reflect", *CONV)
def farthest_reflection_clipped(spec, axis, table):
    """Padding of all but one pixel is taken for too much: its farthest copy is zero."""
    begin, end = spec.pad[axis]
    if begin == spec.x_shape[2 + axis] - 1 > 0:
        table[0] = -1
    if end == spec.x_shape[2 + axis] - 1 > 0:
        table[-1] = -1
    return table


@sources("circular", *CONV)
def whole_period_before_lost(spec, axis, table):
    """Before the image, padding of its whole size leaves the first place zero."""
    if spec.pad[axis][0] == spec.x_shape[2 + axis]:
        table[0] = -1
    return table


@sources("symmetric", *CONV)
def farthest_mirror_image_lost(spec, axis, table):
    """Padding of a whole image leaves its farthest place zero."""
    if spec.pad[axis][0] == spec.x_shape[2 + axis]:
        table[0] = -1
    return table


@sources("edge", *CONV)
def edge_no_wider_than_the_image(spec, axis, table):
    """Beyond the image's own size the edge is not repeated any more."""
    begin, size = spec.pad[axis][0], spec.x_shape[2 + axis]
    places = np.arange(len(table)) - begin
    return np.where((places < -size) | (places >= 2 * size), -1, table)


@sources("all", *CONV)
def copies_in_the_first_axis_alone(spec, axis, table):
    """Every axis but the first is padded with zeros."""
    return table if axis == 0 else edge_is_zeros(spec, axis, table)


@sources("all", *CONV)
def copies_in_the_last_axis_alone(spec, axis, table):
    """Every axis but the last is padded with zeros."""
    return table if axis == spec.axes - 1 else edge_is_zeros(spec, axis, table)


@sources("all", *CONV)
def copies_lost_in_1d(spec, axis, table):
    """1-D is run as 2-D with height 1, and the rows are padded with zeros."""
    return table if spec.axes != 1 else edge_is_zeros(spec, axis, table)


@sources("all", *CONV)
def depth_padded_with_zeros(spec, axis, table):
    """3-D: copies in height and width, zeros in depth."""
    return edge_is_zeros(spec, axis, table) if (spec.axes, axis) == (3, 0) else table


@sources("circular", *CONV)
def period_of_the_other_axis(spec, axis, table):
    """Every axis repeats with the size of the first; square images pass."""
    size = spec.x_shape[2 + axis]
    for side, start in zip(sides(spec, axis), (-spec.pad[axis][0], size), strict=True):
        places = start + np.arange(len(table[side]))
        table[side] = np.minimum(places % spec.x_shape[2], size - 1)
    return table


@sources("all", *CONV)
def mode_lost_with_strides(spec, axis, table):
    """The path for strides pads with zeros."""
    return edge_is_zeros(spec, axis, table) if max(spec.stride) > 1 else table


@sources("all", *CONV)
def mode_lost_with_dilation(spec, axis, table):
    """The path for dilation pads with zeros."""
    return edge_is_zeros(spec, axis, table) if max(spec.dilation) > 1 else table


@sources("all", *CONV)
def mode_lost_by_depthwise(spec, axis, table):
    """The depthwise path pads with zeros."""
    one = spec.groups > 1 and spec.w_shape[1] == 1
    return edge_is_zeros(spec, axis, table) if one else table


@sources("all", *CONV)
def mode_lost_by_groups(spec, axis, table):
    """The path for groups, but for depthwise, pads with zeros."""
    some = spec.groups > 1 and spec.w_shape[1] > 1
    return edge_is_zeros(spec, axis, table) if some else table


@sources("all", *CONV)
def mode_lost_by_1x1(spec, axis, table):
    """The shortcut for 1x1 kernels pads with zeros."""
    return edge_is_zeros(spec, axis, table) if set(spec.kernel) == {1} else table


@sources("all", *CONV)
def copies_no_farther_than_a_window(spec, axis, table):
    """Copies are made for a window alone; padding beyond that is zero."""
    begin, size, window = spec.pad[axis][0], spec.x_shape[2 + axis], spec.window[axis]
    places = np.arange(len(table)) - begin
    return np.where((places < 1 - window) | (places >= size + window - 1), -1, table)


@sources("all", *CONV)
def unequal_padding_swapped(spec, axis, table):
    """Where both sides differ, the wider one is taken to be before the image."""
    swapped = replace(spec, pad=tuple((max(pair), min(pair)) for pair in spec.pad))
    return np.array(swapped.sources[axis])


@sources("symmetric", "out")
def symmetric_forward_alone_is_edge(spec, axis, table):
    """Forward repeats the edge, while the gradients are those of the mirror image."""
    return other_mode(spec, axis, "edge")


# --- the weights' gradient and dx -------------------------------------------------------------


@sources("all", "dw")
def weights_gradient_of_zeros(spec, axis, table):
    """dw is that of an image padded with zeros."""
    return edge_is_zeros(spec, axis, table)


@sources("reflect", "dw")
def weights_gradient_of_the_edge(spec, axis, table):
    """dw of "reflect" is that of "edge"."""
    return other_mode(spec, axis, "edge")


@sources("all", "dx")
def copies_gradients_lost(spec, axis, table):
    """dx leaves out what the copies of a pixel received."""
    return edge_is_zeros(spec, axis, table)


@sources("all", "dx")
def gradients_before_the_image_lost(spec, axis, table):
    """dx leaves out what the copies before the image received."""
    table[sides(spec, axis)[0]] = -1
    return table


@sources("all", "dx")
def gradients_after_the_image_lost(spec, axis, table):
    """dx leaves out what the copies after the image received."""
    table[sides(spec, axis)[1]] = -1
    return table


@sources("circular", "dx")
def gradients_wrapped_back_unmoved(spec, axis, table):
    """dx of "circular" gives every copy's gradient to the outermost pixel."""
    return other_mode(spec, axis, "edge")


@sources("symmetric", "dx")
def gradients_reflected_back_by_one(spec, axis, table):
    """dx of "symmetric" folds as if for "reflect"."""
    return other_mode(spec, axis, "reflect")


@sources("edge", "dx")
def nearest_copy_alone_gives_back(spec, axis, table):
    """dx of "edge" adds the gradient of the copy next to the image, not those beyond."""
    begin, size = spec.pad[axis][0], spec.x_shape[2 + axis]
    places = np.arange(len(table)) - begin
    return np.where((places < -1) | (places > size), -1, table)


@sources("all", "dx")
def gradients_folded_in_the_last_axis_alone(spec, axis, table):
    """dx is folded along the rows only."""
    return table if axis == spec.axes - 1 else edge_is_zeros(spec, axis, table)


@mutant
class CornersPaddedWithZeros(CopyingPadding):
    """Rows and columns are padded with copies one by one; the corners between them stay zero."""

    def grow(self, spec, x, what):
        grown = super().grow(spec, x, what)
        outside = [np.ones(n, bool) for n in grown.shape[2:]]
        for axis, flags in enumerate(outside):
            flags[spec.pad[axis][0] :][: spec.x_shape[2 + axis]] = False
        if spec.axes > 1 and what == "out":
            grown[:, :, *np.ix_(*outside)] = 0
        return grown


@mutant
class CornersGradientsLost(CopyingPadding):
    """dx sums what the edges received, but not the corners."""

    def fold(self, spec, grown):
        outside = [np.ones(n, bool) for n in grown.shape[2:]]
        for axis, flags in enumerate(outside):
            flags[spec.pad[axis][0] :][: spec.x_shape[2 + axis]] = False
        if spec.axes > 1:
            grown[:, :, *np.ix_(*outside)] = 0
        return super().fold(spec, grown)


@mutant
class CopysGradientOverwrites(CopyingPadding):
    """A copy's gradient takes the place of its pixel's instead of being added."""

    def add(self, folded, table, grown):
        folded[table] = grown


@mutant
class GradientsOfCopiesAveraged(CopyingPadding):
    """dx is the mean over a pixel's copies, not the sum."""

    def add(self, folded, table, grown):
        super().add(folded, table, grown)
        counts = np.bincount(table, minlength=len(folded)).clip(1)
        folded /= counts.reshape(-1, *(1,) * (folded.ndim - 1)).astype(folded.dtype)


@mutant
class CopiesOfTheFirstImage(CopyingPadding):
    """Every image of the batch is padded with copies of the first one's pixels."""

    def grow(self, spec, x, what):
        grown = super().grow(spec, x, what)
        inside = (slice(b, b + n) for (b, _), n in zip(spec.pad, x.shape[2:], strict=True))
        if len(x):
            grown[1:] = grown[:1]
        grown[:, :, *inside] = x
        return grown


@mutant
class LastImagesGradientNotFolded(CopyingPadding):
    """The fold of dx runs over one image less than there are."""

    def fold(self, spec, grown):
        folded = super().fold(spec, grown)
        inside = (slice(b, b + n) for (b, _), n in zip(spec.pad, spec.x_shape[2:], strict=True))
        if len(grown) > 1:
            folded[-1:] = grown[:, :, *inside][-1:]
        return folded


@mutant
class FoldedInHalfPrecision(CopyingPadding):
    """dx is folded in float32, whatever the dtype."""

    def fold(self, spec, grown):
        return super().fold(spec, grown.astype(np.float32)).astype(spec.dtype)


@mutant
class InferencePadsWithZeros(CopyingPadding):
    """Inference forgets the mode."""

    def conv_infer(self, spec, x, w, b):
        return super().conv_infer(replace(spec, pad_mode="zeros"), x, w, b)


@mutant
class FusedPadsWithZeros(CopyingPadding):
    """The fused pass forgets the mode."""

    def conv_relu_pool_forward(self, conv_spec, pool_spec, x, w, b):
        conv_spec = replace(conv_spec, pad_mode="zeros")
        return super().conv_relu_pool_forward(conv_spec, pool_spec, x, w, b)


@mutant
class FusedGradientOfZeros(CopyingPadding):
    """The fused backward pass forgets the mode."""

    def conv_relu_pool_backward(self, conv_spec, *rest):
        return super().conv_relu_pool_backward(replace(conv_spec, pad_mode="zeros"), *rest)


@mutant
class PlanKeyForgetsPadMode(CopyingPadding):
    """Plans are kept by all of the problem but its mode."""

    def __init__(self):
        self.plans = {}

    def table(self, spec, axis, what):
        key = (axis, what, replace(spec, pad_mode="zeros"))
        return self.plans.setdefault(key, super().table(spec, axis, what)).copy()


@mutant
class PaddedImageKept(CopyingPadding):
    """The padded image is kept from call to call; where nothing but pixels changed, it is old."""

    def __init__(self):
        self.last = None, None

    def grow(self, spec, x, what):
        if self.last[0] != spec:
            self.last = spec, super().grow(spec, x, what)
        return self.last[1].copy()


@mutant
class ClaimsAModeItLacks(Taps):
    """pad_modes names what the kernels were never taught: they pad with zeros."""

    pad_modes = ("zeros", "reflect")


@mutant
class CircularAcrossRows(CopyingPadding):
    """After the end of a row comes the beginning of the next, as it lies in memory."""

    def grow(self, spec, x, what):
        grown = super().grow(spec, x, what)
        end = spec.pad[-1][1]
        if spec.pad_mode == "circular" and spec.axes == 2 and end:
            (begin, _), rows = spec.pad[0], x.shape[2]
            here = grown[:, :, begin : begin + rows, -end:]
            here[...] = np.roll(here, -1, axis=2)
        return grown


# --- convkit pads, and a backend that knows nothing of it computes ----------------------------


@host(*lost("pad_mode"))
def pad_mode_in_dictionary_lost():
    """conv_param accepts pad_mode and never hands it on."""


def _pads(mode):
    def pad(spec, x):
        return np.pad(x, ((0, 0), (0, 0), *spec.pad), mode=mode)

    return (padding, "pad", pad)


@host(_pads("constant"))
def host_pads_with_zeros():
    """Whatever the mode, convkit pads with zeros."""


@host(_pads("symmetric"))
def host_pads_symmetrically():
    """Whatever the mode, convkit mirrors the image."""


@host(_pads("wrap"))
def host_pads_circularly():
    """Whatever the mode, convkit repeats the image."""


_fold = padding.fold


def _inside(spec, grown):
    pairs = zip(spec.pad, spec.x_shape[2:], strict=True)
    return grown[:, :, *(slice(b, b + n) for (b, _), n in pairs)].copy()


@host((padding, "fold", _inside))
def host_drops_the_copies_gradients():
    """convkit cuts the padding off dx instead of folding it back."""


def _fold_without_corners(spec, grown):
    centre = _inside(spec, grown)
    for axis in range(spec.axes):
        others = list(spec.pad)
        cut = tuple(
            slice(None) if a == axis else slice(b, b + n)
            for a, ((b, _), n) in enumerate(zip(spec.pad, spec.x_shape[2:], strict=True))
        )
        others = [pair if a == axis else (0, 0) for a, pair in enumerate(spec.pad)]
        band = grown[:, :, *cut].copy()
        centre += _fold(replace(spec, pad=tuple(others)), band) - _inside(spec, grown)
    return centre


@host((padding, "fold", _fold_without_corners))
def host_loses_the_corners():
    """convkit folds every edge of dx back, but no corner."""


@host((padding, "fold", lambda spec, grown: _fold(replace(spec, pad_mode="edge"), grown)))
def host_folds_to_the_edge():
    """Whatever the mode, convkit gives the gradients of the padding to the outermost pixels."""


@host(
    (methods, "handed", lambda record, specs: specs),
    (resolve, "handed", lambda record, specs: specs),
)
def host_hands_modes_to_all():
    """A mode is handed to a backend that does not name it, and pads with zeros."""
