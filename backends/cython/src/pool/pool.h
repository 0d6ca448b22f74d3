/* What the kernels of pooling share, whatever the dtype. */
#ifndef CK_POOL_POOL_H
#define CK_POOL_POOL_H

#include "simd/base.h"

typedef struct {
    const ck_pool *g;
    const void *in, *arg;
    void *out, *arg_out;
    int arg_bytes;
    idx per_task;      /* planes */
    idx rows;          /* of a window */
    const idx *offset; /* from a window's corner to each of its taps (disjoint windows: rows) */
} pool_job;

/* The taps [first, last) of axis `a` through which output `o` reads real pixels: none if its window
 * is all padding, which happens to convolutions. */
CK_LOCAL void pool_taps(const ck_pool *g, int a, idx o, idx *first, idx *last)
{
    idx start = o * g->s[a] - g->p[a];
    *first = start < 0 ? quotient(-start + g->d[a] - 1, g->d[a]) : 0;
    idx room = g->in[a] - 1 - start;
    *last = room < 0 ? 0 : CK_MIN(g->k[a], quotient(room, g->d[a]) + 1);
}

CK_LOCAL void put_arg(void *arg, int bytes, idx i, idx value)
{
    if (bytes == 1)
        ((uint8_t *)arg)[i] = (uint8_t)value;
    else if (bytes == 2)
        ((uint16_t *)arg)[i] = (uint16_t)value;
    else
        ((uint32_t *)arg)[i] = (uint32_t)value;
}

CK_LOCAL idx get_arg(const void *arg, int bytes, idx i)
{
    return bytes == 1   ? ((const uint8_t *)arg)[i]
           : bytes == 2 ? ((const uint16_t *)arg)[i]
                        : (idx)((const uint32_t *)arg)[i];
}

CK_LOCAL idx pool_in(const ck_pool *g) { return g->in[0] * g->in[1] * g->in[2]; }
CK_LOCAL idx pool_out(const ck_pool *g) { return g->out[0] * g->out[1] * g->out[2]; }

CK_LOCAL double pool_work(const ck_pool *g)
{
    return 2.0 * g->planes * (pool_in(g) + (double)pool_out(g) * g->k[0] * g->k[1] * g->k[2]);
}

enum { PLANE_TASK_ELEMENTS = 1 << 15 };

/* Run a kernel of planes, some of them per task. cost: how many copies of a pixel take as long. */
CK_LOCAL int run_planes(pool_job *job, ck_task run, double cost)
{
    const ck_pool *g = job->g;
    idx elements = pool_in(g) + pool_out(g);
    job->per_task = elements < PLANE_TASK_ELEMENTS ? PLANE_TASK_ELEMENTS / elements : 1;
    return ck_parallel(blocks_of(g->planes, job->per_task), run, job, 0,
                       cost * (double)g->planes * (double)elements);
}

#endif
