/* What a task works on. */
typedef struct {
    idx group, n0, images;
    REAL *columns;
} FN(columns_part);

/* The columns of dout's rows first … first + rows - 1. */
static void FN(columns_block)(const columns_job *j, const FN(columns_part) *t, idx first, idx rows,
                              idx slot, char *scratch)
{
    const ck_conv *g = j->g;
    idx plane = g->out[1] * g->out[2];
    FN(block) b = {.j = &j->product, .m = j->k, .images = t->images, .rows = 1,
                   .cols = rows * g->out[2], .image_size = g->f * plane, .ldc = j->step,
                   .out_image = rows * g->out[2]};
    idx *koff = (idx *)(scratch + j->offset_koff);
    b.koff = koff;
    b.panel = (REAL *)(scratch + j->offset_panel);
    b.out = t->columns + slot * j->rows * g->out[2];
    for (idx f0 = 0; f0 < j->f; f0 += j->fs) {
        b.k = CK_MIN(j->fs, j->f - f0);
        b.flags = f0 ? EPILOGUE_ADD : 0;
        b.a = (const REAL *)j->a + (t->group * j->f + f0) * j->k;
        b.strip = (const REAL *)j->dout + (t->n0 * g->f + t->group * j->f + f0) * plane +
                  first * g->out[2];
        for (idx i = 0; i < b.k; i++)
            koff[i] = i * plane;
        /* Where no vector reads past the end, and the cache holds them until the second tile. */
        if (b.cols % VL == 0 && b.m <= 2 * MR &&
            b.k * plane * (idx)sizeof(REAL) <= COLUMNS_BYTES)
            FN(run_rows)(&b);
        else
            FN(run_packed)(&b);
    }
}

/* A row of dx: the columns that belong to it, and its address, for each channel. */
typedef struct {
    const REAL *columns;
    idx *row; /* where each row of columns that reaches it begins */
    idx rows, step; /* step: from one channel's columns to the next one's */
    REAL *to;
    idx plane, room; /* to the next channel's; what may be written from `to` on */
} FN(summed_row);

/* What belongs to the pixels of a phase that begin with the i-th vector of them, for each
 * channel. */
CK_INLINE void FN(sum_taps)(const FN(summed_row) *s, const reached *r, const MASK *lanes, idx i,
                            const idx channels, const idx taps, VEC *sum)
{
    UNROLL for (idx c = 0; c < channels; c++) sum[c] = (VEC){0};
    for (idx a = 0; a < s->rows; a++) {
        const REAL *row = s->columns + s->row[a] + i * VL;
        for (idx t = 0; t < taps; t++) {
            const REAL *at = row + r->shift[t];
            UNROLL for (idx c = 0; c < channels; c++) sum[c] +=
                FN(load_masked)(at + c * s->step, lanes[t]);
        }
    }
}

/* A row of dx whose columns have one phase or two (sw), which so many taps reach. */
CK_INLINE void FN(put_row)(const columns_job *j, const FN(summed_row) *s, const idx channels,
                           const idx taps, const idx odd_taps, const idx sw)
{
    const reached *even = j->col, *odd = j->col + (sw == 2);
    const MASK *lanes = j->lanes, *odd_lanes = lanes + even->taps;
    idx width = j->g->in[2];
    for (idx i = 0, x = 0; x < width; i++, x += VL * sw) {
        VEC sum[SUMMED_CHANNELS], other[SUMMED_CHANNELS];
        FN(sum_taps)(s, even, lanes, i, channels, taps, sum);
        if (sw == 2)
            FN(sum_taps)(s, odd, odd_lanes, i, channels, odd_taps, other);
        lanes += j->g->k[2];
        odd_lanes += j->g->k[2];
        UNROLL for (idx c = 0; c < channels; c++)
        {
            REAL *to = s->to + c * s->plane + x;
            if (sw == 1)
                FN(put)(to, sum[c], width - x, s->room - x);
            else
                FN(put_interleaved)(to, sum[c], other[c], width - x, s->room - x);
        }
    }
}

/* The same for any number of phases. */
CK_INLINE void FN(put_phases)(const columns_job *j, const FN(summed_row) *s, const idx channels)
{
    idx width = j->g->in[2], sw = j->g->s[2];
    for (idx p = 0; p < sw; p++) {
        const reached *r = &j->col[p];
        const MASK *lanes = (const MASK *)j->lanes + (r->tap - j->col->tap);
        for (idx i = 0, x = p; x < width; i++, x += VL * sw, lanes += j->g->k[2]) {
            VEC sum[SUMMED_CHANNELS];
            FN(sum_taps)(s, r, lanes, i, channels, r->taps, sum);
            UNROLL for (idx c = 0; c < channels; c++)
                FN(put_every)(s->to + c * s->plane, sum[c], x, sw, width);
        }
    }
}

/* With the number of channels known to the compiler, and the number of taps too if the kernel is
 * three wide. */
CK_INLINE void FN(put_channels)(const columns_job *j, const FN(summed_row) *s, const idx channels)
{
    idx sw = j->g->s[2], taps = j->col->taps, odd_taps = sw == 2 ? j->col[1].taps : 0;
    if (sw == 1 && taps == 3)
        FN(put_row)(j, s, channels, 3, 0, 1);
    else if (sw == 1)
        FN(put_row)(j, s, channels, taps, 0, 1);
    else if (sw == 2 && taps == 1 && odd_taps == 2)
        FN(put_row)(j, s, channels, 1, 2, 2);
    else if (sw == 2 && taps == 2 && odd_taps == 1)
        FN(put_row)(j, s, channels, 2, 1, 2);
    else if (sw == 2)
        FN(put_row)(j, s, channels, taps, odd_taps, 2);
    else
        FN(put_phases)(j, s, channels);
}

static void FN(put_image)(const columns_job *j, FN(summed_row) s)
{
    for (idx c = 0; c < j->m; c += SUMMED_CHANNELS) {
        switch (CK_MIN(SUMMED_CHANNELS, j->m - c)) {
        case 1: FN(put_channels)(j, &s, 1); break;
        case 2: FN(put_channels)(j, &s, 2); break;
        case 3: FN(put_channels)(j, &s, 3); break;
        default: FN(put_channels)(j, &s, SUMMED_CHANNELS); break;
        }
        s.to += SUMMED_CHANNELS * s.plane;
        s.columns += SUMMED_CHANNELS * s.step;
    }
}

/* dx's rows y … end - 1, whose columns are there; the task goes on to row `last`. `origin` is the
 * first row of dout whose columns are kept. */
static void FN(rows_of_columns)(const columns_job *j, const FN(columns_part) *t, idx y, idx end,
                                idx last, idx origin, idx *row)
{
    const ck_conv *g = j->g;
    idx plane = g->in[1] * g->in[2], sh = g->s[1];
    idx number = quotient(y, sh), phase = y - number * sh;
    FN(summed_row) s = {.row = row, .step = g->k[1] * g->k[2] * j->step, .plane = plane};
    for (; y < end; y++) {
        const reached *r = &j->row[phase];
        s.rows = 0;
        for (idx a = 0; a < r->taps; a++) {
            idx oh = number + r->shift[a], at = oh - origin;
            if (oh >= 0 && oh < g->out[1])
                row[s.rows++] = r->tap[a] * g->k[2] * j->step +
                                (at < 0 ? at + j->slots * j->rows : at) * g->out[2];
        }
        s.room = (last - y) * g->in[2];
        for (idx n = 0; n < t->images; n++) {
            s.columns = t->columns + n * g->out[1] * g->out[2];
            s.to = (REAL *)j->dx + ((t->n0 + n) * g->c + t->group * j->m) * plane + y * g->in[2];
            FN(put_image)(j, s);
        }
        if (++phase == sh)
            phase = 0, number++;
    }
}

static void FN(columns_task)(void *context, idx task, void *scratch)
{
    const columns_job *j = context;
    const ck_conv *g = j->g;
    idx band = task % j->bands, rest = task / j->bands, ni = rest % j->chunks_n, sh = g->s[1];
    FN(columns_part) t = {rest / j->chunks_n, ni * j->images,
                          CK_MIN(j->images, g->n - ni * j->images), scratch};
    idx *row = (idx *)((char *)scratch + j->offset_rows);
    idx y = band * j->band * sh, end = CK_MIN(g->in[1], y + j->band * sh);
    idx last = CK_MIN(g->out[1], (end - 1 + g->p[1]) / sh + 1);
    idx first = CK_MAX(0, (y + g->p[1]) / sh - j->reach), slot = 0;
    if (j->images > 1) /* which follow each other whole */
        first = 0, last = g->out[1];
    for (; y < end; first += j->rows, slot = (slot + 1) % j->slots) {
        idx past = first + j->rows, ready = past < last ? past * sh - g->p[1] : end;
        if (first < last)
            FN(columns_block)(j, &t, first, CK_MIN(j->rows, last - first), slot, scratch);
        ready = CK_MIN(ready, end);
        if (ready > y)
            FN(rows_of_columns)(j, &t, y, ready, end, first - slot * j->rows, row);
        y = CK_MAX(y, ready);
    }
}

/* w as panels of [filter][columns], for blocks of fs filters. */
static void FN(pack_columns)(const columns_job *j, const REAL *w)
{
    REAL *to = j->a;
    idx panels = blocks_of(j->k, MR);
    for (idx group = 0; group < j->g->groups; group++)
        for (idx f0 = 0; f0 < j->f; f0 += j->fs)
            for (idx i = 0, first; i < panels; i++) {
                idx rows = panel_rows(j->k, panels, i, &first), end = CK_MIN(j->f, f0 + j->fs);
                for (idx f = f0; f < end; f++, to += rows)
                    memcpy(to, w + (group * j->f + f) * j->k + first,
                           (size_t)rows * sizeof(REAL));
            }
}

/* Blocks of rows or images, tasks, and offsets in a thread's scratch memory. */
static void FN(block_columns)(columns_job *j)
{
    const ck_conv *g = j->g;
    idx row = j->k * g->out[2] * (idx)sizeof(REAL), sh = g->s[1], all = blocks_of(g->in[1], sh);
    j->fs = even_block(j->f, KC);
    j->rows = CK_MIN(g->out[1], CK_MAX(CK_MAX(j->reach, 1), COLUMNS_BYTES / (2 * row)));
    j->images = 1;
    j->slots = 2;
    if (g->out[1] * row <= COLUMNS_BYTES || j->rows == g->out[1]) {
        idx share = g->n * g->groups / LEAST_TASKS, fit = COLUMNS_BYTES / (g->out[1] * row);
        j->rows = g->out[1];
        j->slots = 1;
        j->images = even_block(CK_MAX(g->n, 1), CK_MIN(fit, share));
    }
    j->chunks_n = blocks_of(g->n, j->images);
    j->bands = 1;
    if (j->chunks_n * g->groups < LEAST_TASKS && j->slots == 2) /* each band repeats `reach` rows */
        j->bands = CK_MAX(1, CK_MIN(LEAST_TASKS / CK_MAX(1, j->chunks_n * g->groups),
                                    all / CK_MAX(4 * j->reach, 2 * j->rows)));
    j->band = even_block(all, blocks_of(all, j->bands));
    j->bands = blocks_of(all, j->band);
    j->step = round_up(j->images * j->slots * j->rows * g->out[2], VL);
    if (j->step / VL % 2 == 0)
        j->step += VL; /* an odd number of vectors apart do not fall on the same cache sets */
    idx at = 0;
    take_bytes(&at, j->k * j->step * (idx)sizeof(REAL));
    j->offset_panel = take_bytes(&at, j->fs * 2 * CK_VECTOR_BYTES);
    j->offset_koff = take_bytes(&at, j->fs * (idx)sizeof(idx));
    j->offset_rows = take_bytes(&at, g->k[1] * (idx)sizeof(idx));
    j->scratch = at;
}

int FN(ck_conv_dx_columns)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    columns_job j = {.g = g, .product = {.in_place = 1}, .m = g->c / g->groups,
                     .f = g->f / g->groups, .reach = halo_rows(&g->window),
                     .dout = dout, .dx = dx};
    j.k = j.m * g->k[1] * g->k[2];
    FN(block_columns)(&j);
    idx vectors = blocks_of(blocks_of(g->in[2], g->s[2]), VL), at = 0, taps = g->k[1] + g->k[2];
    idx weights = take_bytes(&at, g->f * j.k * (idx)sizeof(REAL));
    idx lanes = take_bytes(&at, vectors * g->k[2] * (idx)sizeof(MASK));
    idx phases = take_bytes(&at, (g->s[1] + g->s[2]) * (idx)sizeof(reached));
    idx lists = take_bytes(&at, 2 * taps * (idx)sizeof(idx));
    void *memory;
    if (posix_memalign(&memory, 64, (size_t)at))
        return -1;
    j.a = (char *)memory + weights;
    j.lanes = (char *)memory + lanes;
    j.row = (reached *)((char *)memory + phases), j.col = j.row + g->s[1];
    idx *list = (idx *)((char *)memory + lists);
    list_reached(g, 1, j.row, list);
    list_reached(g, 2, j.col, list + 2 * g->k[1]);
    for (idx t = 0; t < g->k[2]; t++) {
        for (idx i = 0; i < vectors; i++)
            ((MASK *)j.lanes)[i * g->k[2] + t] =
                FN(mask_columns)(i * VL + j.col->shift[t], g->out[2]);
        j.col->shift[t] += j.col->tap[t] * j.step;
    }
    FN(pack_columns)(&j, w);
    double work = (double)g->n * g->out[1] * g->out[2] * g->f * j.k;
    int failed = ck_parallel(g->groups * j.chunks_n * j.bands, FN(columns_task), &j,
                             (size_t)j.scratch, work);
    free(memory);
    return failed;
}
