/* The sum of a block's pixels for all taps; each times its share, if there are shares. */
CK_INLINE VEC FN(sum_pixels)(const FN(across) *a, const REAL *shares, idx block,
                             const idx taps, const int inside)
{
    VEC sum = {0}, zero = {0};
    UNROLL for (idx t = 0; t < taps; t++)
    {
        VEC v = FN(block_pixels)(a, a->row, zero, block, t, inside);
        if (shares)
            v *= FN(block_pixels)(a, shares, zero, block, t, inside);
        sum += v;
    }
    return sum;
}

CK_INLINE VEC FN(sum_block_across)(const FN(across) *a, const REAL *shares, idx block,
                            const idx taps)
{
    if (FN(in_row)(a, block))
        return FN(sum_pixels)(a, shares, block, taps, 1);
    return FN(sum_pixels)(a, shares, block, taps, 0);
}

CK_INLINE void FN(sum_across)(const FN(overlap_job) *j, const REAL *row, const REAL *shares,
                              const idx taps, const idx stride, REAL *to)
{
    const FN(across) a = FN(across_of)(j, row);
    if (shares)
        shares -= a.left;
    for (idx x = 0; x < a.width; x += VL) {
        idx block = x / VL * stride;
        VEC sum = FN(sum_block_across)(&a, shares, block, taps);
        if (stride == 2)
            sum = SHUFFLE(sum, FN(sum_block_across)(&a, shares, block + 1, taps),
                          EACH_LANE(EVEN_LANE, 0));
        *(VEC *)(to + x) = sum;
    }
}

CK_INLINE void FN(sum_down)(const FN(overlap_job) *j, const REAL *sums, const REAL *shares,
                            idx step, const idx taps, REAL *out, idx room)
{
    const idx width = j->width;
    for (idx x = 0; x < width; x += VL) {
        VEC sum = {0};
        for (idx t = 0; t < taps; t++)
            sum += *(const VEC *)(sums + t * step + x);
        if (shares)
            sum *= FN(load)(shares + x);
        FN(put)(out + x, sum, width - x, room - x);
    }
}

/* backward: pixels are gradients, and get their share before they are added up, not after. */
CK_INLINE void FN(average_overlap_chunk)(const FN(overlap_job) *j, idx number, const int backward,
                                         REAL *shares, REAL *sums)
{
    overlap_chunk c = FN(overlap_chunk_of)(j, number);
    const REAL *image = (const REAL *)j->in + c.plane * j->src_h * j->src_w;
    const int32_t *counts = j->g->counts[1];
    idx before = 0;
    for (idx y = c.y0; y < c.y1; y++) {
        const REAL *row = image + y * j->src_w;
        REAL *to = sums + (y - c.y0) * j->pitch;
        if (backward && counts[y] != before)
            FN(shares)(j->g, y, shares);
        before = counts[backward ? y : 0];
#define CK_ROW(taps, stride) \
    FN(sum_across)(j, row, backward ? shares : NULL, taps, stride, to)
        if (backward || j->sw == 1)
            BY_TAPS_ACROSS(j->g->k[2], 1, CK_ROW)
        else
            BY_TAPS_ACROSS(j->g->k[2], 2, CK_ROW)
#undef CK_ROW
    }
    before = 0;
    for (idx r = 0; r < c.rows; r++) {
        idx t0, t1, y, oh = c.first + r, room = (c.rows - r) * j->width;
        FN(overlap_taps)(j, oh, &t0, &t1, &y);
        if (!backward && counts[oh] != before)
            FN(shares)(j->g, oh, shares);
        before = counts[backward ? 0 : oh];
        REAL *out = (REAL *)j->out + (c.plane * j->height + oh) * j->width;
        const REAL *from = sums + (y - c.y0) * j->pitch;
        idx step = j->g->d[1] * j->pitch;
#define CK_ROW(taps) FN(sum_down)(j, from, backward ? NULL : shares, step, taps, out, room)
        BY_TAPS(CK_MAX(0, t1 - t0), CK_ROW)
#undef CK_ROW
    }
}

static void FN(average_overlap_task)(void *context, idx task, void *memory)
{
    const FN(overlap_job) *j = context;
    REAL *shares = memory, *sums = shares + round_up(j->g->out[2] + VL, VL);
    idx last = CK_MIN(j->g->planes * j->chunks, (task + 1) * j->per_task);
    for (idx number = task * j->per_task; number < last; number++) {
        if (j->in_is_dout)
            FN(average_overlap_chunk)(j, number, 1, shares, sums);
        else
            FN(average_overlap_chunk)(j, number, 0, shares, sums);
    }
}

int FN(ck_avg_pool_forward_overlap)(const ck_pool *g, const void *x, void *out)
{
    FN(overlap_job) j = FN(overlap_of_windows)(g, x, out, sizeof(REAL));
    return FN(run_overlap)(&j, FN(average_overlap_task), sizeof(REAL));
}

/* With stride 1, the windows that reach a pixel are a window of gradients. */
int FN(ck_avg_pool_backward_overlap)(const ck_pool *g, const void *dout, void *dx)
{
    FN(overlap_job) j = {.g = g, .src_h = g->out[1], .src_w = g->out[2], .height = g->in[1],
                     .width = g->in[2], .top = (g->k[1] - 1) * g->d[1] - g->p[1],
                     .left = (g->k[2] - 1) * g->d[2] - g->p[2], .sh = 1, .sw = 1, .in = dout,
                     .out = dx, .in_is_dout = 1};
    FN(cut_overlap)(&j, sizeof(REAL));
    return FN(run_overlap)(&j, FN(average_overlap_task), sizeof(REAL));
}
