/* dw and db of conv - relu - max pool, from the gradient of the pooled result.
 *
 * A window passes its gradient to one pixel, so one of the convolution's results per window has
 * any. dw is the sum over these alone of the gradient times its patch of x: with windows of 2x2, a
 * quarter of the products. The strip holds an image's rows with their channels side by side,
 * [y][c][x]. So a patch is a list of runs of KW pixels, `pitch` apart, and the sums of as many runs
 * as there are registers stay in them for all gradients of a filter.
 *
 * What is left out is 0 times a pixel. If a pixel is not finite, that is not 0; if a gradient is
 * not finite, its products with padding are not 0. Neither is computed here; the return value says
 * so. */
#ifndef CK_FUSED_POOLED_DW_H
#define CK_FUSED_POOLED_DW_H

#include <stdlib.h>

#include "isa/declarations.h"
#include "pool/pool.h"
#include "simd/argmax.h"
#include "strip/strip.h"

enum {
    RUN_BYTES = CK_VECTOR_BYTES < 32 ? CK_VECTOR_BYTES : 32, /* wider ones would be half empty */
    MOST_RUNS = CK_VECTOR_BYTES == 64 ? 24 : 12, /* sums held in registers; a multiple of 3 */
    POOLED_STRIP_BYTES = 256 << 10,
    POOLED_SPLITS = 8, /* parts of the batch, each with sums of its own */
};
#define UNROLL_RUNS _Pragma("GCC unroll 24")

typedef struct {
    const ck_conv *g;
    const ck_pool *pool;
    const void *x, *dout, *arg;
    int arg_bytes;
    idx m, c;                   /* filters and channels per group */
    idx pitch, band;            /* pixels of a strip's row; rows of pooled results it serves */
    idx runs, pieces, size;     /* runs (a multiple of 3) per piece of KW; sums of a filter */
    idx splits, chunks_m, mb;   /* parts of the batch and of a group's filters */
    idx offset_grads, offset_strip;
    void *sums, *db_sums;       /* [splits][f][pieces][runs][lanes], [splits][f] */
    const idx *offset;          /* [taps of a window + 1]: in the strip */
    void *dw, *db;
    int bad;                    /* something was not finite */
} pooled_job;

/* The rows of the convolution's results that rows [first, last) of the pooled ones reduce. */
CK_LOCAL void conv_rows(const pooled_job *j, idx first, idx last, idx *begin, idx *end)
{
    const ck_pool *p = j->pool;
    *begin = CK_MAX(0, first * p->s[1] - p->p[1]);
    *end = CK_MIN(p->in[1], (last - 1) * p->s[1] - p->p[1] + (p->k[1] - 1) * p->d[1] + 1);
}

#define CK_TEMPLATE "fused/pooled_dw_tpl.h"
#include "simd/each_dtype.h"

#endif
