/* Cuts a convolution by GEMM into blocks and tasks, and runs them. What decides the bits of results
 * depends on the shape alone; into how many tasks filters are cut, on the threads too. */
#ifndef CK_GEMM_BLOCKING_H
#define CK_GEMM_BLOCKING_H

#include <stdlib.h>

#include "gemm/task.h"

/* The columns of all passes that compute any, whose results are interleaved at the end. */
CK_LOCAL idx result_columns(const gemm_job *j)
{
    idx columns = 0;
    for (idx i = 0; i < j->passes && j->passes > 1; i++)
        columns += j->pass[i].taps ? j->pass[i].cols : 0;
    return columns;
}

/* Into how many blocks filters are cut: `least`, or more if there are few tasks. Each block copies
 * the pixels again, so no more than keep the threads busy. No result's bits depend on it. */
CK_LOCAL idx filter_blocks(idx tasks, idx filters, idx least)
{
    idx threads = ck_num_threads(), most = filters / LEAST_FILTERS, blocks = least;
    while (blocks < most && tasks * blocks < CK_MAX(LEAST_TASKS, 2 * threads) &&
           tasks * blocks % threads)
        blocks++;
    return blocks;
}

#define CK_TEMPLATE "gemm/blocking_tpl.h"
#include "simd/each_dtype.h"

#endif
