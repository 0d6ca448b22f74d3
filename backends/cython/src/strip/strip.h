/* Strips: the part of an image that a block of outputs reads, copied once into padded memory.
 *
 * A strip is split into stride x stride phases, so that for any stride every tap is a contiguous
 * load at a constant offset: output (row, col) reads lane row * pitch + col + toff[tap]. A row of a
 * phase is as long as the output plus the halo that the taps reach. A gapless strip has a phase for
 * every column of taps instead, exactly as wide as the output: then vectors of pixels also run on
 * over rows without a gap.
 *
 * dx reads a strip of dout, with stride 1. Pixels i * s + r (r < s) of dx form phase r; output
 * i + shift reaches pixel i of the phase, for the shifts of reaching_taps. */
#ifndef CK_STRIP_STRIP_H
#define CK_STRIP_STRIP_H

#include "kernels.h"
#include "simd/vector.h"

enum { NARROW_VECTORS = 8 };

/* How a strip's memory is laid out, and which source pixel is where: row r, column q of phase
 * (ph, pw) is source row (first + r) * sh + ph - top, column q * sw + pw - left, or padding. */
typedef struct {
    idx src_h, src_w, sh, sw, top, left;
    idx rows, pitch; /* of one phase */
    idx phases;      /* those that some tap reads */
    idx ahead;       /* 0, or how far ahead of a row to prefetch */
    int gapless;
    idx phase_size, channel_size;
    int *ph, *pw; /* the caller's memory, for as many phases as there are taps */
} strip_shape;

/* The number of phase (ph, pw) in the strip, appended if it is new. */
CK_LOCAL idx phase_number(strip_shape *s, idx ph, idx pw)
{
    idx i = 0;
    while (i < s->phases && (s->ph[i] != ph || s->pw[i] != pw))
        i++;
    if (i == s->phases) {
        s->ph[i] = (int)ph;
        s->pw[i] = (int)pw;
        s->phases++;
    }
    return i;
}

/* How many more rows of a phase than of results a strip for windows has. */
CK_LOCAL idx halo_rows(const ck_window *g) { return quotient((g->k[1] - 1) * g->d[1], g->s[1]); }

/* A strip for the windows of g. toff gets the phase that each tap reads, in row-major order;
 * offset_taps makes offsets of them. phases is memory for two numbers per tap. */
CK_LOCAL void strip_of_windows(strip_shape *s, const ck_window *g, int gapless, int *phases,
                               idx *toff)
{
    *s = (strip_shape){.src_h = g->in[1], .src_w = g->in[2], .sh = g->s[1], .sw = g->s[2],
                       .top = g->p[1], .left = g->p[2], .gapless = gapless, .ph = phases,
                       .pw = phases + g->k[1] * g->k[2]};
    s->pitch = g->out[2] + (gapless ? 0 : quotient((g->k[2] - 1) * g->d[2], s->sw));
    for (idx kh = 0; kh < g->k[1]; kh++) {
        idx ph = kh * g->d[1] - quotient(kh * g->d[1], s->sh) * s->sh;
        for (idx kw = 0; kw < g->k[2]; kw++) {
            idx col = kw * g->d[2];
            *toff++ = phase_number(s, ph, gapless ? col : col - quotient(col, s->sw) * s->sw);
        }
    }
}

/* Once the strip has its sizes: where in a channel's strip each tap reads. */
CK_LOCAL void offset_taps(const strip_shape *s, const ck_window *g, idx *toff)
{
    for (idx kh = 0; kh < g->k[1]; kh++) {
        idx row = quotient(kh * g->d[1], s->sh) * s->pitch;
        for (idx kw = 0; kw < g->k[2]; kw++, toff++)
            *toff = *toff * s->phase_size + row +
                    (s->gapless ? 0 : quotient(kw * g->d[2], s->sw));
    }
}

/* dx: the taps along one axis that reach the pixels of phase r. For each the tap, and the output
 * minus the pixel's number in its phase. Returns how many. */
CK_LOCAL idx reaching_taps(const ck_window *g, int axis, idx r, idx *tap, idx *shift)
{
    idx count = 0;
    for (idx t = 0; t < g->k[axis]; t++) {
        idx at = r + g->p[axis] - t * g->d[axis];
        if (at % g->s[axis] == 0) {
            tap[count] = t;
            shift[count++] = at / g->s[axis];
        }
    }
    return count;
}

/* dx along one axis: the pixels of a phase (of the first, which has the most) and the halo of
 * outputs, which begins `low` from a pixel's number and is `reach` wider than the pixels. */
typedef struct {
    idx pixels, low, reach;
} dx_halo;

CK_LOCAL dx_halo halo_of(const ck_window *g, int axis)
{
    idx s = g->s[axis], low = floor_div(g->p[axis] - (g->k[axis] - 1) * g->d[axis], s);
    return (dx_halo){(g->in[axis] - 1) / s + 1, low, floor_div(s - 1 + g->p[axis], s) - low};
}

/* The strip of dout for dx. It has one phase, (0, 0), unless it is gapless. */
CK_LOCAL void strip_of_pixels(strip_shape *s, const ck_window *g, int gapless, int *phases)
{
    dx_halo h = halo_of(g, 1), w = halo_of(g, 2);
    *s = (strip_shape){.src_h = g->out[1], .src_w = g->out[2], .sh = 1, .sw = 1, .top = -h.low,
                       .left = -w.low, .phases = !gapless, .gapless = gapless, .ph = phases,
                       .pw = phases + g->k[1] * g->k[2]};
    s->pitch = w.pixels + (gapless ? 0 : w.reach);
    s->ph[0] = s->pw[0] = 0;
}

/* The taps that reach phase (y, x) of dx: tap[i], whose output is in row row[i] and column col[i]
 * of the halo. In row-major order of the taps; returns how many. lists is memory for 2 * (k[1] +
 * k[2]) numbers. */
CK_LOCAL idx taps_of_phase(const ck_window *g, idx y, idx x, idx *tap, idx *row, idx *col,
                           idx *lists)
{
    idx *kh = lists, *oh = kh + g->k[1], *kw = oh + g->k[1], *ow = kw + g->k[2], count = 0;
    idx rows = reaching_taps(g, 1, y, kh, oh), cols = reaching_taps(g, 2, x, kw, ow);
    dx_halo h = halo_of(g, 1), w = halo_of(g, 2);
    for (idx a = 0; a < rows; a++)
        for (idx b = 0; b < cols; b++, count++) {
            tap[count] = kh[a] * g->k[2] + kw[b];
            row[count] = oh[a] - h.low;
            col[count] = ow[b] - w.low;
        }
    return count;
}

#define CK_TEMPLATE "strip/strip_tpl.h"
#include "simd/each_dtype.h"

#endif
