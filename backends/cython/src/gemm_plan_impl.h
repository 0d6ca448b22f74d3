/* Cutting a convolution into passes, blocks and tasks for gemm_impl.h. Included by isa_gemm.c
 * once per dtype. What decides results' bits depends on the shape alone; into how many tasks filters are
 * cut, on the threads too. */

#ifndef CK_GEMM_PLAN
#define CK_GEMM_PLAN
/* The columns of all passes that compute any, whose results are put together at the end. */
static idx result_columns(const gemm_job *j)
{
    idx columns = 0;
    for (idx i = 0; i < j->passes && j->passes > 1; i++)
        columns += j->pass[i].taps ? j->pass[i].cols : 0;
    return columns;
}

/* Into how many blocks filters are cut, `least` or more where there are few tasks: each copies the pixels
 * again, so into no more than keep the threads busy. No result's bits depend on it. */
static idx filter_blocks(idx tasks, idx filters, idx least)
{
    idx threads = ck_num_threads(), most = filters / LEAST_FILTERS, blocks = least;
    while (blocks < most && tasks * blocks < CK_MAX(LEAST_TASKS, 2 * threads) &&
           tasks * blocks % threads)
        blocks++;
    return blocks;
}
#endif

/* A problem of one task and one block, where cutting would cost as much as computing. The general
 * way would cut it no finer. */
static int FN(is_one_block)(const gemm_job *j, idx most_taps, idx rows_reach)
{
    idx pixels = j->n * j->out_h * j->out_w;
    idx strip = j->n * j->c * j->strip.phases * (j->out_h + rows_reach) * j->strip.pitch;
    return j->groups == 1 && j->passes == 1 && j->runs == 1 && pixels <= LEAST_PIXELS &&
           j->m <= TILE_ROWS && j->c * most_taps <= K_BLOCK &&
           strip * (idx)sizeof(REAL) <= STRIP_BYTES;
}

/* The channels of a block. High tiles read a long panel from L2 quickly enough, and results then go to
 * memory and back less often; but weights that every task packs are to stay there with its strip. And
 * where the strip's part of a short block stays in L1, that is better still. */
static idx FN(channel_block)(const gemm_job *j, idx most_taps, idx rows_reach)
{
    const strip_shape *s = &j->strip;
    idx channels = even_block(j->c, K_BLOCK / most_taps);
    if (CK_VECTOR_BYTES < 64 || j->m <= TILE_ROWS)
        return channels;
    if (!j->prepacked)
        return even_block(j->c, LONG_OWN_BYTES / (idx)sizeof(REAL) / most_taps);
    if (s->gapless && FN(strip_fits)(s, channels, s->phases, rows_reach, j->m))
        return channels;
    return even_block(j->c, LONG_BLOCK / most_taps);
}

/* Blocks of channels, rows, images and filters. */
static void FN(cut_blocks)(gemm_job *j, idx most_taps, idx rows_reach)
{
    strip_shape *s = &j->strip;
    idx sy = j->pass[0].sy;
    idx out_rows = blocks_of(j->out_h, sy); /* in units of the stride */
    idx row_pixels = j->out_w * sy;
    idx share = j->runs * j->n * j->out_h * j->out_w * j->groups / LEAST_TASKS;
    idx chunk = CHUNK_PIXELS;
    idx weights = j->groups * j->m * j->c * j->all_taps * (idx)sizeof(REAL);
    j->prepacked = weights <= PREPACK_BYTES;
    j->cb = FN(channel_block)(j, most_taps, rows_reach);
    if (j->prepacked) /* otherwise every task packs its own, and there should be few */
        chunk = CK_MIN(chunk, CK_MAX(LEAST_PIXELS, share));
    idx strip_rows_fit =
        STRIP_BYTES / (idx)sizeof(REAL) / (j->cb * s->phases * s->pitch) - rows_reach;
    j->rows = CK_MAX(1, CK_MIN(strip_rows_fit, chunk / row_pixels));
    if (j->direct_source)
        j->rows = out_rows;
    j->rows = even_block(out_rows, CK_MIN(j->rows, out_rows));
    j->images = 1;
    if (j->rows == out_rows) {
        idx image_bytes = j->cb * s->phases * (out_rows + rows_reach) * s->pitch *
                          (idx)sizeof(REAL);
        idx most = CK_MIN(STRIP_BYTES / image_bytes, chunk / (row_pixels * out_rows));
        j->images = even_block(CK_MAX(j->n, 1), CK_MAX(1, CK_MIN(most, j->n)));
    }
    idx pixel_tasks = j->runs * blocks_of(j->n, j->images) * blocks_of(out_rows, j->rows);
    idx tasks = CK_MAX(1, pixel_tasks) * j->groups;
    idx result_bytes = j->m * j->images * j->rows * result_columns(j) * (idx)sizeof(REAL);
    idx least = CK_MAX(1, CK_MIN(j->m, blocks_of(result_bytes, RESULT_BYTES)));
    j->mb = blocks_of(j->m, filter_blocks(tasks, j->m, least));
    j->chunks_n = blocks_of(j->n, j->images);
    j->chunks_r = blocks_of(out_rows, j->rows);
    j->chunks_m = blocks_of(j->m, j->mb);
}

/* Where each pass's packed weights begin: of those of all tasks, or of a task's own, which are all passes'
 * at once where they are small, and one pass's after the other otherwise. */
static void FN(place_weights)(gemm_job *j, idx most_taps)
{
    idx block = j->mb * j->cb, at = 0, slack = 0, each = j->prepacked ? j->groups * j->m * j->c : 0;
    j->together = !j->prepacked && j->passes > 1 &&
                  block * j->all_taps * (idx)sizeof(REAL) <= TOGETHER_BYTES;
    if (j->together)
        each = block, slack = VL;
    for (idx i = 0; i < j->passes; i++) {
        j->pass[i].a = at;
        at += each * j->pass[i].taps + slack;
    }
    j->weights = CK_MAX(at, block * most_taps);
}

/* The blocks, and where each lies in a thread's scratch. */
static void FN(plan_blocks)(gemm_job *j, idx rows_reach)
{
    strip_shape *s = &j->strip;
    idx passes = j->passes, most_taps = 1;
    for (idx i = 0; i < passes; i++)
        most_taps = CK_MAX(most_taps, j->pass[i].taps);
    if (FN(is_one_block)(j, most_taps, rows_reach)) {
        j->cb = j->c, j->images = j->n, j->rows = j->out_h, j->mb = j->m;
        j->chunks_n = j->chunks_r = j->chunks_m = 1;
        j->prepacked = 0;
    } else {
        FN(cut_blocks)(j, most_taps, rows_reach);
    }
    FN(size_strip)(s, j->rows + rows_reach);
    fetch_ahead(s, j->cb);
    if (j->direct_source)
        s->channel_size = s->src_h * s->src_w;
    idx slack = 2 * CK_VECTOR_BYTES, at = 0;
    j->offset_panel = at;
    at += round_up(j->cb * most_taps * 2 * CK_VECTOR_BYTES + slack, 64);
    j->offset_koff = at;
    at += round_up(j->cb * most_taps * (idx)sizeof(idx), 64);
    j->offset_strip = at;
    if (!j->direct_source)
        at += round_up(j->images * j->cb * s->channel_size * (idx)sizeof(REAL) + slack, 64);
    j->offset_result = at;
    at += round_up(j->mb * j->images * j->rows * result_columns(j) * (idx)sizeof(REAL) + slack, 64);
    j->offset_a = at;
    FN(place_weights)(j, most_taps);
    j->scratch = at + (j->prepacked ? 0 : round_up(j->weights * (idx)sizeof(REAL), 64));
}

static int FN(run_gemm)(gemm_job *j)
{
    double work = (double)j->runs * j->n * j->out_h * j->out_w * j->groups * j->m * j->c *
                  j->all_taps / j->pass[0].sy / j->pass[0].sx;
    int failed = 0;
    j->a = NULL;
    if (j->prepacked) {
        if (posix_memalign(&j->a, 64, (size_t)CK_MAX(j->weights, 1) * sizeof(REAL)))
            return -1;
        failed = ck_parallel(j->groups * j->chunks_m * blocks_of(j->mb, TILE_ROWS),
                             FN(prepack_task), j, 0, PACKING_WORK * (double)j->weights);
    }
    idx tasks = j->groups * j->runs * j->chunks_n * j->chunks_r * j->chunks_m;
    if (!failed)
        failed = ck_parallel(tasks, FN(gemm_task), j, (size_t)j->scratch, work);
    free(j->a);
    return failed;
}

/* Whether vectors that run on over rows are worth a copy of the strip for each of `columns` columns
 * of taps: cycles, roughly, per channel and row of results of each way, see rows_are_better. */
static int FN(gapless_is_better)(const gemm_job *j, idx rows, idx cols, idx reach, idx taps,
                                 idx columns)
{
    if (j->m <= TILE_ROWS && j->n * rows * cols <= LEAST_PIXELS)
        return 0; /* one block, which is over before the choice is made */
    idx channels = CK_MIN(j->c, CK_MAX(1, K_BLOCK / taps));
    idx row_bytes = channels * columns * cols * (idx)sizeof(REAL);
    /* Strides above 2 are copied one by one; a strip of few rows is mostly rows copied again. */
    if (j->strip.sw > 2 || (CK_MIN(rows, 8) + reach) * row_bytes > STRIP_BYTES)
        return 0;
    double m = (double)CK_MIN(j->m, 128), vectors = (double)cols / VL;
    double by_row = (double)blocks_of(cols, VL) * taps * m;
    double packed = vectors * taps * (m + 2.6 * (1 + 1 / vectors));
    double by_image = (double)blocks_of(rows * cols, VL) / rows * taps * m;
    double packed_gapless = vectors * taps * (m + 2.6);
    double copy = (cols <= VL ? 4 : 8) * (CK_VECTOR_BYTES == 64 ? 1 : 2);
    double copies = copy * (double)((columns - 1) * blocks_of(cols, VL));
    if (!FN(strip_fits)(&j->strip, channels, columns, reach, j->m))
        by_image = packed_gapless;
    return copies + CK_MIN(by_image, packed_gapless) < CK_MIN(by_row, packed);
}

/* Which images lie at equal distances, and how many channels are summed. */
static void FN(join_planes)(gemm_job *j, const ck_conv *g)
{
    int volumes = j->depth.images > 1;
    j->runs = volumes ? g->n : 1;
    j->n = volumes ? j->depth.images : g->n;
    j->c = j->channels * j->depth.taps;
}

int FN(ck_gemm_forward)(const ck_conv *volume, const void *x, const void *w, const void *b,
                        void *out, int relu)
{
    const ck_conv flat = without_depth(volume), *g = &flat;
    idx taps = g->k[1] * g->k[2], toff[MOST_TAPS], wtap[MOST_TAPS];
    idx shift[MOST_TAPS], weight[MOST_TAPS];
    gemm_pass pass = {.taps = taps, .sy = 1, .sx = 1, .cols = g->out[2], .in_order = 1,
                      .toff = toff, .wtap = wtap};
    gemm_job j = {.groups = g->groups, .m = g->f / g->groups, .channels = g->c / g->groups,
                  .out_h = g->out[1], .out_w = g->out[2], .passes = 1, .all_taps = taps,
                  .pass = &pass, .src = x, .w = w, .bias = b, .out = out, .relu = relu};
    j.depth.shift = shift, j.depth.weight = weight;
    depth_forward(&j.depth, g);
    FN(join_planes)(&j, g);
    j.wc = g->k[0] * taps;
    j.wm = j.c * taps;
    j.wg = j.m * j.wm;
    strip_shape *s = &j.strip;
    s->src_h = g->in[1], s->src_w = g->in[2], s->sh = g->s[1], s->sw = g->s[2];
    s->top = g->p[1], s->left = g->p[2];
    int phases[2 * MOST_TAPS];
    s->ph = phases, s->pw = phases + MOST_TAPS;
    idx reach = quotient((g->k[1] - 1) * g->d[1], s->sh);
    j.direct_source = taps == 1 && s->sh == 1 && s->sw == 1 && j.out_h == s->src_h &&
                      j.out_w == s->src_w && s->top == 0 && s->left == 0 && is_flat(g);
    s->pitch = g->out[2];
    s->gapless = FN(gapless_is_better)(&j, g->out[1], g->out[2], reach, taps, g->k[2]);
    s->pitch += s->gapless ? 0 : quotient((g->k[2] - 1) * g->d[2], s->sw);
    if (j.direct_source) { /* rows do not matter: one long row */
        s->src_w *= s->src_h, s->src_h = 1;
        j.out_w *= j.out_h, j.out_h = 1;
        pass.cols = s->pitch = j.out_w;
    }
    number_taps(s, g->k, g->d, toff);
    FN(plan_blocks)(&j, reach);
    place_taps(s, g->k, g->d, toff);
    for (idx t = 0; t < taps; t++)
        wtap[t] = t;
    return FN(run_gemm)(&j);
}

/* What no tap of depth reaches. */
static void FN(zero_planes)(const gemm_job *j)
{
    idx channels = j->groups * j->m, size = j->out_h * j->out_w;
    for (idx i = 0; i < j->runs * j->n; i++)
        for (idx c = 0; c < channels; c++)
            FN(zero)((REAL *)j->out + result_plane(&j->depth, channels, c, i) * size, size);
}

/* dx's planes first, first + depth's stride …; pass and lists are memory for them. */
static int FN(dx_of_planes)(const ck_conv *g, idx first, const void *dout, const void *w, void *dx,
                            gemm_pass *pass, idx *lists)
{
    idx sh = g->s[1], sw = g->s[2], passes = sh * sw, taps = g->k[1] * g->k[2];
    gemm_job j = {.groups = g->groups, .m = g->c / g->groups, .channels = g->f / g->groups,
                  .out_h = g->in[1], .out_w = g->in[2], .passes = passes, .all_taps = taps,
                  .pass = pass, .src = dout, .w = w, .out = dx};
    j.depth.shift = lists + 5 * taps + 4 * MOST_TAPS;
    j.depth.weight = j.depth.shift + MOST_TAPS;
    depth_backward(&j.depth, g, first);
    FN(join_planes)(&j, g);
    if (!j.depth.taps) {
        FN(zero_planes)(&j);
        return 0;
    }
    j.wm = g->k[0] * taps;
    j.wc = j.m * j.wm;
    j.wg = j.channels * j.wc;
    strip_shape *s = &j.strip;
    s->src_h = g->out[1], s->src_w = g->out[2], s->sh = s->sw = 1;
    /* The strip reaches from the last tap of the first pixel to tap 0 of the last. */
    idx low_h = floor_div(g->p[1] - (g->k[1] - 1) * g->d[1], sh);
    idx low_w = floor_div(g->p[2] - (g->k[2] - 1) * g->d[2], sw);
    idx reach = floor_div(sh - 1 + g->p[1], sh) - low_h;
    s->top = -low_h, s->left = -low_w;
    idx pass_cols = (g->in[2] - 1) / sw + 1, reach_w = floor_div(sw - 1 + g->p[2], sw) - low_w;
    s->pitch = pass_cols;
    s->gapless = FN(gapless_is_better)(&j, (g->in[1] - 1) / sh + 1, pass_cols, reach,
                                       blocks_of(taps, passes),
                                       CK_MIN(blocks_of(g->k[2], sw), reach_w + 1));
    s->pitch = pass_cols + (s->gapless ? 0 : reach_w);
    j.direct_source = taps == 1 && passes == 1 && j.out_h == s->src_h && j.out_w == s->src_w &&
                      g->p[1] == 0 && g->p[2] == 0 && is_flat(g);
    if (j.direct_source) {
        s->src_w *= s->src_h, s->src_h = 1;
        j.out_w *= j.out_h, j.out_h = 1;
        s->pitch = j.out_w;
        reach = 0;
    }
    int phases[2 * MOST_TAPS];
    s->ph = phases, s->pw = phases + MOST_TAPS;
    s->ph[0] = s->pw[0] = 0;
    idx *toff = lists, *wtap = lists + taps, *column = lists + 2 * taps;
    j.pass_of = lists + 3 * taps, j.place = lists + 4 * taps;
    idx *kh = lists + 5 * taps, *oh = kh + MOST_TAPS;
    idx *kw = oh + MOST_TAPS, *ow = kw + MOST_TAPS;
    for (idx i = 0; i < passes; i++) {
        gemm_pass *p = &pass[i];
        *p = (gemm_pass){.sy = sh, .sx = sw, .y0 = i / sw, .x0 = i % sw, .in_order = 0,
                         .toff = toff, .wtap = wtap};
        p->cols = p->x0 < j.out_w ? (j.out_w - 1 - p->x0) / sw + 1 : 0;
        idx rows = reaching_taps(g->k[1], sh, g->d[1], g->p[1], p->y0, kh, oh);
        idx cols = reaching_taps(g->k[2], sw, g->d[2], g->p[2], p->x0, kw, ow);
        for (idx a = 0; a < rows; a++)
            for (idx b = 0; b < cols; b++) {
                idx tap = kh[a] * g->k[2] + kw[b];
                wtap[p->taps] = tap;
                j.pass_of[tap] = i, j.place[tap] = p->taps;
                idx col = ow[b] - low_w;
                column[p->toff - lists + p->taps] = s->gapless ? phase_number(s, 0, col) : col;
                toff[p->taps++] = j.direct_source ? 0 : (oh[a] - low_h) * s->pitch;
            }
        toff += p->taps;
        wtap += p->taps;
    }
    s->phases = CK_MAX(s->phases, 1);
    FN(plan_blocks)(&j, reach);
    for (idx t = 0; t < taps && !j.direct_source; t++)
        lists[t] += column[t] * (s->gapless ? s->phase_size : 1);
    return FN(run_gemm)(&j);
}

int FN(ck_gemm_dx)(const ck_conv *volume, const void *dout, const void *w, void *dx)
{
    const ck_conv flat = without_depth(volume), *g = &flat;
    gemm_pass *pass = malloc((size_t)(g->s[1] * g->s[2]) * sizeof *pass);
    idx *lists = malloc((size_t)(5 * g->k[1] * g->k[2] + 6 * MOST_TAPS) * sizeof(idx));
    int failed = pass && lists ? 0 : -1;
    for (idx first = 0; first < CK_MIN(g->s[0], g->in[0]) && !failed; first++)
        failed = FN(dx_of_planes)(g, first, dout, w, dx, pass, lists);
    free(pass);
    free(lists);
    return failed;
}
