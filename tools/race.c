/* Every kernel, called from two threads at once while the pool has four, for ThreadSanitizer.
 *
 * Python is left out, so that every thread and lock is one the sanitizer knows. The results must
 * also have the bits of a single thread's. tools/race.sh builds and runs it.
 */
#include "ck.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 2, ROUNDS = 3, SIDE = 32 };

typedef struct {
    const char *name;
    ck_conv conv;
    int kernel, pool_forward, pool_backward;
} problem;

enum { RESULTS = 8 };

/* x, w, b, dout in; out, dx, dw, db, pooled and its dx, averaged and its dx back. */
typedef struct {
    float *in[4], *got[RESULTS];
    uint16_t *arg;
    size_t in_size[4], got_size[RESULTS], arg_size;
} arrays;

static ck_conv same(idx n, idx c, idx f, idx groups)
{
    ck_conv g = {n, c, f, groups, {1, SIDE, SIDE}, {1, SIDE, SIDE}, {1, 3, 3}, {1, 1, 1},
                 {1, 1, 1}, {0, 1, 1}};
    return g;
}

static int32_t counts[SIDE]; /* of the current problem's windows, along any axis */

/* 2x2 windows side by side, or one that is the whole image. */
static ck_pool pool_of(const ck_conv *g, idx window)
{
    ck_pool p = {g->n * g->c, {1, SIDE, SIDE}, {1, SIDE / window, SIDE / window},
                 {1, window, window}, {1, window, window}, {1, 1, 1}, {0, 0, 0},
                 {counts, counts, counts}};
    return p;
}

static void make(arrays *a, const ck_conv *g)
{
    size_t image = (size_t)g->n * SIDE * SIDE, w = (size_t)g->f * (g->c / g->groups) * 9;
    size_t in[4] = {image * g->c, w, g->f, image * g->f};
    size_t pooled = image * g->c / 4, full = image * g->c;
    size_t got[RESULTS] = {image * g->f, full, w, g->f, pooled, full, pooled, full};
    for (int i = 0; i < 4; i++) {
        a->in_size[i] = in[i];
        a->in[i] = aligned_alloc(64, (in[i] * sizeof(float) + 63) / 64 * 64);
        for (size_t j = 0; j < in[i]; j++)
            a->in[i][j] = (float)((j * 7 + (size_t)i * 3) % 11) - 5;
    }
    for (int i = 0; i < RESULTS; i++) {
        a->got_size[i] = got[i];
        a->got[i] = aligned_alloc(64, (got[i] * sizeof(float) + 63) / 64 * 64);
    }
    a->arg_size = pooled;
    a->arg = malloc(pooled * sizeof *a->arg);
}

static int compute(const ck_kernels *k, const problem *p, arrays *a)
{
    const ck_conv *g = &p->conv;
    ck_pool q = pool_of(g, p->pool_forward == CK_GLOBAL ? SIDE : 2);
    int bad = 0, bytes = p->pool_forward == CK_GLOBAL ? 2 : 1;
    if (k->conv_forward[p->kernel])
        bad |= k->conv_forward[p->kernel](g, a->in[0], a->in[1], a->in[2], a->got[0], 0);
    if (k->conv_dx[p->kernel])
        bad |= k->conv_dx[p->kernel](g, a->in[3], a->in[1], a->got[1]);
    if (k->conv_dw[p->kernel])
        bad |= k->conv_dw[p->kernel](g, a->in[3], a->in[0], a->got[2], a->got[3]);
    bad |= k->max_pool_forward[p->pool_forward](&q, a->in[0], a->got[4], a->arg, bytes);
    bad |= k->max_pool_backward[p->pool_backward](&q, a->got[4], a->arg, bytes, a->got[5]);
    bad |= k->avg_pool_forward[p->pool_forward](&q, a->in[0], a->got[6]);
    bad |= k->avg_pool_backward[p->pool_forward](&q, a->got[6], a->got[7]);
    return bad;
}

static const ck_kernels *kernels;
static const problem *current;
static arrays first;

static void *caller(void *failed)
{
    arrays mine;
    make(&mine, &current->conv);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < RESULTS; i++)
            memcpy(mine.got[i], first.got[i], mine.got_size[i] * sizeof(float));
        *(int *)failed |= compute(kernels, current, &mine);
        for (int i = 0; i < RESULTS; i++)
            if (memcmp(mine.got[i], first.got[i], mine.got_size[i] * sizeof(float))) {
                printf("%s: result %d has other bits with threads\n", current->name, i);
                *(int *)failed = 1;
            }
    }
    return NULL;
}

int main(void)
{
    const problem problems[] = {
        {"direct, windows", same(4, 8, 16, 1), CK_DIRECT, CK_WINDOWS, CK_WINDOWS},
        {"gemm, rows, tiles", same(4, 8, 16, 1), CK_GEMM, CK_ROWS, CK_TILES},
        {"columns", same(9, 3, 16, 1), CK_COLUMNS, CK_WINDOWS, CK_WINDOWS},
        {"depthwise, global", same(8, 32, 32, 32), CK_DEPTHWISE, CK_GLOBAL, CK_GLOBAL},
        {"winograd", same(4, 16, 32, 1), CK_WINOGRAD, CK_WINDOWS, CK_WINDOWS},
        {"winograd, many weights", same(1, 96, 128, 1), CK_WINOGRAD, CK_WINDOWS, CK_WINDOWS}};
    int failed = 0;
    kernels = ck_active_isa()->of[CK_F32];
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        current = &problems[i];
        make(&first, &current->conv);
        for (int j = 0; j < SIDE; j++)
            counts[j] = current->pool_forward == CK_GLOBAL ? SIDE : 2;
        for (int j = 0; j < RESULTS; j++)
            memset(first.got[j], 0, first.got_size[j] * sizeof(float));
        ck_set_num_threads(1);
        failed |= compute(kernels, current, &first);
        ck_set_num_threads(4);
        pthread_t threads[CALLERS];
        int wrong[CALLERS] = {0};
        for (int t = 0; t < CALLERS; t++)
            pthread_create(&threads[t], NULL, caller, &wrong[t]);
        for (int t = 0; t < CALLERS; t++) {
            pthread_join(threads[t], NULL);
            failed |= wrong[t];
        }
        printf("%s: %s\n", current->name, failed ? "FAILED" : "ok");
    }
    return failed;
}
