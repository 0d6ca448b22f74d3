/* Pooling by disjoint windows of two columns, as those of the usual 2x2 pooling are: each pixel
 * belongs to at most one window, so rows are read and written in place.
 *
 * A window's rows are those of all its planes, in row-major order. */
#ifndef CK_POOL_DISJOINT_H
#define CK_POOL_DISJOINT_H

#include <math.h>
#include <string.h>

#include "isa/declarations.h"
#include "pool/window_rows.h"

CK_LOCAL int run_disjoint(pool_job *job, ck_task run)
{
    idx offset[MOST_WINDOW_ROWS];
    job->rows = list_window_rows(job->g, offset);
    job->offset = offset;
    return run_planes(job, run, 1);
}

/* `run(row, offsets of its windows' rows, how many)` for every row of windows of the task's planes,
 * with the two rows of the usual windows known to the compiler. `run` may use the pool, g. */
#define EACH_WINDOW_ROW(job, task, run) \
    if ((job)->rows == 2) { \
        const idx offset[2] = {0, (job)->offset[1]}; \
        WINDOW_ROWS_OF(job, task, run, offset, 2) \
    } else { \
        WINDOW_ROWS_OF(job, task, run, (job)->offset, (job)->rows) \
    }
#define WINDOW_ROWS_OF(job, task, run, offset, rows) \
    const ck_pool g = *(job)->g; /* the compiler knows that stores do not change it */ \
    idx size = pool_in(&g), last = CK_MIN(g.planes, ((task) + 1) * (job)->per_task); \
    for (idx plane = (task) * (job)->per_task; plane < last; plane++) { \
        window_row row = {plane * pool_out(&g), pool_out(&g), 0}; \
        for (idx od = 0; od < g.out[0]; od++) { \
            row.pixel = plane * size + od * g.k[0] * g.in[1] * g.in[2]; \
            for (idx oh = 0; oh < g.out[1]; oh++) { \
                run(row, offset, rows); \
                row.at += g.out[2], row.room -= g.out[2]; \
                row.pixel += g.k[1] * g.in[2]; \
            } \
        } \
    }

#define CK_TEMPLATE "pool/disjoint_tpl.h"
#include "simd/each_dtype.h"

#endif
