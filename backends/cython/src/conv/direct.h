/* Convolution as its definition reads, row by row: for problems that no other kernel takes, and the
 * reference in tests for those that do.
 *
 * Padding is never read: loops run over the taps' valid ranges only, so a NaN or an infinity
 * reaches exactly the results whose windows contain it. */
#ifndef CK_CONV_DIRECT_H
#define CK_CONV_DIRECT_H

#include "isa/declarations.h"
#include "simd/vector.h"

typedef struct {
    const ck_conv *g;
    const void *a, *b, *c;
    void *out;
    int relu;
} direct_job;

/* The outputs [first, last) that read a real pixel through tap `t` of axis `a`, and the input
 * `start` that the first of them reads. */
typedef struct {
    idx first, last, start;
} tap_range;

CK_LOCAL tap_range range_of(const ck_conv *g, int a, idx t)
{
    idx shift = t * g->d[a] - g->p[a];
    tap_range r;
    r.first = shift < 0 ? (-shift + g->s[a] - 1) / g->s[a] : 0;
    r.last = g->in[a] - 1 - shift < 0 ? 0 : (g->in[a] - 1 - shift) / g->s[a] + 1;
    r.last = CK_MIN(r.last, g->out[a]);
    if (r.last < r.first)
        r.last = r.first;
    r.start = r.first * g->s[a] + shift;
    return r;
}

#define CK_TEMPLATE "conv/direct_tpl.h"
#include "simd/each_dtype.h"

#endif
