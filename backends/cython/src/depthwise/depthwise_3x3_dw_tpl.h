/* Add some rows of a block of gradients, times the pixels of their windows, to one vector for each
 * tap. */
CK_INLINE void FN(add_products)(const FN(reach_3x3) *reach, const VEC *d, const idx rows,
                                const idx stride, const int masked, VEC *sums)
{
    VEC sum[9];
    UNROLL for (idx t = 0; t < 9; t++) sum[t] = sums[t];
    UNROLL for (idx i = 0; i < (rows - 1) * stride + 3; i++) {
        if (masked && (i < reach->low || i >= reach->high))
            continue;
        UNROLL for (idx kw = 0; kw < 3; kw++) {
            VEC v = FN(tap_pixels)(reach, i, kw, masked);
            UNROLL for (idx r = 0; r < rows; r++)
                if (i >= r * stride && i < r * stride + 3)
                    sum[(i - r * stride) * 3 + kw] += d[r] * v;
        }
    }
    UNROLL for (idx t = 0; t < 9; t++) sums[t] = sum[t];
}

CK_INLINE void FN(products_3x3)(const FN(job_3x3) *j, const REAL *plane, const REAL *dout, idx oh,
                                const idx rows, const idx stride, VEC *sums)
{
    const idx count = (rows - 1) * stride + 3;
    idx y = oh * stride - j->top, ahead = ROWS_AT_ONCE * stride * j->src_w;
    if (j->blocks > 1) {
        FN(prefetch_run)(plane + (y + 3) * j->src_w + ahead, ahead);
        FN(prefetch_run)(dout + (oh + ROWS_AT_ONCE) * j->width, ROWS_AT_ONCE * j->width);
    }
    for (idx x = 0; x < j->width; x += VL) {
        VEC d[2][ROWS_AT_ONCE], zero = {0};
        UNROLL for (idx r = 0; r < rows; r++) {
            const REAL *from = dout + (oh + r) * j->width + x;
            d[0][r] = FN(load_part)(from, CK_MIN(VL, j->width - x));
            sums[9] += d[0][r];
            if (stride == 2)
                FN(interleave_lanes)(d[0][r], zero, &d[0][r], &d[1][r]);
        }
        for (idx half = 0; half < stride; half++) {
            idx block = x / VL * stride + half;
            if (block >= j->blocks)
                break;
            FN(reach_3x3) reach = FN(reach_of)(j, plane, y, block, count);
            if (FN(is_inside)(j, &reach, block, count))
                FN(add_products)(&reach, d[half], rows, stride, 0, sums);
            else
                FN(add_products)(&reach, d[half], rows, stride, 1, sums);
        }
    }
}

static void FN(dw_3x3_task)(void *context, idx channel, void *scratch)
{
    (void)scratch;
    const FN(job_3x3) *j = context;
    VEC sums[10] = {{0}};
    for (idx plane = channel; plane < j->planes; plane += j->channels) {
        const REAL *in = (const REAL *)j->in + plane * j->src_h * j->src_w;
        const REAL *dout = (const REAL *)j->dout + plane * j->height * j->width;
        for (idx oh = 0; oh < j->height; oh += ROWS_AT_ONCE) {
#define CK_ROWS_1(rows) FN(products_3x3)(j, in, dout, oh, rows, 1, sums)
#define CK_ROWS_2(rows) FN(products_3x3)(j, in, dout, oh, rows, 2, sums)
            if (j->stride == 1) {
                BY_ROWS(j->height - oh, CK_ROWS_1)
            } else {
                BY_ROWS(j->height - oh, CK_ROWS_2)
            }
#undef CK_ROWS_1
#undef CK_ROWS_2
        }
    }
    for (idx t = 0; t < 9; t++)
        ((REAL *)j->out)[channel * 9 + t] = FN(sum_lanes)(sums[t]);
    if (j->db)
        ((REAL *)j->db)[channel] = FN(sum_lanes)(sums[9]);
}

int FN(ck_conv_dw_depthwise_3x3)(const ck_conv *g, const void *dout, const void *x, void *dw,
                                 void *db)
{
    FN(job_3x3) j = {.planes = g->n * g->c, .channels = g->c, .src_h = g->in[1], .src_w = g->in[2],
                     .height = g->out[1], .width = g->out[2], .stride = g->s[1], .top = g->p[1],
                     .left = g->p[2], .in = x, .dout = dout, .out = dw, .db = db};
    FN(set_up_3x3)(&j, (g->out[2] - 1) * g->s[2] + 1);
    if (FN(run_3x3)(&j, g->c, FN(dw_3x3_task)))
        return -1;
    return FN(is_finite)(dw, g->f * 9) ? 0 : FN(ck_conv_dw_direct)(g, dout, x, dw, db);
}
