/* Cutting dw into blocks and tasks for dw_impl.h, by the shape alone. Included by isa_gemm.c once
 * per dtype. */

/* Pixels are cut into chunks of whole rows, or of whole images where those are small. */
static void FN(dw_pixels)(dw_job *j, idx most)
{
    const ck_conv *g = j->g;
    j->rows = even_block(g->out[1], CK_MAX(1, CK_MIN(g->out[1], most / g->out[2])));
    j->images = 1;
    if (j->rows == g->out[1])
        j->images = CK_MAX(1, CK_MIN(j->n, most / (g->out[1] * g->out[2])));
    j->chunks_n = blocks_of(j->n, j->images);
    j->chunks_r = blocks_of(g->out[1], j->rows);
}

/* The channels of a block for transposed tiles, which are two vectors of weights wide: the most that
 * leave the fewest lanes empty. */
static idx FN(outer_channels)(const dw_job *j)
{
    idx best = 0, least = 0, most = CK_MAX(1, OUTER_WEIGHTS / j->taps);
    for (idx blocks = blocks_of(j->c, most); blocks <= 2 * blocks_of(j->c, most); blocks++) {
        idx channels = blocks_of(j->c, blocks), tiles = blocks * blocks_of(channels * j->taps, 2 * VL);
        if (!best || tiles < least)
            best = channels, least = tiles;
    }
    return best;
}

/* Let splits have as many chunks each, where an even number of tasks can: by cutting images anew, or
 * else by fewer splits. */
static void FN(even_splits)(dw_job *j, idx tasks)
{
    if (j->images > 1 && j->chunks_n % j->splits) {
        j->images = CK_MAX(1, j->n / round_up(j->chunks_n, j->splits));
        j->chunks_n = blocks_of(j->n, j->images);
    }
    idx chunks = j->chunks_n * j->chunks_r;
    for (idx splits = j->splits; 2 * splits > j->splits; splits--)
        if (chunks % splits == 0 && tasks * splits % 2 == 0) {
            j->splits = splits;
            return;
        }
}

static void FN(dw_blocks)(dw_job *j)
{
    const ck_conv *g = j->g;
    idx k = j->c * j->taps, real = (idx)sizeof(REAL);
    /* Cycles, roughly: a multiply-add of vectors each way, and turning values over, which many rows
     * on the other side pay back; dout comes from memory. Dot tiles also pay once, for each
     * accumulator, at the end. */
    double tile = CK_VECTOR_BYTES == 64 ? 1 : 0.5, along = CK_VECTOR_BYTES == 64 ? 1.33 : 0.93;
    double pixels = (double)j->n * g->out[1] * g->out[2] / VL, pairs = (double)j->m * k;
    double turn_x = 0.7 * VL, turn_dout = CK_MAX(turn_x, 10.5);
    double turns = turn_x * pairs / CK_MIN(j->m, OUTER_FILTERS) +
                   turn_dout * pairs / CK_MIN(k, OUTER_WEIGHTS);
    double outer = pixels * (tile * (double)j->m * round_up(k, VL) + turns);
    double dot = pairs * (4 + along * pixels) +
                 (pairs * CK_VECTOR_BYTES > DOT_MEMORY ? 0.06 * pixels * pairs : 0);
    j->outer = outer < dot;
    if (j->outer) {
        FN(dw_pixels)(j, OUTER_PIXELS);
        j->cb = FN(outer_channels)(j);
        j->fb = j->m;
    } else {
        FN(dw_pixels)(j, DOT_ROW_BYTES / real);
        j->cb = even_block(j->c, 160 / j->taps);
        j->fb = even_block(j->m, CK_MAX(1, DOT_MEMORY / (j->cb * j->taps * CK_VECTOR_BYTES)));
    }
    idx tasks = g->groups * blocks_of(j->c, j->cb) * blocks_of(j->m, j->fb);
    j->splits = 1;
    idx wanted = j->outer ? SPLIT_TASKS : LEAST_TASKS; /* dot tiles pay for each split */
    if (tasks < wanted) {
        idx fit = PARTIAL_BYTES / (g->f * k * real), chunks = j->chunks_n * j->chunks_r;
        j->splits = CK_MAX(1, CK_MIN(CK_MIN(fit, chunks), blocks_of(wanted, tasks)));
        FN(even_splits)(j, tasks);
    }
    idx least = j->flat ? LEAST_TASKS : LEAST_TASKS / 2; /* each cut of filters copies x again */
    if (tasks * j->splits < least)
        j->fb = even_block(j->m, CK_MAX(TILE_ROWS * 2, j->fb * tasks * j->splits / least));
    j->at_once = j->outer ? even_block(j->fb, OUTER_FILTERS) : j->fb;
    j->chunks_c = blocks_of(j->c, j->cb);
    j->chunks_f = blocks_of(j->m, j->fb);
}

static void FN(dw_layout)(dw_job *j)
{
    const ck_conv *g = j->g;
    idx real = (idx)sizeof(REAL), at = 0, k = j->cb * j->taps;
    idx pixels = round_up(j->images * j->rows * g->out[2], VL);
    j->step = pixels + VL;
    if (j->step / VL % 2 == 0)
        j->step += VL; /* rows an odd number of vectors apart do not fall on the same cache sets */
    j->offset_x = take_bytes(&at, j->outer ? 0 : (k + LANES) * j->step * real);
    j->offset_dout = take_bytes(&at, j->outer ? 0 : (j->fb + LANES) * j->step * real);
    j->offset_strip =
        take_bytes(&at, j->flat ? 0 : j->images * j->cb * j->strip.channel_size * real);
    j->offset_koff = take_bytes(&at, k * (idx)sizeof(idx));
    j->offset_x_pixels = take_bytes(&at, (pixels / VL + 1) * (idx)sizeof(FN(pixels)));
    j->offset_dout_pixels = take_bytes(&at, (pixels / VL + 1) * (idx)sizeof(FN(pixels)));
    j->offset_fetch = take_bytes(&at, j->outer && j->flat ? pixels * (idx)sizeof(idx) : 0);
    j->offset_db = take_bytes(&at, j->fb * CK_VECTOR_BYTES);
    j->offset_acc = take_bytes(&at, j->outer ? 0 : j->fb * k * CK_VECTOR_BYTES);
    j->offset_panel = take_bytes(&at, j->outer ? 2 * VL * pixels * real : 0);
    j->offset_a = take_bytes(&at, j->outer ? (j->at_once + LANES) * pixels * real : 0);
    j->scratch = at;
}

typedef struct {
    const REAL *from;
    REAL *to;
    idx size, splits;
} FN(sum_job);

static void FN(sum_splits)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const FN(sum_job) *s = context;
    idx begin = task * s->size / LEAST_TASKS, end = (task + 1) * s->size / LEAST_TASKS;
    for (idx i = begin; i < end; i += VL) {
        const REAL *from = s->from + i;
        idx lanes = CK_MIN(VL, end - i);
        VEC sum = FN(load_part)(from, lanes);
        for (idx p = 1; p < s->splits; p++)
            sum += FN(load_part)(from + p * s->size, lanes);
        FN(store_part)(s->to + i, sum, lanes);
    }
}

static int FN(run_dw)(dw_job *j, void *dw, void *db)
{
    const ck_conv *g = j->g;
    idx size = g->f * j->c * j->taps, splits = j->splits;
    REAL *partial = NULL;
    j->dw = dw;
    j->db = db;
    if (splits > 1) {
        partial = malloc((size_t)(splits * (size + g->f)) * sizeof(REAL));
        if (!partial)
            return -1;
        j->dw = partial;
        j->db = db ? partial + splits * size : NULL;
    }
    double work = (double)size * j->n * g->out[1] * g->out[2];
    int failed = ck_parallel(g->groups * splits * j->chunks_c * j->chunks_f, FN(dw_task), j,
                             (size_t)j->scratch, work);
    if (splits > 1 && !failed) {
        FN(sum_job) sum = {partial, dw, size, splits};
        failed = ck_parallel(LEAST_TASKS, FN(sum_splits), &sum, 0, (double)size * splits);
        FN(sum_job) sum_db = {partial + splits * size, db, g->f, splits};
        for (idx i = 0; i < LEAST_TASKS && db; i++)
            FN(sum_splits)(&sum_db, i, NULL);
    }
    free(partial);
    return failed;
}

ck_conv_dw_fn FN(ck_direct_dw);

int FN(ck_gemm_dw)(const ck_conv *volume, const void *dout, const void *x, void *dw, void *db)
{
    const ck_conv flat = without_depth(volume), *g = &flat;
    idx taps = g->k[1] * g->k[2], toff[MOST_TAPS], shift[MOST_TAPS], weight[MOST_TAPS];
    int bad = 0;
    if (g->n == 0) {
        memset(dw, 0, (size_t)(g->f * (g->c / g->groups) * g->k[0] * taps) * sizeof(REAL));
        if (db)
            memset(db, 0, (size_t)g->f * sizeof(REAL));
        return 0;
    }
    dw_job j = {.g = g, .m = g->f / g->groups, .taps = taps, .x = x, .dout = dout, .toff = toff,
                .bad = &bad};
    j.depth.shift = shift, j.depth.weight = weight;
    depth_forward(&j.depth, g);
    j.n = g->n * j.depth.images;
    j.c = g->c / g->groups * j.depth.taps;
    strip_shape *s = &j.strip;
    s->src_h = g->in[1], s->src_w = g->in[2], s->sh = g->s[1], s->sw = g->s[2];
    s->top = g->p[1], s->left = g->p[2];
    int phases[2 * MOST_TAPS];
    s->ph = phases, s->pw = phases + MOST_TAPS;
    /* A copy for each column of taps saves pieces of vectors for as many taps as are in it. */
    s->gapless = s->sw == 1 && g->out[2] < VL && g->k[1] > 3;
    s->pitch = g->out[2] + (s->gapless ? 0 : (g->k[2] - 1) * g->d[2] / s->sw);
    number_taps(s, g->k, g->d, toff);
    j.flat = taps == 1 && g->s[1] == 1 && g->s[2] == 1 && g->in[1] == g->out[1] &&
             g->in[2] == g->out[2] && is_flat(g);
    FN(dw_blocks)(&j);
    FN(size_strip)(s, j.rows + (g->k[1] - 1) * g->d[1] / s->sh);
    fetch_ahead(s, j.cb);
    place_taps(s, g->k, g->d, toff);
    if (j.flat)
        s->channel_size = g->in[1] * g->in[2];
    FN(dw_layout)(&j);
    for (int a = 0; a < 3; a++) {
        idx reach = (g->out[a] - 1) * g->s[a] + (g->k[a] - 1) * g->d[a] + 1 - g->p[a];
        j.padded |= g->p[a] > 0 || reach > g->in[a];
    }
    int failed = FN(run_dw)(&j, dw, db);
    if (!failed && bad)
        failed = FN(ck_direct_dw)(g, dout, x, dw, db);
    return failed;
}
