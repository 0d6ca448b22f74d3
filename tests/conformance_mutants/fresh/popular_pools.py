"""Max and average pools of 3x3/1, 3x3/2 and 2x2, and of a whole image, beyond a block."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from conformance_mutants.base import Full, outer
from conformance_mutants.fresh.parts import (
    RIGHT,
    flat,
    max_dx_assigning,
    pads,
    ragged,
    shaped,
    tail,
    without,
)
from conformance_mutants.fresh.witness import pool, witness
from conformance_mutants.registry import result

# --- max --------------------------------------------------------------------------------------


@witness("forward", pool("max", 1, 2, 5, 35, k=3, s=1, p=1))
@result("max_out", Full)
def max3_column_halo_at_32(spec, result, x):
    """Max 3x3/1, more than 32 columns: column 32 does not see column 31."""
    out, winner = result
    if shaped(spec, 3) and pads(spec, 1) and spec.out_shape[-1] > 32:
        hidden = x.copy()
        hidden[..., 31] = -np.inf
        out[..., 32], winner[..., 32] = (a[..., 32] for a in RIGHT.max_out(spec, hidden))


@witness("forward", pool("max", 1, 19, 5, 5, k=3, s=1, p=1))
@result("max_out", Full)
def max3_channel_tail_padding_is_zero(spec, result, x):
    """Max 3x3/1 padded: in channels beyond 16 that fill no vector of 8 padding counts as 0."""
    out, _ = result
    channels = spec.x_shape[1]
    if shaped(spec, 3) and pads(spec, 1) and ragged(channels, 8, 16):
        for edge in (np.s_[0], np.s_[-1], np.s_[..., 0], np.s_[..., -1]):
            part = out[:, tail(channels, 8)]
            where = np.s_[:, :, edge] if isinstance(edge, int) else edge
            part[where] = np.maximum(part[where], 0)


@witness("dx", pool("max", 1, 2, 6, 19, k=3, s=1, p=1))
@result("max_dx", Full)
def max3_dx_column_tail_stores(spec, dx, dout, winner):
    """dx of max 3x3/1: columns beyond 16 in no vector of 8 keep the last gradient, not the sum."""
    width = spec.x_shape[-1]
    if shaped(spec, 3) and ragged(width, 8, 16):
        part = tail(width, 8)
        dx[..., part] = max_dx_assigning(spec, dout, winner)[..., part]


@witness("forward", pool("max", 1, 9, 6, 8, k=3, s=2, p=1))
@result("max_out", Full)
def max3s2_even_width_last_column(spec, result, x):
    """Max 3x3/2 padded, even width, more than 8 channels: the last column misses its third tap."""
    out, winner = result
    if shaped(spec, 3, 2) and spec.x_shape[-1] % 2 == 0 and spec.x_shape[1] > 8:
        hidden = x.copy()
        hidden[..., -1] = -np.inf
        found = RIGHT.max_out(spec, hidden)
        out[..., -1], winner[..., -1] = (a[..., -1] for a in found)


@witness("forward", pool("max", 2, 3, 6, 36, k=3, s=2, ceil=True))
@result("max_out", Full)
def max3s2_ceil_reads_next_row(spec, result, x):
    """Max 3x3/2 with ceil_mode, more than 16 results in a row: the last reads the next row."""
    out, _ = result
    if shaped(spec, 3, 2) and spec.ceil_mode and spec.out_shape[-1] > 16:
        over = (spec.out_shape[-1] - 1) * 2 - spec.pad[1][0] + 3 - spec.x_shape[-1]
        if over > 0:
            rows = np.minimum(np.arange(spec.out_shape[2]) * 2 + 1, spec.x_shape[2] - 1)
            out[..., -1] = np.maximum(out[..., -1], x[:, :, rows, 0])


@witness("dx", pool("max", 1, 2, 5, 41, k=3, s=2, p=1))
@result("max_dx", Full)
def max3s2_dx_overlap_between_blocks(spec, dx, dout, winner):
    """dx of max 3x3/2: pixels that blocks of 16 results share get the second block's part only."""
    if shaped(spec, 3, 2) and spec.out_shape[-1] > 16:
        column = 16 * 2 - spec.pad[1][0]
        if column < spec.x_shape[-1]:
            later = without(dout, np.s_[..., :16])
            dx[..., column] = RIGHT.max_dx(spec, later, winner)[..., column]


@witness("forward", pool("max", 1, 1, 67, 6, k=3, s=2, p=1))
@result("max_out", Full)
def max3s2_rows_beyond_32(spec, result, x):
    """Max 3x3/2: rows of results from 32 on leave out the top row of their windows."""
    out, winner = result
    if shaped(spec, 3, 2) and spec.out_shape[2] > 32:
        for row in range(32, spec.out_shape[2]):
            top = row * 2 - spec.pad[0][0]
            hidden = x.copy()
            hidden[:, :, top] = -np.inf
            out[:, :, row], winner[:, :, row] = (a[:, :, row] for a in RIGHT.max_out(spec, hidden))


@witness("forward", pool("max", 1, 1, 4, 134, k=2))
@result("max_out", Full)
def max2_column_tail_one_row(spec, result, x):
    """Max 2x2/2: results beyond 64 in a row that fill no vector of 8 see the upper row only."""
    out, winner = result
    width = spec.out_shape[-1]
    if shaped(spec, 2, 2) and pads(spec, 0) and ragged(width, 8, 64):
        hidden = x.copy()
        hidden[:, :, 1::2] = -np.inf
        part = np.s_[..., tail(width, 8)]
        out[part], winner[part] = (a[part] for a in RIGHT.max_out(spec, hidden))


@witness("dx", pool("max", 2, 17, 5, 6, k=2))
@result("max_dx", Full)
def max2_dx_leftover_row(spec, dx, dout, winner):
    """dx of max 2x2/2, odd height, more than 16 channels: the leftover row repeats the first."""
    if shaped(spec, 2, 2) and pads(spec, 0) and spec.x_shape[1] > 16 and spec.x_shape[2] % 2:
        dx[:, :, -1] = dx[:, :, 0]


@witness("dx", pool("max", 9, 1, 4, 4, k=2))
@result("max_dx", Full)
def max2_dx_tie_in_late_images(spec, dx, dout, winner):
    """dx of max 2x2/2: in images from 8 on the gradient of row 0 goes to a window's last pixel."""
    if shaped(spec, 2, 2) and pads(spec, 0) and spec.x_shape[0] > 8:
        late = winner[8:].copy()
        late[:, :, 0] = 3
        one = replace(
            spec,
            x_shape=(len(late), *spec.x_shape[1:]),
            out_shape=(len(late), *spec.out_shape[1:]),
        )
        dx[8:] = RIGHT.max_dx(one, dout[8:], late)


@witness("forward", pool("max", 5, 13, 4, 4, k=3, s=1, p=1))
@result("max_out", Full)
def max3_planes_beyond_64(spec, result, x):
    """Max 3x3/1: planes (images times channels) from 64 on are those of 64 planes before."""
    out, _ = result
    planes = out.reshape(-1, *out.shape[2:])
    if shaped(spec, 3) and len(planes) > 64:
        rest = len(planes[64:128])
        planes[64:128] = planes[:rest]


@witness("dx", pool("max", 1, 33, 5, 7, k=3, s=2, p=((0, 1), (0, 1))))
@result("max_dx", Full)
def max3s2_dx_end_padding(spec, dx, dout, winner):
    """dx of max 3x3/2 padded at the end only, more than 32 channels: padding taken at the begin."""
    if shaped(spec, 3, 2) and pads(spec, 0, 1) and spec.x_shape[1] > 32:
        dx[...] = RIGHT.max_dx(replace(spec, pad=((1, 0), (1, 0))), dout, winner)


# --- average ----------------------------------------------------------------------------------


@witness("forward", pool("avg", 1, 9, 4, 6, k=3, s=1, p=1))
@result("avg_out", Full)
def avg3_corner_divisor(spec, out, x):
    """Average 3x3/1 without counting padding, more than 8 channels: corners are divided by 6."""
    if shaped(spec, 3) and pads(spec, 1) and not spec.count_include_pad and spec.x_shape[1] > 8:
        out[:, :, 0, 0] *= spec.dtype.type(4) / spec.dtype.type(6)


@witness("forward", pool("avg", 1, 1, 5, 35, k=3, s=1, p=1))
@result("avg_out", Full)
def avg3_interior_divisor_at_last_block(spec, out, x):
    """Average 3x3/1, more than 32 columns: the last block divides its border as if inside."""
    if shaped(spec, 3) and not spec.count_include_pad and spec.out_shape[-1] > 32:
        part = slice(32, spec.out_shape[-1])
        out[..., part] *= (outer(spec.counts) / 9).astype(spec.dtype)[..., part]


@witness("dx", pool("avg", 1, 18, 5, 5, k=3, s=1, p=1, include=True))
@result("avg_dx", Full)
def avg3_dx_counts_real_pixels(spec, dx, dout):
    """dx of average 3x3/1 that counts padding: channels from 16 on share among real pixels."""
    if shaped(spec, 3) and spec.count_include_pad and spec.x_shape[1] > 16:
        dx[:, 16:] = RIGHT.avg_dx(replace(spec, count_include_pad=False), dout)[:, 16:]


@witness("forward", pool("avg", 1, 2, 5, 35, k=3, s=2, p=1, include=True))
@result("avg_out", Full)
def avg3s2_counts_padding_in_first_block_only(spec, out, x):
    """Average 3x3/2 that counts padding, more than 16 results in a row: the last one does not."""
    if shaped(spec, 3, 2) and spec.count_include_pad and spec.out_shape[-1] > 16:
        out[..., -1] = RIGHT.avg_out(replace(spec, count_include_pad=False), x)[..., -1]


@witness("forward", pool("avg", 1, 33, 6, 6, k=3, s=2, ceil=True))
@result("avg_out", Full)
def avg3s2_ceil_divides_by_nine(spec, out, x):
    """Average 3x3/2 with ceil_mode, more than 32 channels: overhanging windows divide by 9."""
    if shaped(spec, 3, 2) and spec.ceil_mode and spec.x_shape[1] > 32:
        out *= (outer(spec.counts) / 9).astype(spec.dtype)


@witness("dx", pool("avg", 1, 1, 35, 5, k=3, s=2, p=1))
@result("avg_dx", Full)
def avg3s2_dx_shared_row_at_block(spec, dx, dout):
    """dx of average 3x3/2: the row that row blocks of 16 share has the first block's part only."""
    if shaped(spec, 3, 2) and spec.out_shape[2] > 16:
        row = 16 * 2 - spec.pad[0][0]
        if row < spec.x_shape[2]:
            early = without(dout, np.s_[:, :, 16:])
            dx[:, :, row] = RIGHT.avg_dx(spec, early)[:, :, row]


@witness("forward", pool("avg", 17, 1, 4, 5, k=2))
@result("avg_out", Full)
def avg2_odd_width_late_images(spec, out, x):
    """Average 2x2/2, odd width: images from 16 on are read at a pitch without the odd column."""
    width = spec.x_shape[-1]
    if shaped(spec, 2, 2) and pads(spec, 0) and width % 2 and spec.x_shape[0] > 16:
        even = (*spec.x_shape[:3], width - 1)
        size = spec.x_shape[2] * (width - 1)
        packed = x.reshape(*x.shape[:2], -1)[..., :size].reshape(even)
        flat = replace(spec, x_shape=even, out_shape=(*even[:2], *spec.out_shape[2:3], width // 2))
        out[16:, ..., : width // 2] = RIGHT.avg_out(flat, packed)[16:]


@witness("dx", pool("avg", 1, 2, 4, 35, k=2, s=2))
@result("avg_dx", Full)
def avg2_dx_column_tail_not_shared(spec, dx, dout):
    """dx of average 2x2/2: columns beyond 32 in no vector of 8 get dout itself, not a quarter."""
    width = spec.x_shape[-1]
    if shaped(spec, 2, 2) and not spec.ceil_mode and pads(spec, 0) and ragged(width, 8, 32):
        dx[..., tail(width, 8)] *= 4


@witness("forward", pool("avg", 2, 66, 7, 7, k=7))
@result("avg_out", Full)
def avg_global_channel_tail(spec, out, x):
    """The average of a whole image: channels beyond 64 that fill no vector of 4 lose a row."""
    channels = spec.x_shape[1]
    whole = spec.kernel == spec.x_shape[2:] and pads(spec, 0)
    if whole and ragged(channels, 4, 64):
        part = tail(channels, 4)
        out[:, part, 0, 0] -= x[:, part, -1].sum(axis=-1) / spec.dtype.type(np.prod(spec.kernel))


@witness("dx", pool("avg", 3, 4, 9, 8, k=(9, 8)))
@result("avg_dx", Full)
def avg_global_dx_pixels_beyond_64(spec, dx, dout):
    """dx of a whole image's average, above 64 pixels: those that fill no vector of 16 stay zero."""
    size = math.prod(spec.x_shape[2:]) if spec.axes == 2 else 0
    if spec.kernel == spec.x_shape[2:] and ragged(size, 16, 64):
        flat(dx)[..., tail(size, 16)] = 0
