/* Included by isa_measure.c once per dtype: multiply-adds that touch no memory, and a plain copy,
 * both on the thread pool, so that a share of the peak compares like with like. */

#ifndef CK_MEASURE_IMPL
#define CK_MEASURE_IMPL
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

static void copy_chunk(void *context, idx task, void *scratch)
{
    (void)scratch;
    const copy_job *job = context;
    idx at = task * CK_COPY_CHUNK;
    memcpy(job->to + at, job->from + at, (size_t)CK_MIN(job->bytes - at, CK_COPY_CHUNK));
}
#endif

static void FN(multiply_add)(void *context, idx task, void *scratch)
{
    (void)scratch;
    idx rounds = *(const idx *)context;
    VEC sums[CK_SUMS], scale = {0}, step = {0};
    scale += (REAL)0.5;
    step += (REAL)(task + 1);
    for (int i = 0; i < CK_SUMS; i++) {
        sums[i] = step;
        __asm__ volatile("" : "+m"(sums[i]));
    }
    for (idx round = 0; round < rounds; round++)
#pragma GCC unroll 32
        for (int i = 0; i < CK_SUMS; i++)
            sums[i] = sums[i] * scale + step;
    for (int i = 0; i < CK_SUMS; i++)
        __asm__ volatile("" : : "m"(sums[i]));
}

/* Run `rounds` rounds and return how many multiplications and additions they took. */
double FN(ck_peak)(idx rounds)
{
    ck_parallel(CK_PEAK_TASKS, FN(multiply_add), &rounds, 0, 1e9);
    return 2.0 * CK_PEAK_TASKS * (double)rounds * CK_SUMS * VL;
}

#ifndef REAL_IS_DOUBLE
void CK_PASTE(ck_copy, f32, CK_ISA)(void *to, const void *from, idx bytes)
{
    copy_job job = {to, from, bytes};
    ck_parallel((bytes + CK_COPY_CHUNK - 1) / CK_COPY_CHUNK, copy_chunk, &job, 0, (double)bytes);
}
#endif
