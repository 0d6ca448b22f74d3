/* Convolution of 3x3 kernels and stride 1, and its dx, by Winograd's F(4x4, 3x3).
 *
 * A block of tiles is transformed to 36 matrices [channels][tiles], the weights to 36 matrices
 * [filters][channels]; the register tiles multiply them, and the 36 results of each filter and tile
 * become 4 x 4 pixels.
 *
 * A tile spreads a NaN or an infinity to its other results: if a result is not finite, the exact
 * kernel computes the whole call. */
#ifndef CK_WINOGRAD_WINOGRAD_H
#define CK_WINOGRAD_WINOGRAD_H

#include "gemm/register_tile.h"
#include "strip/strip.h"
#include "winograd/transform.h"

typedef struct {
    idx n, groups, m, k;      /* images; results' and summed channels per group */
    idx src_h, src_w, out_h, out_w;
    idx top, left;            /* padding of the source, which may be negative */
    idx wm, wk, wg;           /* w's strides: result channel, summed channel, group */
    int flip, relu;
    const void *src, *w, *bias;
    void *out;
    idx high, wide;           /* tiles of an image */
    idx rows, cols;           /* tiles of a block: rows, counted on over images, of cols */
    idx chunks_r, chunks_c;
    idx lanes;                /* a block's tiles, up to whole vectors */
    idx mb, kb, chunks_m, chunks_k;
    idx v_step, u_step, m_step; /* from one of the 36 matrices to the next */
    idx offset_v, offset_u, offset_m, offset_lines, scratch;
    void *v, *u;              /* transformed pixels or weights, if shared */
    int *bad;                 /* set if a result is not finite */
} winograd_job;

/* A block of tiles: tile rows first .. first + rows - 1 of all images, `cols` columns from x on. */
typedef struct {
    idx first, rows, x, cols;
} tile_block;

CK_LOCAL tile_block find_block(const winograd_job *j, idx chunk)
{
    tile_block b = {chunk / j->chunks_c * j->rows, j->rows, chunk % j->chunks_c * j->cols, j->cols};
    b.rows = CK_MIN(b.rows, j->n * j->high - b.first);
    b.cols = CK_MIN(b.cols, j->wide - b.x);
    return b;
}

#define CK_TEMPLATE "winograd/winograd_tpl.h"
#include "simd/each_dtype.h"

#endif
