/* Result (y, x) reads the source's rows y * stride - top + 0, 1, 2 and columns alike. */
typedef struct {
    idx planes, channels, per_task;
    idx src_h, src_w, height, width; /* of a plane that is read, and of one of results */
    idx stride, top, left, blocks;
    const void *in, *w, *b, *dout;
    void *out, *db;
    int relu, flip;
    MASK mask[CK_MOST_BLOCKS][3]; /* [block][tap]: the lanes that are columns of the source */
} FN(job_3x3);

/* pixels: the lanes' number in a row of results. */
CK_LOCAL void FN(set_up_3x3)(FN(job_3x3) *j, idx pixels)
{
    j->blocks = blocks_of(pixels, VL);
    for (idx block = 0; block < j->blocks; block++)
        for (idx tap = 0; tap < 3; tap++)
            j->mask[block][tap] = FN(mask_columns)(block * VL + tap - j->left, j->src_w);
    j->per_task = CK_MAX(1, PLANE_TASK_ELEMENTS /
                                (j->src_h * j->src_w + j->height * j->width));
}

CK_LOCAL int FN(run_3x3)(FN(job_3x3) *j, idx tasks, ck_task run)
{
    /* Moving the pixels takes about as long as the sums. */
    idx elements = j->src_h * j->src_w + j->height * j->width;
    double work = (double)j->planes * (double)(4 * elements + 9 * j->height * j->width);
    return ck_parallel(tasks, run, j, 0, work);
}

/* Prefetch n numbers: reading rows block by block defeats the hardware prefetcher. */
CK_INLINE void FN(prefetch_run)(const REAL *p, idx n)
{
    for (idx i = 0; i < n; i += 64 / (idx)sizeof(REAL))
        __builtin_prefetch(p + i);
}

/* What `rows` rows of results read in one block: source rows y + low … y + high - 1. */
typedef struct {
    const REAL *at; /* row y's pixels for tap 0 */
    idx pitch, low, high;
    MASK mask[3];
} FN(reach_3x3);

CK_INLINE FN(reach_3x3) FN(reach_of)(const FN(job_3x3) *j, const REAL *plane, idx y, idx block,
                                     const idx count)
{
    FN(reach_3x3) reach = {plane + (y * j->src_w + block * VL - j->left), j->src_w,
                           CK_MAX(0, -y), CK_MIN(count, j->src_h - y),
                           {j->mask[block][0], j->mask[block][1], j->mask[block][2]}};
    return reach;
}

/* Whether all loads of `count` source rows stay in the plane. */
CK_INLINE int FN(is_inside)(const FN(job_3x3) *j, const FN(reach_3x3) *reach, idx block,
                            const idx count)
{
    idx x = block * VL - j->left;
    return reach->low == 0 && reach->high == count && x >= 0 && x + VL + 2 <= j->src_w;
}

CK_INLINE VEC FN(tap_pixels)(const FN(reach_3x3) *reach, idx i, idx kw, const int masked)
{
    const REAL *at = reach->at + i * reach->pitch + kw;
    return masked ? FN(load_masked)(at, reach->mask[kw]) : FN(load)(at);
}

/* --- results for windows -------------------------------------------------------------------- */

CK_INLINE void FN(sum_windows)(const FN(reach_3x3) *reach, const VEC *w, VEC bias, const idx rows,
                               const idx stride, const int masked, VEC *sum)
{
    UNROLL for (idx r = 0; r < rows; r++) sum[r] = bias;
    UNROLL for (idx i = 0; i < (rows - 1) * stride + 3; i++) {
        if (masked && (i < reach->low || i >= reach->high))
            continue;
        UNROLL for (idx kw = 0; kw < 3; kw++) {
            VEC v = FN(tap_pixels)(reach, i, kw, masked);
            UNROLL for (idx r = 0; r < rows; r++)
                if (i >= r * stride && i < r * stride + 3)
                    sum[r] += w[(i - r * stride) * 3 + kw] * v;
        }
    }
}

CK_INLINE void FN(sum_block)(const FN(job_3x3) *j, const REAL *plane, idx y, idx block,
                             const VEC *w, VEC bias, const idx rows, const idx stride, VEC *sum)
{
    const idx count = (rows - 1) * stride + 3;
    FN(reach_3x3) reach = FN(reach_of)(j, plane, y, block, count);
    if (FN(is_inside)(j, &reach, block, count))
        FN(sum_windows)(&reach, w, bias, rows, stride, 0, sum);
    else
        FN(sum_windows)(&reach, w, bias, rows, stride, 1, sum);
}

/* Rows oh … of a plane of results; `end` is where memory ends that may be written. */
CK_INLINE void FN(rows_3x3)(const FN(job_3x3) *j, const REAL *plane, idx oh, const VEC *w, VEC bias,
                            REAL *out, const REAL *end, const idx rows, const idx stride)
{
    idx y = oh * stride - j->top, ahead = ROWS_AT_ONCE * stride * j->src_w;
    if (j->blocks > 1)
        FN(prefetch_run)(plane + (y + 3) * j->src_w + ahead, ahead);
    for (idx x = (j->width - 1) / VL * VL; x >= 0; x -= VL) {
        VEC sum[ROWS_AT_ONCE], odd[ROWS_AT_ONCE];
        idx block = x / VL * stride;
        FN(sum_block)(j, plane, y, block, w, bias, rows, stride, sum);
        if (stride == 2) {
            UNROLL for (idx r = 0; r < rows; r++) odd[r] = bias;
            if (block + 1 < j->blocks)
                FN(sum_block)(j, plane, y, block + 1, w, bias, rows, stride, odd);
            UNROLL for (idx r = 0; r < rows; r++)
                FN(deinterleave_lanes)(sum[r], odd[r], &sum[r], &odd[r]);
        }
        UNROLL for (idx r = 0; r < rows; r++) {
            REAL *to = out + (oh + r) * j->width + x;
            FN(put)(to, j->relu ? FN(relu)(sum[r]) : sum[r], j->width - x, end - to);
        }
    }
}

static void FN(windows_3x3_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const FN(job_3x3) *j = context;
    idx first = task * j->per_task, last = CK_MIN(j->planes, first + j->per_task);
    idx size = j->height * j->width;
    REAL *out = (REAL *)j->out + first * size, *end = (REAL *)j->out + last * size;
    for (idx plane = first; plane < last; plane++, out += size) {
        const REAL *in = (const REAL *)j->in + plane * j->src_h * j->src_w;
        const REAL *weights = (const REAL *)j->w + plane % j->channels * 9;
        VEC w[9], bias = {0};
        for (idx t = 0; t < 9; t++)
            w[t] = (VEC){0} + weights[j->flip ? 8 - t : t];
        if (j->b)
            bias += ((const REAL *)j->b)[plane % j->channels];
        for (idx oh = 0; oh < j->height; oh += ROWS_AT_ONCE) {
#define CK_ROWS_1(rows) FN(rows_3x3)(j, in, oh, w, bias, out, end, rows, 1)
#define CK_ROWS_2(rows) FN(rows_3x3)(j, in, oh, w, bias, out, end, rows, 2)
            if (j->stride == 1) {
                BY_ROWS(j->height - oh, CK_ROWS_1)
            } else {
                BY_ROWS(j->height - oh, CK_ROWS_2)
            }
#undef CK_ROWS_1
#undef CK_ROWS_2
        }
    }
}

int FN(ck_conv_forward_depthwise_3x3)(const ck_conv *g, const void *x, const void *w,
                                      const void *b, void *out, int relu)
{
    FN(job_3x3) j = {.planes = g->n * g->c, .channels = g->c, .src_h = g->in[1], .src_w = g->in[2],
                     .height = g->out[1], .width = g->out[2], .stride = g->s[1], .top = g->p[1],
                     .left = g->p[2], .in = x, .w = w, .b = b, .out = out, .relu = relu};
    FN(set_up_3x3)(&j, (g->out[2] - 1) * g->s[2] + 1);
    return FN(run_3x3)(&j, blocks_of(j.planes, j.per_task), FN(windows_3x3_task));
}

/* --- backward to x -------------------------------------------------------------------------- */

/* With stride 2 and a padding of 1, gradient row i reaches rows 2i - 1, 2i and 2i + 1 of dx, and
 * columns alike: rows 2i and 2i + 1 are sums over gradient rows i and i + 1, block by block. */
CK_INLINE void FN(two_rows_of_dx)(const FN(job_3x3) *j, const REAL *dout, idx i, const VEC *w,
                                  REAL *row, const REAL *end)
{
    for (idx block = j->blocks - 1; block >= 0; block--) {
        VEC zero = {0}, here = zero, right = zero, below = zero, across = zero;
        FN(reach_3x3) reach = FN(reach_of)(j, dout, i, block, 2);
        if (reach.high > 0) {
            here = FN(tap_pixels)(&reach, 0, 0, 1);
            right = FN(tap_pixels)(&reach, 0, 1, 1);
        }
        if (reach.high > 1) {
            below = FN(tap_pixels)(&reach, 1, 0, 1);
            across = FN(tap_pixels)(&reach, 1, 1, 1);
        }
        idx x = 2 * block * VL, n = j->width - x;
        for (idx r = 0; r < 2 && 2 * i + r < j->height; r++) {
            VEC even = r ? w[1] * below + w[7] * here : w[4] * here;
            VEC odd = r ? w[0] * across + w[2] * below + w[6] * right + w[8] * here
                        : w[3] * right + w[5] * here;
            REAL *to = row + r * j->width + x;
            FN(put_interleaved)(to, even, odd, n, end - to);
        }
    }
}

static void FN(dx_3x3_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const FN(job_3x3) *j = context;
    idx first = task * j->per_task, last = CK_MIN(j->planes, first + j->per_task);
    idx size = j->height * j->width;
    REAL *end = (REAL *)j->out + last * size;
    for (idx plane = first; plane < last; plane++) {
        const REAL *dout = (const REAL *)j->in + plane * j->src_h * j->src_w;
        REAL *dx = (REAL *)j->out + plane * size;
        VEC w[9];
        for (idx t = 0; t < 9; t++)
            w[t] = (VEC){0} + ((const REAL *)j->w)[plane % j->channels * 9 + t];
        for (idx i = 0; 2 * i < j->height; i++)
            FN(two_rows_of_dx)(j, dout, i, w, dx + 2 * i * j->width, end);
    }
}

int FN(ck_conv_dx_depthwise_3x3)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    FN(job_3x3) j = {.planes = g->n * g->c, .channels = g->c, .src_h = g->out[1],
                     .src_w = g->out[2], .height = g->in[1], .width = g->in[2], .stride = 1,
                     .in = dout, .w = w, .out = dx};
    if (g->s[1] == 2) {
        FN(set_up_3x3)(&j, blocks_of(g->in[2], 2));
        return FN(run_3x3)(&j, blocks_of(j.planes, j.per_task), FN(dx_3x3_task));
    }
    /* With stride 1 the gradient is a convolution with the weights flipped. */
    j.flip = 1;
    j.top = 2 - g->p[1];
    j.left = 2 - g->p[2];
    FN(set_up_3x3)(&j, g->in[2]);
    return FN(run_3x3)(&j, blocks_of(j.planes, j.per_task), FN(windows_3x3_task));
}
