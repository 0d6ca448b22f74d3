/* What the kernels share that work on every image plane by itself: pooling and depthwise
 * convolution.
 *
 * A plane, or as many of its rows as fit the first-level cache, is copied into a strip; then every
 * tap of a row of results is one contiguous run of vectors. Forward has a result for each window.
 * Backward is its transpose: the strip holds the gradients of the windows, and a row of dx is
 * assembled from one run for each column phase of the stride. */
#ifndef CK_STRIP_PLANES_H
#define CK_STRIP_PLANES_H

#include <stdlib.h>

#include "pool/pool.h"
#include "strip/strip.h"

enum { PLANE_STRIP_BYTES = 48 << 10 };

/* The taps that reach one phase of the results: where each one reads the strip, and (backward) its
 * number. */
typedef struct {
    idx taps;
    idx *offset, *tap;
} plane_phase;

typedef struct {
    const ck_pool *g;
    strip_shape strip;
    idx sy, sx;            /* result (y, x) belongs to phase (y % sy, x % sx) */
    idx height, width;     /* of a plane of results */
    idx rows, chunks;      /* rows of a chunk, in units of sy; chunks of a plane */
    idx per_task;          /* chunks */
    plane_phase *phase;    /* [sy * sx] */
    const void *in;
    void *out, *arg;       /* arg: the argmax indices, or NULL */
    int arg_bytes;
} plane_job;

/* `run` with the number of taps known to the compiler, if it is a usual one. */
#define BY_TAPS(taps, run) \
    switch (taps) { \
    case 1: run(1); break; \
    case 2: run(2); break; \
    case 3: run(3); break; \
    case 4: run(4); break; \
    case 9: run(9); break; \
    default: run(taps); break; \
    }

/* What a chunk of results covers. */
typedef struct {
    idx plane, first, rows; /* in units of sy */
} plane_chunk;

CK_LOCAL plane_chunk chunk_of(const plane_job *j, idx number)
{
    plane_chunk c = {number / j->chunks, number % j->chunks * j->rows, 0};
    c.rows = CK_MIN(j->rows, blocks_of(j->height, j->sy) - c.first);
    return c;
}

CK_LOCAL idx plane_tasks(const plane_job *j)
{
    return blocks_of(j->g->planes * j->chunks, j->per_task);
}

/* A row of dx, if `value(phase number, i)` gives VL of its columns. */
#define PUT_ROW(j, sx, row, room, value) \
    for (idx i = 0; i * (sx) < (j)->width; i += VL) { \
        if ((sx) == 1) \
            FN(put_one)(j, row, i, value(0, i), room); \
        else if ((sx) == 2) \
            FN(put_two)(j, row, i, value(0, i), value(1, i), room); \
        else \
            for (idx p = 0; p < (sx); p++) \
                FN(put_every)(row, value(p, i), i * (sx) + p, sx, (j)->width); \
    }

/* All rows of dx of chunk c, by `put_row(strip row, phases, sx, row of dx, room)`, with the number
 * of column phases known to the compiler if it is a usual one. */
#define PUT_ROWS(j, c, values, put_row) \
    for (idx y = (c).first * (j)->sy, end = CK_MIN((j)->height, ((c).first + (c).rows) * (j)->sy); \
         y < end; y++) { \
        REAL *row = (REAL *)(j)->out + ((c).plane * (j)->height + y) * (j)->width; \
        const plane_phase *phases = (j)->phase + y % (j)->sy * (j)->sx; \
        const REAL *from = (values) + (y / (j)->sy - (c).first) * (j)->strip.pitch; \
        idx room = (end - y) * (j)->width; \
        if ((j)->sx == 1) \
            put_row(from, phases, 1, row, room); \
        else if ((j)->sx == 2) \
            put_row(from, phases, 2, row, room); \
        else \
            put_row(from, phases, (j)->sx, row, room); \
    }

#define CK_TEMPLATE "strip/planes_tpl.h"
#include "simd/each_dtype.h"

#endif
