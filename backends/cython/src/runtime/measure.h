/* What this machine can do at best, for benchmarks to compare with: multiply-adds that touch no
 * memory, and a plain copy, both on the thread pool. */
#ifndef CK_RUNTIME_MEASURE_H
#define CK_RUNTIME_MEASURE_H

#include <string.h>

#include "isa/declarations.h"
#include "simd/vector.h"

/* Enough independent sums to hide the latency of a multiply-add on two units, and few enough to
 * stay in registers. */
#if defined(__AVX512F__)
enum { CK_SUMS = 24 };
#elif CK_VECTOR_BYTES > 32
enum { CK_SUMS = 6 };
#else
enum { CK_SUMS = 12 };
#endif
enum { CK_PEAK_TASKS = 16, CK_COPY_CHUNK = 1 << 18 };

typedef struct {
    char *to;
    const char *from;
    idx bytes;
} copy_job;

CK_LOCAL void copy_chunk(void *context, idx task, void *scratch)
{
    (void)scratch;
    const copy_job *job = context;
    idx at = task * CK_COPY_CHUNK;
    memcpy(job->to + at, job->from + at, (size_t)CK_MIN(job->bytes - at, CK_COPY_CHUNK));
}

#define CK_TEMPLATE "runtime/measure_tpl.h"
#include "simd/each_dtype.h"

#endif
