/* Convolution backward to x for few channels: a GEMM, then col2im.
 *
 * Column (c, kh, kw) of a pixel of dout is the product of w[:, c, kh, kw] and dout[:, pixel]. It
 * belongs to one pixel of dx, and dx sums what belongs to each pixel. So dout is read in place,
 * every lane counts whatever the stride, and dx is written once. But each column is written and
 * read besides, which pays only for many filters, and only few columns stay in the cache.
 *
 * A task walks down an image, or some of its rows, and computes the columns of a block of dout's
 * rows at a time. Those of two blocks are kept, for a row of dx needs them from at most `reach`
 * rows. Small images form one block together. */
#ifndef CK_CONV_COLUMNS_H
#define CK_CONV_COLUMNS_H

#include <stdlib.h>
#include <string.h>

#include "gemm/block.h"
#include "isa/declarations.h"

enum { COLUMNS_BYTES = 96 << 10, SUMMED_CHANNELS = 4 };

/* The taps that reach one phase of dx along an axis; see reaching_taps. */
typedef struct {
    idx taps, *tap, *shift; /* in one list of all phases, one after the other */
} reached;

typedef struct {
    const ck_conv *g;
    gemm_job product;     /* the part that the register tiles read */
    idx m, f, k;          /* channels and filters of a group; columns */
    idx reach;            /* a row of dx reads outputs up to this many rows above its last one */
    idx rows, slots;      /* of a block; blocks that are kept */
    idx images;           /* of a block: more than one if they are whole */
    idx band, bands;      /* rows of dx in a task, in units of the stride; tasks of an image */
    idx chunks_n;
    idx step;             /* from one column's pixels to the next one's */
    idx fs;               /* filters summed at once */
    idx offset_panel, offset_koff, offset_rows, scratch;
    reached *row, *col;   /* of each phase */
    const void *dout;
    void *a, *dx, *lanes; /* lanes: MASK[vector of a row of a phase][kw] */
} columns_job;

/* The phases of one axis; lists is memory for two numbers per tap. */
CK_LOCAL void list_reached(const ck_conv *g, int axis, reached *r, idx *lists)
{
    for (idx i = 0; i < g->s[axis]; i++, r++) {
        r->tap = lists, r->shift = lists + g->k[axis];
        r->taps = reaching_taps(&g->window, axis, i, r->tap, r->shift);
        lists += r->taps;
    }
}

#define CK_TEMPLATE "conv/columns_tpl.h"
#include "simd/each_dtype.h"

#endif
