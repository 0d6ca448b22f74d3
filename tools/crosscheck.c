/* Every exact kernel against the definition on random problems, without Python: for processors
 * other than that of the machine at hand. Built and run by tools/crosscheck.sh.
 *
 * Data are small integers, so sums are exact in any order and results must be equal. Memory for
 * results starts as NaN. A kernel that no problem reached is a failure, too.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { PROBLEMS = 400 };

static int ran[CK_KERNELS];

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

/* The kernels of one problem, by number. */
typedef struct {
    const char *name;
    int forward, dx, dw;
} conv_kernels;

static const conv_kernels DEFINITION = {"direct", CK_conv_forward_direct, CK_conv_dx_direct,
                                        CK_conv_dw_direct};

static int run_convolution(const ck_kernels *k, const ck_conv *g, const conv_kernels *which,
                           void **in, int relu, void **r)
{
    ran[which->forward] = ran[which->dx] = ran[which->dw] = 1;
    return k->kernel[which->forward].conv_forward(g, in[0], in[1], in[2], r[0], relu) |
           k->kernel[which->dx].conv_dx(g, in[3], in[1], r[1]) |
           k->kernel[which->dw].conv_dw(g, in[3], in[0], r[2], r[3]);
}

static int convolution(const ck_kernels *k, const ck_conv *g, const conv_kernels *which,
                       size_t bytes, int problem)
{
    idx image = g->in[1] * g->in[2], pixels = g->out[1] * g->out[2];
    idx x = g->n * g->c * image, out = g->n * g->f * pixels;
    idx w = g->f * (g->c / g->groups) * g->k[1] * g->k[2];
    void *in[4] = {room(x), room(w), room(g->f), room(out)}, *got[2][4];
    idx sizes[4] = {out, x, w, g->f}, sources[4] = {x, w, g->f, out};
    const char *names[4] = {"out", "dx", "dw", "db"};
    int bad = 0, relu = (int)below(2);
    for (int i = 0; i < 4; i++)
        fill(in[i], sources[i], bytes);
    for (int forced = 0; forced < 2; forced++) {
        for (int i = 0; i < 4; i++) {
            got[forced][i] = room(sizes[i]);
            spoil(got[forced][i], sizes[i], bytes);
        }
        bad |= run_convolution(k, g, forced ? which : &DEFINITION, in, relu, got[forced]);
    }
    for (int i = 0; i < 4; i++)
        bad |= differ(which->name, names[i], got[1][i], got[0][i], sizes[i], bytes, problem);
    spoil(got[1][3], g->f, bytes);
    bad |= k->kernel[CK_conv_db_direct].conv_db(g, in[3], got[1][3]);
    ran[CK_conv_db_direct] = 1;
    bad |= differ("conv_db", "db", got[1][3], got[0][3], g->f, bytes, problem);
    for (int i = 0; i < 4; i++)
        free(in[i]), free(got[0][i]), free(got[1][i]);
    return bad;
}

/* The kernels of one pooling: maximum forward and backward, average forward and backward. */
typedef struct {
    const char *name;
    int kernel[4];
} pool_kernels;

#define POOL_KERNELS(name, max_backward) \
    {#name, {CK_max_pool_forward_##name, CK_max_pool_backward_##max_backward, \
             CK_avg_pool_forward_##name, CK_avg_pool_backward_##name}}
static const pool_kernels WINDOWS = POOL_KERNELS(windows, windows);

static int pooling(const ck_kernels *k, const ck_pool *g, const pool_kernels *which, size_t bytes,
                   int problem)
{
    idx x = g->planes * g->in[1] * g->in[2], out = g->planes * g->out[1] * g->out[2];
    void *in = room(x), *dout = room(out), *got[2][4];
    uint16_t *args[2];
    idx sizes[4] = {out, x, out, x};
    const char *names[4] = {"maximum", "its dx", "average", "its dx"};
    int bad = 0, arg_bytes = g->k[1] * g->k[2] < 256 ? 1 : 2;
    fill(in, x, bytes);
    fill(dout, out, bytes);
    for (int forced = 0; forced < 2; forced++) {
        const int *number = (forced ? which : &WINDOWS)->kernel;
        void **r = got[forced];
        args[forced] = room(out);
        for (int i = 0; i < 4; i++) {
            r[i] = room(sizes[i]);
            spoil(r[i], sizes[i], bytes);
            ran[number[i]] = 1;
        }
        const ck_kernel *kernel = k->kernel;
        bad |= kernel[number[0]].max_pool_forward(g, in, r[0], args[forced], arg_bytes);
        bad |= kernel[number[1]].max_pool_backward(g, dout, args[forced], arg_bytes, r[1]);
        bad |= kernel[number[2]].avg_pool_forward(g, in, r[2]);
        bad |= kernel[number[3]].avg_pool_backward(g, dout, r[3]);
    }
    if (memcmp(args[0], args[1], (size_t)(out * arg_bytes))) {
        printf("problem %d: %s: argmax indices differ\n", problem, which->name);
        bad = 1;
    }
    for (int i = 0; i < 4; i++) {
        bad |= differ(which->name, names[i], got[1][i], got[0][i], sizes[i], bytes, problem);
        free(got[0][i]), free(got[1][i]);
    }
    free(in), free(dout), free(args[0]), free(args[1]);
    return bad;
}

/* dw and db of conv - relu - max pool, against those of the gradient before pooling. Results have
 * no relu: the index beyond the window's taps stands for what relu cut off. */
static int fused(const ck_kernels *k, const ck_conv *g, size_t bytes, int problem)
{
    idx x = g->n * g->c * g->in[1] * g->in[2], planes = g->n * g->f;
    idx out = planes * g->out[1] * g->out[2], w = g->f * (g->c / g->groups) * g->k[1] * g->k[2];
    ck_pool p = {.planes = planes, .in = {1, g->out[1], g->out[2]}, .k = {1, 2, 2}, .s = {1, 2, 2},
                 .d = {1, 1, 1}, .out = {1, g->out[1] / 2, g->out[2] / 2}};
    idx pooled = planes * p.out[1] * p.out[2];
    void *in = room(x), *dpool = room(pooled), *dout = room(out), *got[2][2];
    uint8_t *arg = room(pooled);
    int bad = 0;
    fill(in, x, bytes);
    fill(dpool, pooled, bytes);
    for (idx i = 0; i < pooled; i++)
        arg[i] = (uint8_t)below(5);
    for (int i = 0; i < 2; i++)
        got[i][0] = room(w), got[i][1] = room(g->f);
    bad |= k->kernel[CK_max_pool_backward_windows].max_pool_backward(&p, dpool, arg, 1, dout);
    bad |= k->kernel[CK_conv_dw_direct].conv_dw(g, dout, in, got[0][0], got[0][1]);
    bad |= k->kernel[CK_conv_relu_pool_dw_pooled].conv_relu_pool_dw(g, &p, dpool, arg, 1, in,
                                                                    got[1][0], got[1][1]);
    ran[CK_conv_relu_pool_dw_pooled] = 1;
    bad |= differ("pooled", "dw", got[1][0], got[0][0], w, bytes, problem);
    bad |= differ("pooled", "db", got[1][1], got[0][1], g->f, bytes, problem);
    for (int i = 0; i < 2; i++)
        free(got[i][0]), free(got[i][1]);
    free(in), free(dpool), free(dout), free(arg);
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

static ck_conv random_convolution(void)
{
    ck_conv g;
    do {
        g = (ck_conv){.n = 1 + below(3), .groups = 1 + below(3)};
        g.c = g.groups * (1 + below(9)), g.f = g.groups * (1 + below(20));
        g.in[0] = g.out[0] = g.k[0] = g.s[0] = g.d[0] = 1;
    } while (!axis(&g, 1) || !axis(&g, 2));
    return g;
}

#define CONV_KERNELS(forward, dx, dw) \
    {#forward " " #dx " " #dw, CK_conv_forward_##forward, CK_conv_dx_##dx, CK_conv_dw_##dw}

static int convolutions(const ck_kernels *k, const ck_conv *g, size_t bytes, int problem)
{
    static const conv_kernels any[] = {CONV_KERNELS(gemm, gemm, gemm),
                                       CONV_KERNELS(gemm, gemm_by_phase, dot),
                                       CONV_KERNELS(gemm, columns, dot)},
                              gapless[] = {CONV_KERNELS(gemm_gapless, gemm_gapless, gemm_gapless),
                                           CONV_KERNELS(gemm_gapless, gemm_gapless, dot_gapless)},
                              in_place[] = {CONV_KERNELS(gemm_in_place, gemm_in_place,
                                                         gemm_in_place),
                                            CONV_KERNELS(gemm_in_place, gemm_in_place,
                                                         dot_in_place)},
                              depthwise = CONV_KERNELS(depthwise, depthwise, depthwise);
    int bad = 0;
    for (int i = 0; i < 3; i++)
        bad |= convolution(k, g, &any[i], bytes, problem);
    for (int i = 0; i < 2 && g->s[2] <= 2; i++)
        bad |= convolution(k, g, &gapless[i], bytes, problem);
    ck_conv pixels = *g;
    for (int a = 1; a < 3; a++)
        pixels.out[a] = pixels.in[a], pixels.k[a] = pixels.s[a] = pixels.d[a] = 1, pixels.p[a] = 0;
    for (int i = 0; i < 2; i++)
        bad |= convolution(k, &pixels, &in_place[i], bytes, problem);
    ck_conv each = *g;
    each.groups = each.c, each.f = each.c * (1 + below(2));
    bad |= convolution(k, &each, &depthwise, bytes, problem);
    if (g->d[1] == 1 && g->d[2] == 1 && g->out[1] > 1 && g->out[2] > 1)
        bad |= fused(k, g, bytes, problem);
    return bad;
}

static int poolings(const ck_kernels *k, const ck_conv *g, size_t bytes, int problem)
{
    static const pool_kernels rows = POOL_KERNELS(rows, windows),
                              disjoint = POOL_KERNELS(disjoint, disjoint),
                              global = POOL_KERNELS(global, global);
    int32_t counts[128];
    int bad = 0;
    idx high = 1 << below(3), wide = 1 << below(3);
    if (high <= g->in[1] && wide <= g->in[2]) {
        ck_pool p = pool_of(g, high, wide, g->s[1], g->s[2], counts);
        bad |= pooling(k, &p, &rows, bytes, problem);
    }
    if (g->in[2] >= 2) {
        ck_pool p = pool_of(g, 1, 2, 1, 2, counts);
        bad |= pooling(k, &p, &disjoint, bytes, problem);
    }
    if (power_of_two(g->in[1] * g->in[2])) {
        ck_pool p = pool_of(g, g->in[1], g->in[2], 1, 1, counts);
        bad |= pooling(k, &p, &global, bytes, problem);
    }
    return bad;
}

int main(void)
{
    int bad = 0;
    const ck_isa *isa = ck_active_isa();
    for (int problem = 0; problem < PROBLEMS; problem++) {
        ck_conv g = random_convolution();
        int dtype = problem % 2;
        size_t bytes = dtype == CK_F64 ? 8 : 4;
        bad |= convolutions(isa->of[dtype], &g, bytes, problem);
        bad |= poolings(isa->of[dtype], &g, bytes, problem);
    }
    for (int i = 0; i < CK_KERNELS; i++) {
        int exact = !strstr(ck_kernel_name(i), "winograd");
        if (exact && isa->of[CK_F32]->kernel[i].conv_forward && !ran[i]) {
            printf("%s %s was not run\n", ck_kernel_operation(i), ck_kernel_name(i));
            bad = 1;
        }
    }
    printf("%d problems on %s: %s\n", PROBLEMS, isa->name, bad ? "FAILED" : "ok");
    return bad;
}
