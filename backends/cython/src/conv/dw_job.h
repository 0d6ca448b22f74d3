/* Convolution backward to w and b: dw[f][k] = sum over pixels of dout[f] * x[k], where row k of x
 * is what one channel and tap read.
 *
 * Blocks of pixels become rows without padding, so that no lane is computed in vain and the rest of
 * the last vector is zero on both sides. Thin layers copy them and sum along the pixels (dw_dot.h);
 * for deep ones both sides are transposed and run through the register tiles (dw_gemm.h). Padding
 * of x is zero in these rows, which an infinite dout must not meet: if dout holds a NaN or an
 * infinity, the direct kernel computes the whole call. */
#ifndef CK_CONV_DW_JOB_H
#define CK_CONV_DW_JOB_H

#include "gemm/block.h"
#include "simd/transpose.h"

enum {
    DOT_ROW_BYTES = 2048,
    DOT_MEMORY = 640 << 10,
    GEMM_PIXELS = 400, /* half an image of 28x28, two of 14x14 */
    GEMM_WEIGHTS = 320,
    GEMM_FILTERS = 256, /* transposed at once */
    PARTIAL_BYTES = 2 << 20,
    SPLIT_TASKS = 16, /* divide about evenly among any small number of threads */
};

typedef struct {
    const ck_conv *g;
    strip_shape strip;
    depth_shape depth;
    idx n, m, c, taps;       /* images; filters and summed channels per group; taps of an image */
    int transposed;          /* both sides, for register tiles; otherwise dot tiles */
    int in_place;            /* rows of x are read from x itself */
    idx cb, fb, images, rows; /* blocks of channels, filters, images, rows */
    idx at_once;             /* filters of a block that are transposed at once */
    idx chunks_n, chunks_r, chunks_c, chunks_f, splits;
    idx step;                /* from one row of pixels to the next */
    idx offset_x, offset_dout, offset_strip, offset_koff, offset_acc, offset_db;
    idx offset_x_pixels, offset_dout_pixels, offset_lines, offset_panel, offset_a, scratch;
    const void *x, *dout;
    void *dw, *db;           /* if splits > 1: partial sums, one after the other */
    idx *toff;
    int padded;
    int *bad;                /* set if dout is not finite */
} dw_job;

/* What a task sums (filters and channels, counted over all groups; c0: in its group), and over
 * which rows of results of which images at a time. */
typedef struct {
    idx filter, f, group_channel, c0, c, k;
    idx n0, images, first, rows;
} dw_chunk;

CK_LOCAL dw_chunk chunk_of_rows(const dw_job *j, dw_chunk c, idx number)
{
    c.n0 = number / j->chunks_r * j->images;
    c.images = CK_MIN(j->images, j->n - c.n0);
    c.first = number % j->chunks_r * j->rows;
    c.rows = CK_MIN(j->rows, j->g->out[1] - c.first);
    return c;
}


#define CK_TEMPLATE "conv/dw_job_tpl.h"
#include "simd/each_dtype.h"

#endif
