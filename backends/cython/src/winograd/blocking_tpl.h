/* Blocks of at most `most` tiles: the rows that leave the fewest lanes empty. */
static void FN(cut_tiles)(winograd_job *j, idx most)
{
    idx all = j->n * j->high, fewest = 0;
    j->cols = j->wide <= most ? j->wide : round_up(even_block(j->wide, most), VL);
    j->rows = 1;
    for (idx rows = 1; rows <= all && rows * j->cols <= most; rows++) {
        idx vectors = all / rows * blocks_of(rows * j->cols, VL) +
                      blocks_of(all % rows * j->cols, VL);
        if (rows == 1 || vectors <= fewest) {
            fewest = vectors;
            j->rows = rows;
        }
    }
    j->chunks_r = blocks_of(all, j->rows);
    j->chunks_c = blocks_of(j->wide, j->cols);
    j->lanes = round_up(j->rows * j->cols, VL);
}

/* What all tasks may share: with the tasks' own memory, less than a tenth of the arrays and 4
 * MiB. */
static idx FN(shared_bytes)(const winograd_job *j)
{
    idx images = j->n * (j->k * j->src_h * j->src_w + j->m * j->out_h * j->out_w);
    idx arrays = j->groups * (images + j->m * j->k * 9) * (idx)sizeof(REAL);
    return CK_MIN(MOST_SHARED_BYTES, SHARED_POINTS_BYTES + arrays / 10);
}

static void FN(block_winograd)(winograd_job *j, int shared)
{
    idx real = (idx)sizeof(REAL), at = 0;
    j->high = blocks_of(j->out_h, OUT_TILE);
    j->wide = blocks_of(j->out_w, OUT_TILE);
    idx tiles = j->n * j->high * j->wide;
    idx bytes = shared ? FN(shared_bytes)(j) : OWN_POINTS_BYTES;
    idx most = bytes / (POINTS * j->k * real) / VL * VL;
    if (!shared)
        most = CK_MIN(most, round_up(tiles / LEAST_TASKS, VL));
    FN(cut_tiles)(j, CK_MAX(2 * VL, most));
    idx fit = PRODUCT_BYTES / (POINTS * j->lanes * real) / MR * MR;
    j->mb = even_block(j->m, CK_MAX(MR, fit));
    j->chunks_m = blocks_of(j->m, j->mb);
    j->kb = j->k;
    if (shared)
        j->kb = even_block(j->k, CK_MAX(32, WEIGHT_BYTES / (POINTS * j->mb * real)));
    j->chunks_k = blocks_of(j->k, j->kb);
    j->v_step = FN(odd_lines)(j->lanes * j->k);
    j->u_step = FN(odd_lines)(j->mb * j->kb);
    j->m_step = FN(odd_lines)(j->mb * j->lanes);
    if (shared)
        j->offset_u = take_bytes(&at, POINTS * j->u_step * real);
    else
        j->offset_v = take_bytes(&at, POINTS * j->v_step * real);
    j->offset_m = take_bytes(&at, POINTS * j->m_step * real);
    idx lines = IN_TILE * (OUT_TILE * round_up(j->cols, VL) + 2 * VL) + POINTS * (j->lanes + VL);
    j->offset_lines = take_bytes(&at, CK_MAX(lines, OUT_TILE * OUT_TILE * j->lanes) * real);
    j->scratch = at;
}

/* ---- few weights: each task a block of tiles ------------------------------------------------- */

static void FN(weights_task)(void *context, idx task, void *scratch)
{
    (void)scratch;
    const winograd_job *j = context;
    idx ki = task % j->chunks_k, mi = task / j->chunks_k % j->chunks_m;
    idx m0 = mi * j->mb, k0 = ki * j->kb;
    FN(transform_weights)(j, task / j->chunks_k / j->chunks_m, m0, CK_MIN(j->mb, j->m - m0), k0,
                          CK_MIN(j->kb, j->k - k0), (REAL *)j->u + task * POINTS * j->u_step);
}

static void FN(tiles_task)(void *context, idx task, void *scratch)
{
    const winograd_job *j = context;
    idx chunks = j->chunks_r * j->chunks_c, group = task / chunks;
    tile_block b = find_block(j, task % chunks);
    REAL *v = (REAL *)((char *)scratch + j->offset_v);
    FN(transform_pixels)(j, b, group, 0, j->k, v, (REAL *)((char *)scratch + j->offset_lines));
    for (idx mi = 0; mi < j->chunks_m; mi++)
        FN(filter_block)(j, b, group, mi, v, scratch);
}

static int FN(run_tiles)(winograd_job *j, double work)
{
    idx blocks = j->groups * j->chunks_m * j->chunks_k;
    if (posix_memalign(&j->u, 64, (size_t)(blocks * POINTS * j->u_step) * sizeof(REAL)))
        return -1;
    int failed = ck_parallel(blocks, FN(weights_task), j, 0,
                             (double)POINTS * j->groups * j->m * j->k);
    if (!failed)
        failed = ck_parallel(j->groups * j->chunks_r * j->chunks_c, FN(tiles_task), j,
                             (size_t)j->scratch, work);
    free(j->u);
    return failed;
}

/* ---- many weights: each task a block of filters ---------------------------------------------- */

/* What the tasks of one block of tiles share. */
typedef struct {
    const winograd_job *j;
    tile_block b;
    idx group, channels; /* of a task */
} FN(stage);

static void FN(channels_task)(void *context, idx task, void *scratch)
{
    const FN(stage) *s = context;
    idx k = task * s->channels;
    FN(transform_pixels)(s->j, s->b, s->group, k, CK_MIN(s->channels, s->j->k - k), s->j->v,
                         (REAL *)((char *)scratch + s->j->offset_lines));
}

static void FN(filters_task)(void *context, idx task, void *scratch)
{
    const FN(stage) *s = context;
    FN(filter_block)(s->j, s->b, s->group, task, s->j->v, scratch);
}

static int FN(run_filters)(winograd_job *j, double work)
{
    idx chunks = j->chunks_r * j->chunks_c;
    if (posix_memalign(&j->v, 64, (size_t)(POINTS * j->v_step) * sizeof(REAL)))
        return -1;
    int failed = 0;
    for (idx i = 0; i < j->groups * chunks && !failed; i++) {
        FN(stage) s = {j, find_block(j, i % chunks), i / chunks, even_block(j->k, 16)};
        double tiles = (double)s.b.rows * s.b.cols;
        failed = ck_parallel(blocks_of(j->k, s.channels), FN(channels_task), &s,
                             (size_t)j->scratch, 10 * tiles * POINTS * j->k);
        if (!failed)
            failed = ck_parallel(j->chunks_m, FN(filters_task), &s, (size_t)j->scratch,
                                 work / chunks / j->groups);
    }
    free(j->v);
    return failed;
}

/* shared: tasks are blocks of filters and share the transformed pixels. */
static int FN(run_winograd)(winograd_job *j, int shared, int *bad)
{
    if (j->n == 0)
        return 0;
    FN(block_winograd)(j, shared);
    j->bad = bad;
    double work = (double)POINTS * j->n * j->high * j->wide * j->groups * j->m * j->k;
    return shared ? FN(run_filters)(j, work) : FN(run_tiles)(j, work);
}

static int FN(winograd_forward)(const ck_conv *g, const void *x, const void *w, const void *b,
                                void *out, int relu, int shared)
{
    winograd_job j = {.n = g->n, .groups = g->groups, .m = g->f / g->groups,
                      .k = g->c / g->groups, .src_h = g->in[1], .src_w = g->in[2],
                      .out_h = g->out[1], .out_w = g->out[2], .top = g->p[1], .left = g->p[2],
                      .relu = relu, .src = x, .w = w, .bias = b, .out = out};
    j.wk = 9, j.wm = j.k * 9, j.wg = j.m * j.k * 9;
    int bad = 0, failed = FN(run_winograd)(&j, shared, &bad);
    return bad && !failed ? FN(ck_conv_forward_gemm)(g, x, w, b, out, relu) : failed;
}

static int FN(winograd_dx)(const ck_conv *g, const void *dout, const void *w, void *dx, int shared)
{
    winograd_job j = {.n = g->n, .groups = g->groups, .m = g->c / g->groups,
                      .k = g->f / g->groups, .src_h = g->out[1], .src_w = g->out[2],
                      .out_h = g->in[1], .out_w = g->in[2], .top = 2 - g->p[1],
                      .left = 2 - g->p[2], .flip = 1, .src = dout, .w = w, .out = dx};
    j.wm = 9, j.wk = j.m * 9, j.wg = j.m * j.k * 9;
    int bad = 0, failed = FN(run_winograd)(&j, shared, &bad);
    return bad && !failed ? FN(ck_conv_dx_gemm)(g, dout, w, dx) : failed;
}

int FN(ck_conv_forward_winograd)(const ck_conv *g, const void *x, const void *w, const void *b,
                                 void *out, int relu)
{
    return FN(winograd_forward)(g, x, w, b, out, relu, 0);
}

int FN(ck_conv_forward_winograd_by_filters)(const ck_conv *g, const void *x, const void *w,
                                            const void *b, void *out, int relu)
{
    return FN(winograd_forward)(g, x, w, b, out, relu, 1);
}

int FN(ck_conv_dx_winograd)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    return FN(winograd_dx)(g, dout, w, dx, 0);
}

int FN(ck_conv_dx_winograd_by_filters)(const ck_conv *g, const void *dout, const void *w, void *dx)
{
    return FN(winograd_dx)(g, dout, w, dx, 1);
}
