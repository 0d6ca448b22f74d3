/* Every kernel, called from two threads at once while the pool has four, for ThreadSanitizer; and the
 * pool of result buffers, from as many.
 *
 * Python is left out, so that every thread and lock is one the sanitizer knows. The results must
 * also have the bits of a single thread's. tools/race.sh builds and runs it.
 */
#include "kernels.h"
#include "runtime/buffers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLERS = 2, ROUNDS = 3, SIDE = 32 };
enum { MOST_PIXELS = 4 }; /* of a plane that a kernel of few pixels normalises */

/* A kernel, by its number, and a problem that it computes. */
typedef struct {
    int kernel;
    ck_conv conv;
    ck_pool pool; /* of the convolution's results */
} problem;

/* What kernels read, and what they write. */
enum { X, W, B, DOUT, POOLED, INPUTS };
enum { OUT, DX, DW, DB, POOL, DPOOL, RESULTS };

typedef struct {
    float *in[INPUTS], *got[RESULTS];
    uint16_t *arg;
    double *statistics;
    uint8_t *positive;
    size_t in_size[INPUTS], got_size[RESULTS];
} arrays;

static int32_t counts[SIDE]; /* of the current problem's windows, along any axis */

static ck_conv convolution(idx n, idx c, idx f, idx groups, idx window)
{
    return (ck_conv){.n = n, .c = c, .f = f, .groups = groups, .in = {1, SIDE, SIDE},
                     .out = {1, SIDE, SIDE}, .k = {1, window, window}, .s = {1, 1, 1},
                     .d = {1, 1, 1}, .p = {0, window / 2, window / 2}};
}

static ck_pool pooling(const ck_conv *g, idx window, idx stride, idx pad)
{
    idx out = (SIDE + 2 * pad - window) / stride + 1;
    return (ck_pool){.planes = g->n * g->f, .in = {1, SIDE, SIDE}, .out = {1, out, out},
                     .k = {1, window, window}, .s = {1, stride, stride}, .d = {1, 1, 1},
                     .p = {0, pad, pad}, .counts = {counts, counts, counts}};
}

static problem problem_of(int kernel)
{
    const char *name = ck_kernel_name(kernel);
    problem p = {kernel, convolution(4, 8, 16, 1, 3), {0}};
    if (strstr(name, "in_place"))
        p.conv = convolution(4, 8, 16, 1, 1);
    else if (strstr(name, "depthwise"))
        p.conv = convolution(8, 32, 32, 32, 3);
    else if (strstr(name, "columns"))
        p.conv = convolution(9, 3, 16, 1, 3);
    else if (!strcmp(name, "winograd_by_filters"))
        p.conv = convolution(1, 96, 128, 1, 3);
    else if (!strcmp(name, "winograd"))
        p.conv = convolution(4, 16, 32, 1, 3);
    p.pool = pooling(&p.conv, 2, 2, 0);
    if (!strcmp(name, "global"))
        p.pool = pooling(&p.conv, SIDE, SIDE, 0);
    else if (!strcmp(name, "overlap"))
        p.pool = pooling(&p.conv, 3, 1, 0);
    else if (!strcmp(name, "plane"))
        p.pool = pooling(&p.conv, 3, 1, 1);
    return p;
}

static void make(arrays *a, const problem *p)
{
    const ck_conv *g = &p->conv;
    size_t image = (size_t)g->n * SIDE * SIDE, out = image * g->f;
    size_t w = (size_t)g->f * (g->c / g->groups) * g->k[1] * g->k[2];
    size_t pooled = (size_t)(p->pool.planes * p->pool.out[1] * p->pool.out[2]);
    size_t in[INPUTS] = {image * g->c, w, g->f, out, pooled};
    size_t got[RESULTS] = {out, image * g->c, w, g->f, pooled, out};
    for (int i = 0; i < INPUTS; i++) {
        a->in_size[i] = in[i];
        a->in[i] = aligned_alloc(64, (in[i] * sizeof(float) + 63) / 64 * 64);
        for (size_t j = 0; j < in[i]; j++)
            a->in[i][j] = (float)((j * 7 + (size_t)i * 3) % 11) - 5;
    }
    for (int i = 0; i < RESULTS; i++) {
        a->got_size[i] = got[i];
        a->got[i] = aligned_alloc(64, (got[i] * sizeof(float) + 63) / 64 * 64);
    }
    a->arg = malloc(pooled * sizeof *a->arg);
    for (size_t i = 0; i < pooled; i++)
        a->arg[i] = 1;
    a->statistics = malloc(3 * out / MOST_PIXELS * sizeof *a->statistics);
    a->positive = malloc(out);
}

static void discard(arrays *a)
{
    for (int i = 0; i < INPUTS; i++)
        free(a->in[i]);
    for (int i = 0; i < RESULTS; i++)
        free(a->got[i]);
    free(a->arg);
    free(a->statistics);
    free(a->positive);
}

/* Forward, then, if asked, backward. */
static int normalise(const ck_kernels *kernels, const problem *p, arrays *a, int backward)
{
    const ck_conv *g = &p->conv;
    idx image = g->f * SIDE * SIDE;
    idx pixels = strcmp(ck_kernel_name(p->kernel), "rows") ? MOST_PIXELS : SIDE * SIDE;
    ck_norm norm = {.n = g->n, .c = image / pixels, .size = pixels, .eps = 1e-5, .own = 1,
                    .relu = 1};
    int kernel = p->kernel;
    if (backward)
        kernel = pixels == MOST_PIXELS ? CK_norm_forward_columns : CK_norm_forward_rows;
    int failed = kernels->kernel[kernel].norm_forward(&norm, a->in[DOUT], a->in[POOLED],
                                                      a->in[POOLED], NULL, a->statistics,
                                                      a->positive, a->got[OUT]);
    if (backward && !failed)
        failed = kernels->kernel[p->kernel].norm_backward(
            &norm, a->in[DOUT], a->in[DOUT], a->in[POOLED], a->statistics, a->positive,
            a->got[DPOOL], a->got[POOL], NULL, NULL);
    return failed;
}

/* The same with a pool of the results, whose plane is an image's channel. */
static int normalise_and_pool(const ck_kernels *kernels, const problem *p, arrays *a, int backward)
{
    const ck_conv *g = &p->conv;
    ck_norm norm = {.n = g->n, .c = g->f, .size = SIDE * SIDE, .eps = 1e-5, .own = 1, .relu = 1};
    uint8_t *arg = (uint8_t *)a->arg;
    int failed = kernels->kernel[CK_norm_pool_forward_rows].norm_pool_forward(
        &norm, &p->pool, a->in[DOUT], a->in[B], a->in[B], NULL, a->statistics, a->got[POOL], arg);
    if (backward && !failed)
        failed = kernels->kernel[p->kernel].norm_pool_backward(
            &norm, &p->pool, a->in[POOLED], arg, a->in[DOUT], a->in[B], a->statistics,
            a->got[DPOOL], a->got[DB], NULL, NULL);
    return failed;
}

static int compute(const ck_kernels *kernels, const problem *p, arrays *a)
{
    const char *operation = ck_kernel_operation(p->kernel);
    const ck_kernel *k = &kernels->kernel[p->kernel];
    const ck_conv *g = &p->conv;
    const ck_pool *q = &p->pool;
    float **in = a->in, **got = a->got;
    int bytes = q->k[1] * q->k[2] < 256 ? 1 : 2;
    if (!strcmp(operation, "conv_forward"))
        return k->conv_forward(g, in[X], in[W], in[B], got[OUT], 0);
    if (!strcmp(operation, "conv_dx"))
        return k->conv_dx(g, in[DOUT], in[W], got[DX]);
    if (!strcmp(operation, "conv_dw"))
        return k->conv_dw(g, in[DOUT], in[X], got[DW], got[DB]);
    if (!strcmp(operation, "conv_db"))
        return k->conv_db(g, in[DOUT], got[DB]);
    if (!strcmp(operation, "max_pool_forward"))
        return k->max_pool_forward(q, in[DOUT], got[POOL], a->arg, bytes);
    if (!strcmp(operation, "max_pool_backward"))
        return k->max_pool_backward(q, in[POOLED], a->arg, bytes, got[DPOOL]);
    if (!strcmp(operation, "avg_pool_forward"))
        return k->avg_pool_forward(q, in[DOUT], got[POOL]);
    if (!strcmp(operation, "avg_pool_backward"))
        return k->avg_pool_backward(q, in[POOLED], got[DPOOL]);
    if (!strcmp(operation, "conv_relu_pool_dw"))
        return k->conv_relu_pool_dw(g, q, in[POOLED], a->arg, bytes, in[X], got[DW], got[DB]);
    idx results = g->n * g->f * SIDE * SIDE;
    if (!strcmp(operation, "relu_bits"))
        return k->relu_bits(results, in[DOUT], a->positive);
    if (!strcmp(operation, "relu_backward"))
        return kernels->kernel[CK_relu_bits_flat].relu_bits(results, in[DOUT], a->positive) ||
               k->relu_backward(results, in[DOUT], a->positive, got[OUT]);
    if (!strncmp(operation, "norm_pool_", 10))
        return normalise_and_pool(kernels, p, a, !strcmp(operation, "norm_pool_backward"));
    if (!strncmp(operation, "norm_", 5))
        return normalise(kernels, p, a, !strcmp(operation, "norm_backward"));
    printf("no call for %s\n", operation);
    return 1;
}

static const ck_kernels *kernels;
static const problem *current;
static arrays first;

static void *caller(void *failed)
{
    arrays mine;
    make(&mine, current);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < RESULTS; i++)
            memset(mine.got[i], 0, mine.got_size[i] * sizeof(float));
        *(int *)failed |= compute(kernels, current, &mine);
        for (int i = 0; i < RESULTS; i++)
            if (memcmp(mine.got[i], first.got[i], mine.got_size[i] * sizeof(float))) {
                printf("result %d has other bits with threads\n", i);
                *(int *)failed = 1;
            }
    }
    discard(&mine);
    return NULL;
}

static int race(const problem *p)
{
    int failed = 0, wrong[CALLERS] = {0};
    pthread_t threads[CALLERS];
    current = p;
    make(&first, p);
    for (int j = 0; j < SIDE; j++)
        counts[j] = (int32_t)p->pool.k[1];
    for (int j = 0; j < RESULTS; j++)
        memset(first.got[j], 0, first.got_size[j] * sizeof(float));
    ck_set_num_threads(1);
    failed |= compute(kernels, p, &first);
    ck_set_num_threads(4);
    for (int t = 0; t < CALLERS; t++)
        pthread_create(&threads[t], NULL, caller, &wrong[t]);
    for (int t = 0; t < CALLERS; t++) {
        pthread_join(threads[t], NULL);
        failed |= wrong[t];
    }
    discard(&first);
    return failed;
}

/* Take, resize and give back buffers of changing sizes; what was written must stay. */
static void *use_buffers(void *argument)
{
    enum { LIVE = 5, STEP = 4096 };
    unsigned seed = *(unsigned *)argument;
    char *live[LIVE] = {0};
    size_t sizes[LIVE] = {0}, wrong = 0;
    for (int i = 0; i < 300; i++) {
        int k = i % LIVE;
        size_t size = CK_LEAST_BUFFER + (size_t)rand_r(&seed) % (4 * CK_LEAST_BUFFER);
        size_t held = size < sizes[k] ? size : sizes[k];
        if (rand_r(&seed) % 3) {
            ck_buffer_free(NULL, live[k], sizes[k]);
            live[k] = ck_buffer_malloc(NULL, size);
            held = 0;
        } else {
            live[k] = ck_buffer_realloc(NULL, live[k], size);
        }
        for (size_t at = 0; at < held; at += STEP)
            wrong += live[k][at] != (char)(*(unsigned *)argument + k);
        for (size_t at = 0; at < size; at += STEP)
            live[k][at] = (char)(*(unsigned *)argument + k);
        sizes[k] = size;
        if (i % 50 == 0)
            ck_set_buffers((size_t)(i % 7) * 8 * CK_LEAST_BUFFER, 1e-3 * (i % 3));
    }
    for (int k = 0; k < LIVE; k++)
        ck_buffer_free(NULL, live[k], sizes[k]);
    return (void *)wrong;
}

static atomic_int forked;

static void *hold_the_lock(void *argument)
{
    size_t kept, used;
    while (!atomic_load(&forked))
        ck_buffer_sizes(&kept, &used);
    return argument;
}

/* Fork while another thread uses the pool: the child must not find it locked. */
static int fork_with_buffers(void)
{
    pthread_t holder;
    pthread_create(&holder, NULL, hold_the_lock, NULL);
    int failed = 0;
    for (int i = 0; i < 100 && !failed; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* ends a child that waits for a thread it does not have */
            ck_buffer_free(NULL, ck_buffer_malloc(NULL, CK_LEAST_BUFFER), 0);
            _exit(0);
        }
        int status = 1;
        failed = child < 0 || waitpid(child, &status, 0) != child || status;
    }
    atomic_store(&forked, 1);
    pthread_join(holder, NULL);
    return failed;
}

static int race_buffers(void)
{
    pthread_t callers[CALLERS];
    unsigned seeds[CALLERS];
    size_t kept, used, failed = (size_t)fork_with_buffers();
    for (int i = 0; i < CALLERS; i++) {
        seeds[i] = 10u * (unsigned)i + 1;
        pthread_create(&callers[i], NULL, use_buffers, &seeds[i]);
    }
    for (int i = 0; i < CALLERS; i++) {
        void *wrong;
        pthread_join(callers[i], &wrong);
        failed += (size_t)wrong;
    }
    ck_empty_buffers();
    ck_buffer_sizes(&kept, &used);
    printf("buffers: %s\n", failed || kept || used ? "FAILED" : "ok");
    return failed || kept || used;
}

int main(void)
{
    int failed = race_buffers();
    kernels = ck_active_isa()->of[CK_F32];
    for (int i = 0; i < CK_KERNELS; i++) {
        const char *operation = ck_kernel_operation(i), *name = ck_kernel_name(i);
        if (!kernels->kernel[i].conv_forward) {
            printf("%s %s: not on %s\n", operation, name, ck_active_isa()->name);
            continue;
        }
        problem p = problem_of(i);
        int wrong = race(&p);
        printf("%s %s: %s\n", operation, name, wrong ? "FAILED" : "ok");
        failed |= wrong;
    }
    return failed;
}
