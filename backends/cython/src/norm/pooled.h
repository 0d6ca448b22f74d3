/* Batch normalisation, relu and a pool of disjoint windows of two columns in one pass.
 *
 * A part of a plane is some whole rows of windows. Forward it is normalised into the thread's
 * scratch memory and pooled from there; backward its gradient is put back there from the pooled one,
 * once for the sums and once for dx. So neither the normalised array nor its gradient is stored. An
 * argmax index with all bits set says that relu let nothing through. */
#ifndef CK_NORM_POOLED_H
#define CK_NORM_POOLED_H

#include "norm/rows.h"
#include "pool/window_rows.h"

typedef struct {
    norm_job j; /* first, so that tasks of it run too; its dout is the pooled one */
    pool_job pool;
    idx window_rows; /* of a part */
    idx offset[MOST_WINDOW_ROWS];
} pooled_job;

/* The rows of windows of a part: the first, and how many. */
CK_LOCAL idx windows_of_part(const pooled_job *q, idx p, idx *first)
{
    *first = p * q->window_rows;
    return CK_MAX(0, CK_MIN(q->window_rows, q->pool.g->out[1] - *first));
}

#define CK_TEMPLATE "norm/pooled_tpl.h"
#include "simd/each_dtype.h"

#endif
