/* Every kernel against the definition on random problems, without Python: for processors that the
 * machine at hand is not. Built and run by tools/crosscheck.sh.
 *
 * Data are small integers, so sums are exact in any order and results must be equal. Memory for
 * results starts as NaN.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ck.h"

enum { PROBLEMS = 400 };

static uint64_t state = 88172645463325252u;

static idx below(idx n)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (idx)(state % (uint64_t)n);
}

static double value(int wide) { return (double)below(wide ? 4097 : 9) - (wide ? 2048 : 4); }

/* Arrays of one dtype; `bytes` is its size. */
static void fill(void *to, idx count, size_t bytes)
{
    for (idx i = 0; i < count; i++)
        if (bytes == 8)
            ((double *)to)[i] = value(1);
        else
            ((float *)to)[i] = (float)value(0);
}

static void spoil(void *to, idx count, size_t bytes) { memset(to, 0xff, (size_t)count * bytes); }

static int differ(const char *kernel, const char *what, const void *a, const void *b, idx count,
                  size_t bytes, int problem)
{
    for (idx i = 0; i < count; i++) {
        double x = bytes == 8 ? ((const double *)a)[i] : ((const float *)a)[i];
        double y = bytes == 8 ? ((const double *)b)[i] : ((const float *)b)[i];
        if (!(x == y)) {
            printf("problem %d: %s of %s: element %td is %g, not %g\n", problem, what, kernel, i, x,
                   y);
            return 1;
        }
    }
    return 0;
}

static void *room(idx count) { return aligned_alloc(64, (size_t)count * 8 + 256); }

/* A random geometry along one axis; returns whether a window fits. */
static int axis(ck_conv *g, int a)
{
    idx end = below(3);
    g->in[a] = 1 + below(a == 2 ? 40 : 14), g->k[a] = 1 + below(4), g->s[a] = 1 + below(3);
    g->d[a] = 1 + below(2), g->p[a] = below(3);
    idx left = g->in[a] + g->p[a] + end - ((g->k[a] - 1) * g->d[a] + 1);
    g->out[a] = left < 0 ? 0 : left / g->s[a] + 1;
    return left >= 0;
}

static int convolution(const ck_kernels *k, const ck_conv *g, int kernel, const char *name,
                       size_t bytes, int problem)
{
    idx image = g->in[1] * g->in[2], pixels = g->out[1] * g->out[2];
    idx x = g->n * g->c * image, out = g->n * g->f * pixels;
    idx w = g->f * (g->c / g->groups) * g->k[1] * g->k[2];
    void *in[4] = {room(x), room(w), room(g->f), room(out)};
    idx sizes[4] = {out, x, w, g->f}, sources[4] = {x, w, g->f, out};
    const char *names[4] = {"out", "dx", "dw", "db"};
    void *got[2][4];
    int bad = 0, relu = (int)below(2);
    for (int i = 0; i < 4; i++)
        fill(in[i], sources[i], bytes);
    for (int which = 0; which < 2; which++) {
        int number = which ? kernel : CK_DIRECT;
        for (int i = 0; i < 4; i++) {
            got[which][i] = room(sizes[i]);
            spoil(got[which][i], sizes[i], bytes);
        }
        void **r = got[which];
        /* What a kernel lacks is left to the definition. */
        int forward = k->conv_forward[number] ? number : CK_DIRECT;
        int dx = k->conv_dx[number] ? number : CK_DIRECT, dw = k->conv_dw[number] ? number : CK_DIRECT;
        bad |= k->conv_forward[forward](g, in[0], in[1], in[2], r[0], relu);
        bad |= k->conv_dx[dx](g, in[3], in[1], r[1]);
        bad |= k->conv_dw[dw](g, in[3], in[0], r[2], r[3]);
    }
    for (int i = 0; i < 4; i++) {
        bad |= differ(name, names[i], got[1][i], got[0][i], sizes[i], bytes, problem);
        free(in[i]), free(got[0][i]), free(got[1][i]);
    }
    return bad;
}

static int pooling(const ck_kernels *k, const ck_pool *g, int forward, int backward,
                   const char *name, size_t bytes, int problem)
{
    idx x = g->planes * g->in[1] * g->in[2], out = g->planes * g->out[1] * g->out[2];
    void *in = room(x), *dout = room(out), *got[2][4];
    uint16_t *args[2];
    idx sizes[4] = {out, x, out, x};
    const char *names[4] = {"maximum", "its dx", "average", "its dx"};
    int bad = 0, arg_bytes = g->k[1] * g->k[2] < 256 ? 1 : 2;
    fill(in, x, bytes);
    fill(dout, out, bytes);
    for (int which = 0; which < 2; which++) {
        int f = which ? forward : CK_WINDOWS, b = which ? backward : CK_WINDOWS;
        void **r = got[which];
        args[which] = room(out);
        for (int i = 0; i < 4; i++) {
            r[i] = room(sizes[i]);
            spoil(r[i], sizes[i], bytes);
        }
        bad |= k->max_pool_forward[f](g, in, r[0], args[which], arg_bytes);
        bad |= k->max_pool_backward[b](g, dout, args[which], arg_bytes, r[1]);
        bad |= k->avg_pool_forward[f](g, in, r[2]);
        bad |= k->avg_pool_backward[f](g, dout, r[3]);
    }
    if (memcmp(args[0], args[1], (size_t)(out * arg_bytes))) {
        printf("problem %d: %s: places of maxima differ\n", problem, name);
        bad = 1;
    }
    for (int i = 0; i < 4; i++) {
        bad |= differ(name, names[i], got[1][i], got[0][i], sizes[i], bytes, problem);
        free(got[0][i]), free(got[1][i]);
    }
    free(in), free(dout), free(args[0]), free(args[1]);
    return bad;
}

/* Windows without padding, so that every divisor is a power of two and averages are exact. */
static ck_pool pool_of(const ck_conv *g, idx high, idx wide, idx sh, idx sw, int32_t *counts)
{
    ck_pool p = {.planes = g->n * g->c, .in = {1, g->in[1], g->in[2]}, .k = {1, high, wide},
                 .s = {1, sh, sw}, .d = {1, 1, 1}};
    p.out[0] = 1, p.out[1] = (g->in[1] - high) / sh + 1, p.out[2] = (g->in[2] - wide) / sw + 1;
    for (idx i = 0; i < p.out[1] + p.out[2] + 1; i++)
        counts[i] = i == 0 ? 1 : (int32_t)(i <= p.out[1] ? high : wide);
    p.counts[0] = counts, p.counts[1] = counts + 1, p.counts[2] = counts + 1 + p.out[1];
    return p;
}

static int power_of_two(idx n) { return (n & (n - 1)) == 0; }

int main(void)
{
    int bad = 0, done = 0;
    int32_t counts[128];
    while (done < PROBLEMS) {
        ck_conv g = {.n = 1 + below(3), .groups = 1 + below(3)};
        g.c = g.groups * (1 + below(9)), g.f = g.groups * (1 + below(20));
        g.in[0] = g.out[0] = g.k[0] = g.s[0] = g.d[0] = 1;
        if (!axis(&g, 1) || !axis(&g, 2))
            continue;
        int dtype = done % 2;
        size_t bytes = dtype == CK_F64 ? 8 : 4;
        const ck_kernels *k = ck_active_isa()->of[dtype];
        bad |= convolution(k, &g, CK_GEMM, "gemm", bytes, done);
        bad |= convolution(k, &g, CK_COLUMNS, "columns", bytes, done);
        ck_conv each = g;
        each.groups = each.c, each.f = each.c * (1 + below(2));
        bad |= convolution(k, &each, CK_DEPTHWISE, "depthwise", bytes, done);
        idx high = 1 << below(3), wide = 1 << below(3);
        if (high <= g.in[1] && wide <= g.in[2]) {
            ck_pool p = pool_of(&g, high, wide, g.s[1], g.s[2], counts);
            bad |= pooling(k, &p, CK_ROWS, CK_WINDOWS, "rows", bytes, done);
        }
        if (g.in[2] >= 2) {
            ck_pool p = pool_of(&g, 1, 2, 1, 2, counts);
            bad |= pooling(k, &p, CK_ROWS, CK_TILES, "tiles", bytes, done);
        }
        if (power_of_two(g.in[1] * g.in[2])) {
            ck_pool p = pool_of(&g, g.in[1], g.in[2], 1, 1, counts);
            bad |= pooling(k, &p, CK_GLOBAL, CK_GLOBAL, "global", bytes, done);
        }
        done++;
    }
    printf("%d problems on %s: %s\n", done, ck_active_isa()->name, bad ? "FAILED" : "ok");
    return bad;
}
