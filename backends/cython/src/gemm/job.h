/* What a convolution by GEMM computes, forward or backward to x, and how it is cut into blocks.
 *
 * Forward is one pass; dx of stride s is one stride-1 pass over dout for each of the s x s phases
 * of dx. A task is a block of filters by a block of pixels (rows of an image, or whole small
 * images). */
#ifndef CK_GEMM_JOB_H
#define CK_GEMM_JOB_H

#include "gemm/register_tile.h"
#include "strip/depth.h"

enum {
    KC = CK_VECTOR_BYTES == 64 ? 192 : 256, /* rows of a panel, which stays in L1 */
    KC_LONG = 576,         /* rows of one that is read from L2 */
    LONG_OWN_BYTES = 1536, /* a filter's part of the weights that a task packs for itself */
    L1_BYTES = CK_VECTOR_BYTES == 64 ? 24 << 10 : 16 << 10, /* for a panel or its like */
    STRIP_BYTES = 320 << 10,
    RESULT_BYTES = 416 << 10,
    CHUNK_PIXELS = 1024,
    LEAST_FILTERS = 2 * MR, /* of a block */
    LEAST_PIXELS = 256,
    PREPACK_BYTES = 2560 << 10,
    TOGETHER_BYTES = 512 << 10, /* for what a task packs of all passes at once */
    PACKING_WORK = 16, /* of a value, in multiply-adds */
};

/* One stride-1 pass: result (row, col) is y = row * sy + y0, x = col * sx + x0 of the output. */
typedef struct {
    idx taps, sy, sx, y0, x0, cols;
    idx in_order;     /* w's elements are read one after the other */
    idx *toff, *wtap; /* [taps]: offset in a channel's strip; index in w's kernel */
    idx a;            /* where its packed weights begin, of all tasks' or of a task's own */
} gemm_pass;

typedef struct {
    strip_shape strip;
    depth_shape depth;
    idx runs, n;              /* runs of images at equal distances: one per volume, or one in all */
    idx groups, m, c;         /* result channels and summed channels per group */
    idx channels;             /* of the source, of which each is summed depth's taps times */
    idx out_h, out_w;
    idx wm, wc, wg;           /* w's strides: result channel, source's channel, group */
    idx passes, all_taps;
    gemm_pass *pass;
    idx *pass_of, *index;     /* [all_taps], of several passes: a tap's pass, and its index there */
    int in_place;             /* the source is read in place and needs no strip */
    idx cb, images, rows, mb; /* blocks: channels, images, output rows, filters */
    idx chunks_n, chunks_r, chunks_m;
    idx offset_strip, offset_panel, offset_a, offset_koff, offset_result;
    idx scratch;
    idx prepacked, together;  /* weights are packed once for all tasks; by a task for all passes */
    idx weights;              /* how many are packed */
    const void *src, *w, *bias;
    void *out, *a;
    int relu;
} gemm_job;

/* A 1x1 layer without stride or padding reads pixels in place: its image is one long row of one
 * phase. short_blocks: whether vectors run on at no cost, which decides the size of blocks. */
CK_LOCAL void read_in_place(gemm_job *j, int short_blocks)
{
    strip_shape *s = &j->strip;
    s->src_w *= s->src_h, s->src_h = 1;
    j->out_w *= j->out_h, j->out_h = 1;
    j->pass->cols = s->pitch = j->out_w;
    j->in_place = 1;
    s->gapless = short_blocks;
}

/* Parts of many planes are copied one after the other: prefetch the plane after the next, because
 * copying one is faster than fetching it. Whole planes follow each other in memory anyway. */
CK_LOCAL void set_prefetch_distance(strip_shape *s, idx channels)
{
    int parts = s->rows * s->sh < s->src_h;
    s->ahead = parts && channels >= 8 ? 2 * s->src_h * s->src_w : 0;
}

/* Which images are at equal distances, and how many channels are summed. */
CK_LOCAL void join_planes(gemm_job *j, const ck_conv *g)
{
    int volumes = j->depth.images > 1;
    j->runs = volumes ? g->n : 1;
    j->n = volumes ? j->depth.images : g->n;
    j->c = j->channels * j->depth.taps;
}

#endif
